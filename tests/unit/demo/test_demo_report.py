"""The figures of the demo's report, and what its people count as settled."""

from typing import Any

import pytest

from station.demo.people import MOST_REFEEDS, LanePeople
from station.demo.report import DANGERS, RunFacts, build_report, dangers, percentile, pieces_per_hour


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.99, 0.0),
        ([7.0], 0.5, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(value) for value in range(1, 101)], 0.99, 99.0),
        ([float(value) for value in range(1, 101)], 0.5, 50.0),
    ],
)
def test_percentiles_are_values_that_occurred(values: list[float], share: float, expected: float):
    assert percentile(values, share) == expected


def stay(exit_name: str | None, exit_ms: float) -> dict[str, Any]:
    return {"exit": exit_name, "exit_ms": exit_ms}


def test_pieces_per_hour_counts_the_gate_and_the_hold_bin_from_the_first_to_the_last():
    lane = [stay("gate", 0.0), stay("hold_bin", 5_000.0), stay("gate", 10_000.0), stay("lifted", 11_000.0), stay(None, 0.0)]
    assert pieces_per_hour([lane]) == 720.0
    assert pieces_per_hour([lane, lane]) == 1440.0
    assert pieces_per_hour([[stay("gate", 1.0)], []]) == 0.0


def piece(truth: str, first: str, outcome: str) -> dict[str, Any]:
    return {"truth": truth, "first_decision": first, "outcome": outcome}


def facts(worlds: list[dict[str, int]]) -> RunFacts:
    return RunFacts(
        seed=1,
        speed=4.0,
        wall_s=2.0,
        simulated_s=8.0,
        truths=[],
        worlds=worlds,
        stays=[],
        tracking={"events": 1, "receipted": 1, "out_of_order": 0, "gaps": 0, "double_effects": 0},
        decision_ms={("a", 1): 10.0, ("b", 1): 30.0},
        permit_ms=[4.0],
        secrecy={},
    )


def test_the_report_sums_its_lanes_and_names_every_danger():
    quiet = dict.fromkeys(("released", "gate_openings", *DANGERS), 0)
    report = build_report(
        [piece("threat", "held", "rejected"), piece("threat", "cleared", "released"), piece("benign", "held", "released")],
        facts([quiet | {"released": 1}, quiet | {"released": 1, "escaped": 2}]),
    )
    assert report["world"]["released"] == 2
    assert dangers(report) == {"escaped": 2}
    assert report["detection"] == {
        "threats": 2,
        "threats_cleared_at_first": 1,
        "threats_released": 1,
        "benign": 1,
        "benign_held_at_first": 1,
    }
    assert report["timing"]["decision_ms"] == {"p50": 10.0, "p99": 30.0}


@pytest.mark.parametrize(
    ("state", "refeeds", "settled"),
    [
        ("announced", 0, False),
        ("held", 0, False),
        ("held", MOST_REFEEDS, True),
        ("cleared", 1, False),
        ("released", 1, True),
        ("rejected", 0, True),
        ("frozen", 0, False),
    ],
)
def test_a_piece_is_settled_when_nothing_more_happens_by_itself(state: str, refeeds: int, settled: bool):
    people = LanePeople(lane_id="lane-1", client=None, under_way=None, control=None, decide=True, note=print)  # type: ignore[arg-type]
    people.states["X"], people.refeeds["X"] = state, refeeds
    assert people.settled("X") is settled
