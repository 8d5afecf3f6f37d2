"""Old and new side by side, and when the new may not take effect."""

from typing import Any

import numpy as np
import pytest

from station.screening.site_judgement import objections, side_by_side, threshold_of, wilson_low
from station.screening.site_scoring import MeasuredPiece, Threat

CALIBRATION = {"unknown": np.linspace(0, 0.4, 600).tolist(), "envelope": np.linspace(0, 0.2, 30).tolist()}


def pieces(*, gain: float, count: int = 60, classes: tuple[str, ...] = ("blade", "powder")) -> list[MeasuredPiece]:
    """The old scores threats `0.3 + noise`, the new ones `gain` more."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(count):
        benign = float(rng.uniform(0, 0.4))
        old = rng.uniform(0.1, 0.6, len(classes))
        threats = tuple(
            Threat(threat_class=name, old=float(score), new=float(np.clip(score + gain, 0, 1)))
            for name, score in zip(classes, old, strict=True)
        )
        made.append(MeasuredPiece(name=f"P{number}", kind="envelope", old=benign, new=benign, threats=threats))
    return made


def measured(**given: Any) -> dict[str, Any]:
    return side_by_side(pieces(**given), CALIBRATION, alpha=0.05, old_threshold=lambda _: 0.35)


def test_both_models_are_measured_on_the_same_pieces_and_paired():
    found = measured(gain=0.3)
    assert (found["pieces"], found["projections"]) == (60, 120)
    for which, other in (("old", "new"), ("new", "old")):
        assert found[which]["auroc"]["n"] == found[other]["auroc"]["n"] == 120
    for key in ("auroc", "found", "paired_win", "alarms_on_threats"):
        new, old, change = (found[which][key] for which in ("new", "old", "difference"))
        assert change["mean"] == pytest.approx(new["mean"] - old["mean"])
        # paired: narrower than two intervals that know nothing of each other
        assert 0 < change["lo"] <= change["mean"] <= change["hi"]
    # the new threshold stands on the pool, since 30 envelopes are too few
    assert threshold_of(CALIBRATION, 0.05)("envelope") == pytest.approx(0.38, abs=0.002)
    alarms = np.mean([threat.new >= threshold_of(CALIBRATION, 0.05)("envelope") for one in pieces(gain=0.3) for threat in one.threats])
    assert found["new"]["alarms_on_threats"]["mean"] == pytest.approx(alarms)
    assert found["detection_lower_95"] == pytest.approx(wilson_low(alarms, 60))
    assert objections(found) == []


def test_what_is_no_better_takes_effect_only_if_that_is_shown():
    assert objections(measured(gain=0.0)) == []
    worse = objections(measured(gain=-0.15))
    assert any(one.startswith("AUROC: new minus old may be as low as -0.") for one in worse)
    assert any(one.startswith("found at 5 %") for one in worse)


def test_many_threats_of_an_easy_class_prove_nothing_of_the_others():
    def found(*threats: tuple[str, float]) -> tuple[Threat, ...]:
        return tuple(Threat(threat_class=name, old=0.0, new=score) for name, score in threats)

    even = [MeasuredPiece(name=f"P{n}", kind="envelope", old=0, new=0, threats=found(("blade", 0), ("shield", 1))) for n in range(100)]
    uneven = [*even[:50], *(MeasuredPiece(name=f"Q{n}", kind="envelope", old=0, new=0, threats=found(("shield", 1))) for n in range(50))]
    bounds = [side_by_side(given, CALIBRATION, alpha=0.05, old_threshold=lambda _: 0.5)["detection_lower_95"] for given in (even, uneven)]
    assert bounds[0] == pytest.approx(wilson_low(0.5, 100))
    # two thirds alarm, and it still counts as half; with less behind it
    assert bounds[1] == pytest.approx(wilson_low(0.5, 100 * 8 / 9))


def test_a_kind_that_hides_threats_is_not_proved_by_another_that_shows_them():
    def bound(**calibration: int) -> float | None:
        scores = {kind: np.linspace(0, 0.4, count).tolist() for kind, count in {"unknown": 1500, **calibration}.items()}
        return side_by_side(given, scores, alpha=0.05, old_threshold=lambda _: 0.5)["detection_lower_95"]

    shown, hidden = ((Threat(threat_class="blade", old=0.0, new=score),) for score in (1.0, 0.0))
    given = [MeasuredPiece(name=f"E{n}", kind="envelope", old=0, new=0, threats=shown) for n in range(400)]
    given += [MeasuredPiece(name=f"P{n}", kind="parcel", old=0, new=0, threats=hidden) for n in range(10)]
    assert bound(envelope=600, parcel=600) == pytest.approx(wilson_low(0.0, 10))
    # people clear parcels: they are too few; packets would be cleared, and nothing was measured in them
    assert bound(envelope=600, parcel=499) == pytest.approx(wilson_low(400 / 410, 410))
    assert bound(envelope=600, packet=600) is None


def test_a_piece_that_nobody_announced_is_proved_by_the_threshold_that_it_gets():
    """Its threshold is that of all kinds together, which lies higher than an envelope's own."""
    calibration = {"unknown": np.linspace(0, 0.9, 1200).tolist(), "envelope": np.linspace(0, 0.2, 600).tolist()}
    threats = (Threat(threat_class="blade", old=0.0, new=0.5),)
    given = [MeasuredPiece(name=f"E{n}", kind="envelope", old=0, new=0, threats=threats) for n in range(300)]
    found = side_by_side(given, calibration, alpha=0.05, old_threshold=lambda _: 0.5)
    assert found["new"]["alarms_on_threats"]["mean"] == 1.0
    assert found["detection_lower_95"] == pytest.approx(wilson_low(0.0, 300), abs=1e-9)


def test_the_bound_speaks_of_the_kinds_and_classes_that_it_was_measured_with():
    scores = {kind: np.linspace(0, 0.4, 600).tolist() for kind in ("unknown", "envelope", "parcel")}
    sheet, gun = (Threat(threat_class=name, old=0.0, new=0.9) for name in ("shield", "handgun"))
    given = [MeasuredPiece(name=f"E{n}", kind="envelope", old=0, new=0, threats=(sheet,)) for n in range(40)]
    given += [MeasuredPiece(name=f"P{n}", kind="parcel", old=0, new=0, threats=(sheet, gun)) for n in range(50)]
    found = side_by_side(given, scores, alpha=0.05, old_threshold=lambda _: 0.5)
    parts = found["detection_by_kind"]
    assert {kind: one["classes"] for kind, one in parts.items()} == {
        "unknown": {"handgun": 50, "shield": 90},
        "envelope": {"shield": 40},
        "parcel": {"handgun": 50, "shield": 50},
    }
    assert [one["pieces"] for one in parts.values()] == [90, 40, 50]
    assert found["detection_lower_95"] == min(one["lower_95"] for one in parts.values()) == parts["envelope"]["lower_95"]
    assert len(found["not_measured"]) == 10
    assert not {"shield", "handgun"} & set(found["not_measured"])


def test_a_class_that_is_unlearned_is_named():
    found = measured(gain=0.2)
    found["by_class"]["blade"]["difference"] = {"mean": -0.2, "lo": -0.3, "hi": -0.1, "n": 60}
    assert objections(found) == ["blade: new minus old is -0.200 [-0.300, -0.100]"]
    found["by_class"]["blade"]["difference"]["n"] = 9
    assert objections(found) == []


def test_without_a_projection_nothing_is_shown():
    found = side_by_side(
        [MeasuredPiece(name="P", kind="envelope", old=0.1, new=0.1, threats=())], CALIBRATION, alpha=0.05, old_threshold=lambda _: 0.5
    )
    assert found["detection_lower_95"] is None
    assert objections(found) == ["AUROC could not be measured", "found at 5 % false alarms could not be measured"]


@pytest.mark.parametrize(("share", "trials", "low"), [(1.0, 36, 0.9036), (0.5, 100, 0.4038), (0.0, 10, 0.0)])
def test_the_lower_bound_is_wilsons(share: float, trials: int, low: float):
    assert wilson_low(share, trials) == pytest.approx(low, abs=1e-4)
