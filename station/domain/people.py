"""How many people a clearance takes, and which holds only people can lift."""

from collections.abc import Iterable

from station.domain.piece import Secrecy
from station.domain.reasons import Reason

JUDGED_BY_PEOPLE = frozenset({Reason.OPAQUE_AREA, Reason.RADIATION, Reason.MODEL_ALARM, Reason.ATTENTION_SCORE})
"""Findings that people who reviewed the cleared scan have judged; they do not hold the re-fed piece again if its image matches."""

NEEDS_REVIEW = JUDGED_BY_PEOPLE | {
    Reason.NEW_FINDING,
    Reason.IMAGE_MISMATCH,
    Reason.OPERATOR_HOLDS,
    Reason.REVIEW_HOLDS,
    Reason.REVIEW_REJECTS,
    Reason.FROZEN,
}
"""Holds that stay over later visits until a review lifts them: feeding a piece in again and again must not clear it."""

MODEL_FREE = frozenset(
    {
        Reason.OPAQUE_AREA,
        Reason.RADIATION,
        Reason.SIZE_DIFFERS,
        Reason.WEIGHT_DIFFERS,
        Reason.BARCODE_DIFFERS,
        Reason.TAILGATE,
        Reason.SCAN_INCOMPLETE,
        Reason.LINES_MISSING,
        Reason.PIECE_CLIPPED,
        Reason.TWO_PIECES,
        Reason.DETECTOR_SATURATED,
        Reason.BELT_SPEED_OFF,
        Reason.BEAM_OFF_SET_POINT,
        Reason.CALIBRATION_STALE,
        Reason.IMAGE_MISMATCH,
        Reason.NEW_FINDING,
    }
)
"""Model-free findings and device alarms: overriding one takes two people."""


def people_needed(secrecy: Secrecy | None, reasons: Iterable[Reason]) -> int:
    """How many distinct people must clear a held piece: two for a marked one and over a model-free finding, else one."""
    return 2 if secrecy is not None or not MODEL_FREE.isdisjoint(reasons) else 1


def distinct_people(names: Iterable[str]) -> tuple[str, ...]:
    """The different people among `names`, in order; spelling in other case or with spaces around is the same person, blank is nobody."""
    seen: dict[str, str] = {}
    for name in names:
        key = name.strip().casefold()
        if key:
            seen.setdefault(key, name)
    return tuple(seen.values())
