"""The messages are what the contract says, and a marked piece's say nothing about its content."""

import json
import os
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.disinfection import DisinfectionResult
from station.domain.events import PieceEvent, PieceStatus
from station.domain.piece import Secrecy
from station.domain.reasons import Reason
from station.tracking.message import STEPS, MessageRules, cloud_event
from tests.support.store_facts import at

RULES = MessageRules(site="HN1")
SHA = "ab" * 32

CONTRACT = {
    "arrived": ("receiving", "in_progress"),
    "screened": ("inspecting", "in_progress"),
    "cleared": ("inspecting", "conformant"),
    "held": ("holding", "unavailable"),
    "rejected": ("inspecting", "non_conformant"),
    "frozen": ("inspecting", "non_conformant"),
    "handed_over": ("inspecting", "non_conformant"),
    "disinfected": ("urn:kt1:bizstep:disinfecting", "conformant"),
    "released": ("staging_outbound", "available"),
    "returned": ("shipping", "returned"),
    "escaped": ("urn:kt1:bizstep:recalling", "recalled"),
    "cancelled": ("void_shipping", "inactive"),
}


def piece_event(status: PieceStatus = PieceStatus.HELD, **changes: Any) -> PieceEvent:
    whole = PieceEvent(
        piece_id="EE473124829VN",
        visit=2,
        status=status,
        at=at(1.5),
        lane_id="1",
        secrecy=None,
        reasons=(Reason.MODEL_ALARM, Reason.TRACK_LOST, Reason.OPAQUE_AREA),
        outcome="held",
        policy_sha256=SHA,
        model_sha256=SHA,
    )
    return replace(whole, **changes)


def disinfection(**changes: Any) -> DisinfectionResult:
    whole = DisinfectionResult(
        piece_id="EE473124829VN",
        visit=2,
        at=at(9),
        unit_id="uv1",
        nonce=7,
        recipe_sha256=SHA,
        dose_mj_per_cm2=31.25,
        unit_dose_mj_per_cm2=31.0,
        target_mj_per_cm2=30.0,
        min_irradiance_uw_per_cm2=4200.0,
        max_irradiance_uw_per_cm2=5100.0,
        started_at=at(2),
        ended_at=at(8),
        samples_sha256=SHA,
    )
    return replace(whole, **changes)


def test_the_envelope_is_the_contracts():
    message = cloud_event(piece_event(), 3, RULES)
    data = message.pop("data")
    assert message == {
        "specversion": "1.0",
        "id": "HN1:EE473124829VN:3",
        "source": "urn:kt1:site:HN1",
        "subject": "EE473124829VN",
        "type": "vn.kt1.piece.held.v1",
        "time": "2026-11-20T05:00:01.500Z",
        "datacontenttype": "application/json",
        "sequence": 3,
        "visit": 2,
        "partitionkey": "EE473124829VN",
    }
    assert data["epcList"] == ["urn:kt1:piece:EE473124829VN"]
    assert (data["type"], data["action"], data["eventTimeZoneOffset"]) == ("ObjectEvent", "OBSERVE", "+00:00")
    assert data["@context"][1] == {"kt1": "urn:kt1:ns:"}
    assert (data["readPoint"]["id"], data["bizLocation"]["id"]) == ("urn:kt1:lane:HN1:1", "urn:kt1:site:HN1")
    assert (data["kt1:outcome"], data["kt1:policySha256"], data["kt1:modelSha256"]) == ("held", SHA, SHA)
    assert data["kt1:reasons"] == ["model-alarm", "track-lost", "opaque-area"]


@pytest.mark.parametrize("status", PieceStatus)
def test_steps_and_dispositions_are_the_contracts(status: PieceStatus):
    data = cloud_event(piece_event(status), 1, RULES)["data"]
    assert (data["bizStep"], data["disposition"]) == CONTRACT[status.value] == STEPS[status]
    certificate = "urn:kt1:certificate:HN1:EE473124829VN:2" if status is PieceStatus.RELEASED else None
    assert data.get("kt1:certificate") == certificate


@pytest.mark.parametrize("secrecy", Secrecy)
@pytest.mark.parametrize("outcome", ["held", "attention"])
def test_a_marked_pieces_message_says_nothing_about_content(secrecy: Secrecy, outcome: str):
    event = piece_event(secrecy=secrecy, reasons=tuple(Reason), outcome=outcome)
    message = cloud_event(event, 1, RULES)
    assert message["data"]["kt1:reasons"] == [reason.value for reason in Reason if not reason.describes_content]
    assert message["data"]["kt1:outcome"] == "held"
    assert "kt1:secrecy" not in message["data"]
    text = json.dumps(message)
    assert not any(f'"{reason.value}"' in text for reason in Reason if reason.describes_content)
    assert "score" not in text.replace("attention-score", "")


def test_the_level_is_sent_only_where_the_site_says_so():
    data = cloud_event(piece_event(secrecy=Secrecy.B), 1, replace(RULES, send_secrecy=True))["data"]
    assert data["kt1:secrecy"] == "B"
    assert "kt1:secrecy" not in cloud_event(piece_event(), 1, replace(RULES, send_secrecy=True))["data"]


def test_the_destination_is_sent_only_where_the_site_says_so():
    told = piece_event(destination="VP-07")
    assert cloud_event(told, 1, replace(RULES, send_destination=True))["data"]["kt1:destination"] == "VP-07"
    for event, rules in ((told, RULES), (piece_event(), replace(RULES, send_destination=True))):
        assert "kt1:destination" not in cloud_event(event, 1, rules)["data"]


def test_a_piece_that_never_came_was_read_nowhere():
    assert "readPoint" not in cloud_event(piece_event(PieceStatus.CANCELLED, lane_id=""), 1, RULES)["data"]


def test_doses_are_sent_in_si_units():
    data = cloud_event(piece_event(PieceStatus.DISINFECTED, disinfection=disinfection()), 1, RULES)["data"]
    (element,) = data["sensorElementList"]
    assert element["sensorMetadata"]["startTime"] == "2026-11-20T05:00:02.000Z"
    assert element["sensorMetadata"]["endTime"] == "2026-11-20T05:00:08.000Z"
    dose, irradiance = element["sensorReport"]
    assert (dose["value"], dose["uom"]) == (312.5, "B13")
    assert (irradiance["minValue"], irradiance["maxValue"], irradiance["uom"]) == (42.0, 51.0, "D54")


def test_figures_that_are_no_numbers_are_left_out():
    broken = disinfection(dose_mj_per_cm2=float("nan"), max_irradiance_uw_per_cm2=float("inf"))
    rendered = RULES.render(piece_event(PieceStatus.HELD, disinfection=broken), 1)
    reports = json.loads(rendered.body)["data"]["sensorElementList"][0]["sensorReport"]
    assert reports == [{"type": "urn:kt1:sensor:uvc-dose", "uom": "B13"}, {"type": "Irradiance", "uom": "D54", "minValue": 42.0}]


@given(st.text(min_size=1, max_size=30), st.integers(1, 2**31), st.sampled_from(PieceStatus))
def test_rendering_is_repeatable_and_any_id_gives_valid_uris(piece_id: str, sequence: int, status: PieceStatus):
    event = piece_event(status, piece_id=piece_id, lane_id=piece_id)
    rendered = RULES.render(event, sequence)
    assert rendered == RULES.render(event, sequence)
    message = json.loads(rendered.body)
    assert rendered.event_id == message["id"]
    uris = [*message["data"]["epcList"], message["data"]["readPoint"]["id"]]
    assert all(uri.isascii() and not set(uri) & set(' "<>\\^`{|}#?') for uri in uris)


def test_times_are_sent_as_utc():
    local = piece_event(at=at(1.5).astimezone(timezone(timedelta(hours=7))))
    assert RULES.render(local, 1) == RULES.render(piece_event(), 1)


@pytest.mark.parametrize("status", PieceStatus)
@pytest.mark.parametrize("secrecy", [None, Secrecy.A])
def test_the_data_is_valid_epcis(status: PieceStatus, secrecy: Secrecy | None):
    shared = Path(os.environ.get("KT1_SHARED", Path(__file__).parents[4] / "shared"))
    schema_file = shared / "data/epcis/EPCIS-JSON-Schema.json"
    if not schema_file.exists():
        pytest.skip("the EPCIS 2.0 JSON schema is not there (set KT1_SHARED)")
    event = piece_event(status, secrecy=secrecy, disinfection=disinfection())
    data = json.loads(RULES.render(event, 1).body)["data"]
    checker = jsonschema_rs.Draft7Validator(json.loads(schema_file.read_text()), validate_formats=True)
    assert [error.message for error in checker.iter_errors(data)] == []
    assert [*checker.iter_errors({**data, "bizStep": "no-such-step"})] != []
