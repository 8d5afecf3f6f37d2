"""The demo's report (contract: command line). The truth comes from the simulated world and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from station.domain.clearance import Clearance, Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.gate import Refusal
from station.domain.review import ReviewDecision
from station.domain.scan import ModelReading, Scan
from station.ports.store import EvidenceRow

DANGERS = (
    "openings_without_permit",
    "released_unscanned",
    "released_uncleared",
    "released_undisinfected",
    "wrong_piece_released",
    "escaped",
    "irradiated_uncleared",
    "moved_while_frozen",
    "scanned_while_frozen",
)
"""Counters of the world that must stay 0."""

LEAVING = frozenset({"gate", "hold_bin"})
MS = 1000.0


@dataclass(slots=True, kw_only=True)
class RunFacts:
    """What a run left behind, besides the store: from the simulators, the receiver, and the lanes' own clocks."""

    seed: int
    speed: float
    wall_s: float
    simulated_s: float
    truths: list[dict[str, Any]]
    worlds: list[dict[str, int]]
    stays: list[list[dict[str, Any]]]
    tracking: dict[str, int]
    decision_ms: dict[tuple[str, int], float]
    permit_ms: list[float]
    secrecy: dict[str, str | None]
    faults: dict[str, list[str]] = field(default_factory=dict)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; 0 for no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def piece_entry(truth: dict[str, Any], rows: Sequence[EvidenceRow], state: str, reasons: Sequence[str], facts: RunFacts) -> dict[str, Any]:
    """One piece of the report."""
    evidence = [row.evidence for row in rows]
    clearances = [fact for fact in evidence if isinstance(fact, Clearance)]
    readings = [fact for fact in evidence if isinstance(fact, ModelReading)]
    scans = [fact for fact in evidence if isinstance(fact, Scan)]
    doses = [fact for fact in evidence if isinstance(fact, DisinfectionResult)]
    first = clearances[0] if clearances else None
    held_before = not clearances or (first is not None and first.outcome is not Outcome.CLEARED)
    decision_ms = facts.decision_ms.get((truth["piece_id"], first.visit)) if first else None
    return {
        "piece_id": truth["piece_id"],
        "kind": truth["kind"],
        "secrecy": facts.secrecy.get(truth["piece_id"]),
        "truth": truth["truth"],
        "image_source": truth["image_source"],
        "first_decision": "held" if held_before else "cleared",
        "reviews": sum(isinstance(fact, ReviewDecision) for fact in evidence),
        "outcome": state,
        "reasons": list(reasons),
        "scan_sha256": scans[-1].sha256 if scans else None,
        "score": readings[0].score if readings else None,
        "p_value": readings[0].p_value if readings else None,
        "dose_mj_per_cm2": round(doses[-1].dose_mj_per_cm2, 3) if doses else None,
        "true_dose_mj_per_cm2": truth["true_dose_mj_per_cm2"],
        "decision_ms": round(decision_ms, 1) if decision_ms is not None else None,
        "refusals": sum(isinstance(fact, Refusal) for fact in evidence),
        "faults": facts.faults.get(truth["piece_id"], []),
    }


def pieces_per_hour(stays: Sequence[Sequence[dict[str, Any]]]) -> float:
    """Exits of the gate and entries into the hold bin per hour of simulated time, from the first to the last, over all lanes."""
    per_hour = 0.0
    for lane in stays:
        ends = sorted(stay["exit_ms"] for stay in lane if stay["exit"] in LEAVING)
        if len(ends) > 1 and ends[-1] > ends[0]:
            per_hour += (len(ends) - 1) * 3_600_000.0 / (ends[-1] - ends[0])
    return per_hour


def build_report(pieces: list[dict[str, Any]], facts: RunFacts) -> dict[str, Any]:
    """The whole report."""
    threats = [piece for piece in pieces if piece["truth"] == "threat"]
    benign = [piece for piece in pieces if piece["truth"] == "benign"]
    decisions = list(facts.decision_ms.values())
    return {
        "seed": facts.seed,
        "speed": facts.speed,
        "wall_s": round(facts.wall_s, 1),
        "simulated_s": round(facts.simulated_s, 1),
        "pieces": pieces,
        "world": {name: sum(world[name] for world in facts.worlds) for name in facts.worlds[0]},
        "detection": {
            "threats": len(threats),
            "threats_cleared_at_first": sum(piece["first_decision"] == "cleared" for piece in threats),
            "threats_released": sum(piece["outcome"] == "released" for piece in threats),
            "benign": len(benign),
            "benign_held_at_first": sum(piece["first_decision"] != "cleared" for piece in benign),
        },
        "tracking": facts.tracking,
        "timing": {
            "decision_ms": {"p50": round(percentile(decisions, 0.5), 1), "p99": round(percentile(decisions, 0.99), 1)},
            "permit_ms": {"p50": round(percentile(facts.permit_ms, 0.5), 1), "p99": round(percentile(facts.permit_ms, 0.99), 1)},
            "pieces_per_hour": round(pieces_per_hour(facts.stays), 1),
        },
    }


def dangers(report: dict[str, Any]) -> dict[str, int]:
    """The counters of the world that name a danger and are not 0."""
    return {name: report["world"][name] for name in DANGERS if report["world"][name]}
