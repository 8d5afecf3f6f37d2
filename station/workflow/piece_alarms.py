"""Calling people to what a piece's own facts show, in the transaction that records them; each call ends with its cause."""

from datetime import datetime

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.disinfection import DisinfectionResult
from station.domain.measurement import InfeedMeasurement, is_beyond_review, was_reviewed
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.ports.store import UnitOfWork
from station.workflow import says
from station.workflow.calling import call_anew
from station.workflow.says import Says, say


def call_for_radiation(uow: UnitOfWork, measured: InfeedMeasurement, reviewed: InfeedMeasurement | None, policy: Policy) -> bool:
    """Call people when a piece radiates as no review has settled; True when it does.

    The alarm stands until a review clears the piece or it leaves by hand (`radiation_settled`): a source that is turned round is not
    weaker.
    """
    finding = next((one for one in measured.findings if one.reason is Reason.RADIATION), None)
    if finding is None or was_reviewed(finding, reviewed, policy):
        return False
    priority = AlarmPriority.CRITICAL if is_beyond_review(finding, policy) else AlarmPriority.HIGH
    detail = f"{measured.radiation_nsv_per_h:.0f} nSv/h ({policy.radiation_limit_nsv_per_h:.0f})"
    call_anew(uow, AlarmCode.RADIATION, priority, measured.piece_id, detail, measured.at)
    return True


def radiation_settled(uow: UnitOfWork, piece_id: str, at: datetime) -> None:
    """People have judged the piece, or it is here no longer."""
    uow.clear_alarm(AlarmCode.RADIATION, piece_id, at)


def escape_over(uow: UnitOfWork, piece_id: str, at: datetime) -> bool:
    """The piece is in people's hands, whatever was seen of it at a gate. True when its alarm stood."""
    return uow.clear_alarm(AlarmCode.ESCAPED, piece_id, at)


def call_for_dose(uow: UnitOfWork, result: DisinfectionResult, lane_id: str) -> bool:
    """Call people to a piece that was not disinfected; the next one of the lane that is ends the call. True when either changed anything.

    The lane is the subject, for all that come after it may fail alike; the pieces are in the return bin.
    """
    if result.passed:
        return uow.clear_alarm(AlarmCode.DOSE_SHORT, lane_id, result.at)
    figures = {"dose": f"{result.dose_mj_per_cm2:.1f}", "target": f"{result.target_mj_per_cm2:.1f}"}
    detail = say(Says.NOT_DISINFECTED, reasons=says.reasons(result.reasons), **figures)
    call_anew(uow, AlarmCode.DOSE_SHORT, AlarmPriority.MEDIUM, lane_id, detail, result.at)
    return True
