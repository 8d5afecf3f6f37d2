"""What a second scan of a piece shows that the first one did not; pure."""

from station.domain.reasons import NAMED_BY_MODEL, Reason
from station.domain.scan import Finding

AREA_GROWTH = 1.25
"""An area that grew by more than this is not the same finding any more."""


def new_findings(cleared: tuple[Finding, ...], new: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Findings that the cleared scan lacked: another reason, one more of a kind, or an area that has grown by a quarter.

    A place that the model names on one of two scans, and only alarms at on the other, is the same; two names are not.
    """
    fresh = []
    left = list(cleared)
    for finding in new:
        same = [old for old in left if _alike(old.reason, finding.reason) and not _grew(old, finding)]
        if same:
            left.remove(next((old for old in same if old.reason is finding.reason), same[0]))
        else:
            fresh.append(finding)
    return tuple(fresh)


def _alike(old: Reason, new: Reason) -> bool:
    return old is new or (Reason.MODEL_ALARM in {old, new} and {old, new} <= NAMED_BY_MODEL | {Reason.MODEL_ALARM})


def _grew(old: Finding, new: Finding) -> bool:
    if old.box_px is None or new.box_px is None or old.measured is None or new.measured is None:
        return False
    return new.measured > AREA_GROWTH * old.measured
