"""What the infeed's figures say against a piece."""

import math

import pytest

from station.domain.measurement import measured_findings
from station.domain.piece import Announcement
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.scan import Finding

R = Reason
POLICY = Policy(sha256="p" * 64)
SAID = Announcement(piece_id="EE473124829VN", length_mm=300.0, width_mm=200.0, height_mm=20.0, weight_g=400.0)
LIGHT = Announcement(piece_id="EE473124829VN", weight_g=20.0)
SILENT = Announcement(piece_id="EE473124829VN")


def found(said: Announcement, *, length_mm: float | None = 300.0, weight_g: float | None = 400.0, radiation: float = 100.0):
    return measured_findings(said, POLICY, length_mm=length_mm, weight_g=weight_g, radiation_nsv_per_h=radiation)


@pytest.mark.parametrize("length_mm", [300.0, 340.0, 260.0, 240.0, 160.0, 60.0, 0.5])
def test_any_side_may_lie_ahead(length_mm: float | None):
    assert found(SAID, length_mm=length_mm) == ()


def test_a_piece_whose_end_did_not_come_is_longer_than_any_side():
    assert found(SAID, length_mm=None) == (Finding(reason=R.SIZE_DIFFERS, limit=340.0),)
    assert found(SILENT, length_mm=None) == ()


@pytest.mark.parametrize(("length_mm", "limit"), [(340.1, 340.0), (250.1, 260.0), (150.0, 160.0), (61.0, 60.0)])
def test_a_length_that_no_side_has(length_mm: float, limit: float):
    assert found(SAID, length_mm=length_mm) == (Finding(reason=R.SIZE_DIFFERS, measured=length_mm, limit=limit),)


@pytest.mark.parametrize("weight_g", [None, 400.0, 500.0, 300.0])
def test_weights_like_the_announced_one(weight_g: float | None):
    assert found(SAID, weight_g=weight_g) == ()


@pytest.mark.parametrize(("weight_g", "limit"), [(500.1, 500.0), (299.9, 300.0)])
def test_weights_unlike_the_announced_one(weight_g: float, limit: float):
    assert found(SAID, weight_g=weight_g) == (Finding(reason=R.WEIGHT_DIFFERS, measured=weight_g, limit=limit),)


def test_a_light_piece_has_the_scale_s_own_tolerance():
    assert found(LIGHT, weight_g=35.0) == ()
    assert [one.reason for one in found(LIGHT, weight_g=35.1)] == [R.WEIGHT_DIFFERS]


def test_what_was_not_announced_cannot_differ():
    assert found(SILENT, length_mm=900.0, weight_g=9000.0) == ()


def test_radiation_from_just_above_the_limit_on():
    assert found(SAID, radiation=400.0) == ()
    assert found(SAID, radiation=400.5) == (Finding(reason=R.RADIATION, measured=400.5, limit=400.0),)


def test_what_is_no_number_is_a_finding():
    reasons = [one.reason for one in found(SAID, length_mm=math.nan, weight_g=math.nan, radiation=math.nan)]
    assert reasons == [R.SIZE_DIFFERS, R.WEIGHT_DIFFERS, R.RADIATION]
