"""Small promises of the values that everything else carries about."""

import math
from dataclasses import replace
from hashlib import sha256

import pytest
from domain_facts import DISINFECTION, MATCH, NOW, READING

from station.domain.alarm import Alarm, AlarmCode, AlarmPriority
from station.domain.drift import STATE_UNREADABLE, DriftCause
from station.domain.errors import ConfigurationError, StationError
from station.domain.events import PieceEvent, PieceStatus
from station.domain.piece import Announcement, Piece, PieceState, Secrecy, level_of
from station.domain.policy import Authority, Policy
from station.domain.reasons import NAMED_BY_MODEL, Reason


def test_reasons_about_content_are_those_that_describe_the_picture():
    about = {reason for reason in Reason if reason.describes_content}
    assert about == NAMED_BY_MODEL | {Reason.OPAQUE_AREA, Reason.RADIATION, Reason.MODEL_ALARM, Reason.ATTENTION_SCORE, Reason.NEW_FINDING}


def test_reasons_are_stable_codes():
    assert all(reason.value.replace("-", "").isalpha() and reason.value.islower() for reason in Reason)
    assert len({reason.value for reason in Reason}) == len(Reason)


@pytest.mark.parametrize(
    ("level", "authority"), [(None, "model"), (Secrecy.C, "operator"), (Secrecy.B, "operator"), (Secrecy.A, "two_people")]
)
def test_the_policy_names_an_authority_for_each_level(level: Secrecy | None, authority: str):
    policy = Policy(sha256="", authority_unmarked=Authority.MODEL)
    assert policy.authority_for(level) == authority


def test_the_blind_sample_is_the_share_that_the_policy_names():
    hashes = [sha256(str(number).encode()).hexdigest() for number in range(20_000)]
    policy = Policy(sha256="", blind_sample=0.02)
    sampled = sum(policy.is_sampled(None, scan) for scan in hashes)
    assert abs(sampled - 400) < 3 * (20_000 * 0.02 * 0.98) ** 0.5
    assert not any(policy.is_sampled(level, scan) for level in Secrecy for scan in hashes[:100])
    assert all(replace(policy, blind_sample=1.0).is_sampled(None, scan) for scan in hashes[:100])
    assert not any(replace(policy, blind_sample=0.0).is_sampled(None, scan) for scan in (*hashes[:100], "0" * 64, "no hash"))


@pytest.mark.parametrize(("scan", "share"), [("no hash", 0.02), ("", 0.02), ("f" * 64, math.nan)])
def test_what_cannot_be_drawn_is_read_blind(scan: str, share: float):
    assert Policy(sha256="", blind_sample=share).is_sampled(None, scan)


def test_a_marked_piece_knows_it():
    plain = Piece(
        piece_id="X", state=PieceState.ANNOUNCED, visit=0, state_since=NOW, announcement=Announcement(piece_id="X"), announced=True
    )
    assert (plain.secrecy, plain.is_marked) == (None, False)
    secret = Announcement(piece_id="X", secrecy=Secrecy.C)
    marked = Piece(piece_id="X", state=PieceState.ANNOUNCED, visit=0, state_since=NOW, announcement=secret, announced=True)
    assert (marked.secrecy, marked.level, marked.is_marked) == (Secrecy.C, Secrecy.C, True)
    unannounced = replace(plain, announced=False)
    assert (unannounced.secrecy, unannounced.level, unannounced.is_marked) == (None, Secrecy.A, True)
    assert level_of(None, announced=True) is Secrecy.A


def test_a_disinfection_passed_when_nothing_speaks_against_it():
    assert DISINFECTION.passed


def test_a_match_holds_and_a_reading_below_its_threshold_is_no_alarm():
    assert MATCH.holds
    assert not READING.alarms


def test_an_error_says_what_why_and_what_to_do():
    error = StationError("The belt stands.", consequence="Pieces wait", remedy="Press start")
    assert str(error) == "The belt stands. Pieces wait. Press start"
    assert str(ConfigurationError("Only this")) == "Only this"
    assert ConfigurationError.code == "configuration-invalid"


def test_alarms_and_events_are_plain_values():
    alarm = Alarm(alarm_id=1, code=AlarmCode.DOSE_SHORT, priority=AlarmPriority.HIGH, subject="lane-1", detail="29.1", raised_at=NOW)
    assert alarm.cleared_at is None
    event = PieceEvent(piece_id="X", visit=1, status=PieceStatus.HELD, at=NOW, lane_id="lane-1", secrecy=None)
    assert event.reasons == ()


@pytest.mark.parametrize(
    ("what", "about_scores"),
    [
        ("scores envelope", True),
        ("scores overall", True),
        ("image air-noise", False),
        ("image scores ", False),
        (STATE_UNREADABLE, False),
    ],
)
def test_only_scores_that_drifted_put_the_calibration_in_doubt(what: str, about_scores: bool):
    assert DriftCause(what=what, measured=420.0, limit=400.0).about_scores is about_scores
