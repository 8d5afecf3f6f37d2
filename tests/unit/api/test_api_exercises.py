"""A projected image over the interface: like any other while it is shown, told and confirmed afterwards; and the figures made of them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from station.domain.access import Role
from station.domain.piece import PieceState, Secrecy
from station.domain.projection import ProjectedThreat, ProjectionAnswer, ProjectionResult
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading
from station.ports.screening import ScreeningResult
from station.ports.store import UnitOfWork
from station.workflow.views import ExerciseView, ProjectedImage
from tests.support.api_station import LANE, MODEL, START, Desk

PROJECTED = "fe" * 32
TOLD = ExerciseView(
    piece_id="P1",
    visit=2,
    answer=ProjectionAnswer.MISSED,
    threat_class="blade",
    box_share=(0.1, 0.2, 0.3, 0.4),
    confirmed=False,
    silence_freezes=False,
    level=None,
)


def projected_image(piece_id: str, sha256: str) -> ProjectedImage:
    views = ScreeningResult(
        model_sha256=MODEL,
        score=0.9,
        threshold=0.5,
        p_value=0.01,
        calibration_n=100,
        length_mm=96.0,
        width_mm=77.0,
        findings=(),
        model_findings=(),
        heat_map=np.zeros((120, 96), np.uint8),
        view_png=b"\x89PNG projected",
        heat_png=b"\x89PNG heat",
        fingerprint=np.zeros((2, 2), np.float32),
        duration_ms=5.0,
    )
    reading = ModelReading(
        piece_id=piece_id,
        visit=1,
        at=START,
        scan_sha256=sha256,
        model_sha256=MODEL,
        score=0.9,
        threshold=0.5,
        p_value=0.01,
        calibration_n=100,
        kind="envelope",
        duration_ms=5.0,
        projected_sha256=PROJECTED,
    )
    return ProjectedImage(scan_sha256=sha256, reading=reading, views=views)


def test_while_it_is_shown_nothing_tells_the_projected_image_from_a_true_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED)
    assert sha256 is not None
    desk.ask_operator(piece_id, sha256)
    before = {path: desk.get(path.format(sha=sha256)) for path in (f"/pieces/{piece_id}", f"/scans/{{sha}}?piece={piece_id}")}
    desk.lane.image = projected_image(piece_id, sha256)
    read: list[str] = []
    views = desk.images.views
    monkeypatch.setattr(desk.images, "views", lambda name: read.append(name) or views(name))
    after = {path: desk.get(path.format(sha=PROJECTED)) for path in before}
    assert str(after) == str(before).replace(sha256, PROJECTED).replace("0.7", "0.9")
    for name, content in (("view.png", b"\x89PNG projected"), ("heat.png", b"\x89PNG heat")):
        answer = desk.client.get(f"/api/v1/scans/{PROJECTED}/{name}?piece={piece_id}")
        assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "image/png", content)
        # As much is read and unsealed for it as for a true image: it comes no sooner.
        assert read.pop() == sha256
        assert desk.client.get(f"/api/v1/scans/{sha256}/{name}?piece={piece_id}").status_code == 404
    desk.handlers.policy = replace(desk.handlers.policy, blind_sample=1.0)
    assert desk.client.get(f"/api/v1/scans/{PROJECTED}/heat.png?piece={piece_id}").status_code == 404
    desk.lane.image = None
    assert desk.client.get(f"/api/v1/scans/{PROJECTED}/view.png?piece={piece_id}").status_code == 404
    assert desk.client.get(f"/api/v1/scans/{sha256}/view.png?piece={piece_id}").status_code == 200


def test_the_screen_confirms_what_it_has_shown(desk: Desk) -> None:
    path, body = f"/lanes/{LANE}/exercise/shown", {"piece_id": "P1", "visit": 2}
    assert desk.post(path, body).status_code == 404
    desk.lane.show(exercise=TOLD)
    assert not desk.get(f"/lanes/{LANE}")["exercise"]["confirmed"]
    assert desk.post(path, body).json() == {"lane_id": LANE, **body, "confirmed": True}
    assert desk.get(f"/lanes/{LANE}")["exercise"] | {"confirmed": False} == {
        "piece_id": "P1",
        "visit": 2,
        "answer": "missed",
        "threat_class": "blade",
        "box_share": [0.1, 0.2, 0.3, 0.4],
        "confirmed": False,
        "silence_freezes": False,
    }


def test_the_figures_come_with_intervals_and_nobody_is_ranked_by_chance(desk: Desk) -> None:
    threat = ProjectedThreat(
        scan_sha256="a" * 64, projected_sha256=PROJECTED, library_sha256="b" * 64, thing_id="x", threat_class="blade", box_px=(1, 1, 2, 2)
    )

    def day_of(person: str, number: int, hits: int, days: int = 0) -> None:
        at = START + timedelta(days=days)

        def work(uow: object) -> None:
            for n in range(number):
                answer = ProjectionAnswer.CALLED_HOLD if n < hits else ProjectionAnswer.MISSED
                result = ProjectionResult(
                    piece_id=f"{person}-{n}",
                    visit=1,
                    at=at,
                    lane_id=LANE,
                    threat=threat,
                    person=person,
                    answer=answer,
                    answered_after_s=1.0,
                    revealed_at=at,
                    model_sha256=MODEL,
                    model_alarmed=n % 2 == 0,
                )
                uow.append(result)  # type: ignore[attr-defined]
                said = OperatorDecision.HOLD if n % 10 == 0 else OperatorDecision.CLEAR
                for piece_id in (f"{person}-{n}", f"plain-{person}-{n}"):
                    reading = OperatorReading(
                        piece_id=piece_id, visit=1, at=at, scan_sha256="a" * 64, person=person, decision=said, blind=False
                    )
                    uow.append(reading)  # type: ignore[attr-defined]

        desk.write(work)

    day_of("An", 110, 105)
    day_of("Bình", 110, 45)
    day_of("Chi", 3, 3)
    day_of("An", 5, 0, days=-40)
    found = desk.get("/performance")
    assert (found["first"], found["last"]) == ("2026-11-01", "2026-11-21")
    an, binh, chi = found["people"]
    assert (an["name"], an["projections"], an["hits"], an["images"], an["false_alarms"]) == ("An", 110, 105, 110, 11)
    assert an["hit_rate"]["low"] < an["hit_rate"]["value"] < an["hit_rate"]["high"]
    assert an["d_a"]["low"] > binh["d_a"]["high"]
    assert [(one["rank"], one["not_ranked"]) for one in (an, binh, chi)] == [(1, None), (2, None), (None, "too-few-projections")]
    assert found["reliability"] > 0.7
    (model,) = found["models"]
    assert (model["name"], model["projections"], model["hits"], model["rank"], model["not_ranked"]) == (MODEL, 223, 112, None, None)
    october = desk.get("/performance?first=2026-10-01&last=2026-10-31")
    assert [(one["name"], one["projections"], one["hits"]) for one in october["people"]] == [("An", 5, 0)]
    assert desk.client.get("/api/v1/performance?first=2026-01-02&last=2026-01-01").status_code == 403


def test_figures_know_of_no_marked_piece(desk: Desk) -> None:
    plain, marked, unknown = desk.put_piece()[0], desk.put_piece(secrecy=Secrecy.C)[0], desk.put_piece(announced=False)[0]

    def work(uow: UnitOfWork) -> None:
        for piece_id in (plain, marked, unknown):
            reading = OperatorReading(
                piece_id=piece_id, visit=1, at=START, scan_sha256="a" * 64, person="lan", decision=OperatorDecision.HOLD, blind=False
            )
            uow.append(reading)

    desk.write(work)
    found = desk.get("/performance")
    counted = [(one["name"], one["images"], one["false_alarms"]) for one in found["people"] + found["models"]]
    assert counted == [
        ("lan", 1, 1),
        (MODEL, 1, 1),
    ]


def test_the_truth_about_an_exercise_is_for_those_who_may_see_the_piece(desk: Desk) -> None:
    desk.lane.show(exercise=replace(TOLD, level=Secrecy.B))
    path, body = f"/lanes/{LANE}/exercise/shown", {"piece_id": "P1", "visit": 2}
    for login, clearance, sees in (("lan", Secrecy.C, False), ("mai", Secrecy.B, True)):
        headers = desk.door.signed(login, roles=frozenset({Role.OPERATOR}), clearance=clearance).headers
        shown = desk.client.get(f"/api/v1/lanes/{LANE}", headers=headers).json()["exercise"]
        assert (shown is not None, desk.post(path, body, person=login).status_code) == (sees, 200 if sees else 404)
    assert desk.lane.asked == [("confirm", "P1", 2)]
