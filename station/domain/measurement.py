"""What the infeed measures of a piece, what of it speaks against the piece, and when a review has judged just that. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from station.domain.piece import Announcement
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.scan import Finding

RADIATION_SPREAD = 0.2
"""Share by which two readings of one weak source differ: a dose rate this near the limit is a few counts a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfeedMeasurement:
    """What was measured of a piece at the infeed on one visit; None where nothing was measured.

    `radiation_nsv_per_h` is the highest dose rate while the piece lay there. `findings` are what speaks against the piece, each with
    the figure and its bound: size in mm, weight in g, radiation in nSv/h.
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    length_mm: float | None
    weight_g: float | None
    radiation_nsv_per_h: float
    findings: tuple[Finding, ...] = ()


def measured_findings(
    announcement: Announcement, policy: Policy, *, length_mm: float | None, weight_g: float | None, radiation_nsv_per_h: float
) -> tuple[Finding, ...]:
    """What speaks against a piece: size or weight far from the announcement, radiation above background. What is no number does too."""
    return (
        *_size(announcement, policy, length_mm),
        *_weight(announcement, policy, weight_g),
        *_radiation(policy, radiation_nsv_per_h),
    )


def is_beyond_review(finding: Finding, policy: Policy) -> bool:
    """True for radiation that no review may excuse: at or above the attention level, or of no known strength."""
    measured = finding.measured
    return finding.reason is Reason.RADIATION and not (measured is not None and measured < policy.radiation_attention_nsv_per_h)


def was_reviewed(finding: Finding, reviewed: InfeedMeasurement | None, policy: Policy) -> bool:
    """True when people who cleared the piece had judged this very finding: its measure is the reviewed one within its tolerance.

    Size and weight must be as they were, not merely nearer to the announcement: whatever else came in or went out. Radiation may
    also be weaker; what is or was beyond review is excused by none.
    """
    known = next((one for one in reviewed.findings if one.reason is finding.reason), None) if reviewed is not None else None
    if known is None or known.measured is None or finding.measured is None:
        return False
    if is_beyond_review(known, policy) or is_beyond_review(finding, policy):
        return False
    now, then = finding.measured, known.measured
    if finding.reason is Reason.SIZE_DIFFERS:
        return abs(now - then) <= policy.size_tolerance_mm
    if finding.reason is Reason.WEIGHT_DIFFERS:
        return abs(now - then) <= policy.weight_tolerance_g
    return finding.reason is Reason.RADIATION and now <= (1 + RADIATION_SPREAD) * then


def _size(announcement: Announcement, policy: Policy, length_mm: float | None) -> Iterator[Finding]:
    sizes = [size for size in (announcement.length_mm, announcement.width_mm, announcement.height_mm) if size is not None]
    if not sizes:
        return
    if length_mm is None:
        # The eyes measure whatever comes to its end before it must be known what it is: this is longer, or two things without a gap.
        yield Finding(reason=Reason.SIZE_DIFFERS, limit=max(sizes) + policy.size_tolerance_mm)
        return
    nearest = min(sizes, key=lambda size: abs(size - length_mm))
    yield from _off(Reason.SIZE_DIFFERS, length_mm, nearest, policy.size_tolerance_mm)


def _weight(announcement: Announcement, policy: Policy, weight_g: float | None) -> Iterator[Finding]:
    if weight_g is None or announcement.weight_g is None:
        return
    tolerance_g = max(policy.weight_tolerance_g, policy.weight_tolerance_share * announcement.weight_g)
    yield from _off(Reason.WEIGHT_DIFFERS, weight_g, announcement.weight_g, tolerance_g)


def _off(reason: Reason, measured: float, announced: float, tolerance: float) -> Iterator[Finding]:
    if not abs(measured - announced) <= tolerance:
        yield Finding(reason=reason, measured=measured, limit=announced + math.copysign(tolerance, measured - announced))


def _radiation(policy: Policy, nsv_per_h: float) -> Iterator[Finding]:
    if not nsv_per_h <= policy.radiation_limit_nsv_per_h:
        yield Finding(reason=Reason.RADIATION, measured=nsv_per_h, limit=policy.radiation_limit_nsv_per_h)
