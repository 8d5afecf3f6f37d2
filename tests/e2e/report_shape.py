"""The shape of the demo's report, as the outside contract gives it."""

from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.support.dangers import DANGERS

_COUNT = {"type": "integer", "minimum": 0}
_NUMBER = {"type": "number", "minimum": 0}
_SHARES = {"type": "object", "properties": {"p50": _NUMBER, "p99": _NUMBER}, "required": ["p50", "p99"]}


def _all(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members)}


def _maybe(kind: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [kind, {"type": "null"}]}


_PIECE = _all(
    {
        "piece_id": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{9}[A-Z]{2}$"},
        "kind": {"enum": ["envelope", "packet", "parcel", "unknown"]},
        "secrecy": {"enum": ["A", "B", "C", None]},
        "truth": {"enum": ["benign", "threat"]},
        "image_source": _maybe({"type": "string"}),
        "first_decision": {"enum": ["cleared", "held", "frozen"]},
        "reviews": _COUNT,
        "outcome": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "scan_sha256": _maybe({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        "score": _maybe({"type": "number"}),
        "p_value": _maybe({"type": "number", "minimum": 0, "maximum": 1}),
        "dose_mj_per_cm2": _maybe(_NUMBER),
        "true_dose_mj_per_cm2": _NUMBER,
        "decision_ms": _maybe(_NUMBER),
        "faults": {"type": "array"},
    }
)

_REPORT = _all(
    {
        "seed": _COUNT,
        "speed": _NUMBER,
        "wall_s": _NUMBER,
        "simulated_s": _NUMBER,
        "pieces": {"type": "array", "items": _PIECE},
        "world": _all(dict.fromkeys(("released", "gate_openings", *DANGERS), _COUNT)),
        "detection": _all(
            dict.fromkeys(("threats", "threats_cleared_at_first", "threats_released", "benign", "benign_held_at_first"), _COUNT)
        ),
        "tracking": _all(dict.fromkeys(("events", "receipted", "out_of_order", "gaps", "double_effects"), _COUNT)),
        "timing": _all({"decision_ms": _SHARES, "permit_ms": _SHARES, "pieces_per_hour": _NUMBER}),
    }
)


def check_shape(report: dict[str, Any]) -> None:
    """Every key of the contract is there and has its type."""
    problems = [f"{error.instance_path}: {error.message}" for error in Draft202012Validator(_REPORT).iter_errors(report)]
    assert problems == []


def check_harmless(report: dict[str, Any]) -> None:
    """Nothing unsafe happened, tracking knows everything, and the figures agree with each other."""
    assert {name: report["world"][name] for name in DANGERS if report["world"][name]} == {}
    tracking = report["tracking"]
    assert tracking["events"] == tracking["receipted"] > 0
    assert (tracking["out_of_order"], tracking["gaps"], tracking["double_effects"]) == (0, 0, 0)
    released = [piece for piece in report["pieces"] if piece["outcome"] == "released"]
    assert len(released) == report["world"]["released"] <= report["world"]["gate_openings"]
    for piece in released:
        assert piece["scan_sha256"] is not None
        # A marked piece that was held is cleared by two people, at least.
        assert piece["secrecy"] is None or piece["first_decision"] == "cleared" or piece["reviews"] >= 2
        assert piece["true_dose_mj_per_cm2"] >= piece["dose_mj_per_cm2"] > 0
    assert all(piece["outcome"] in {"released", "held", "rejected"} for piece in report["pieces"])
