"""An exercise in the decision window of one piece: whether a threat is projected into its image, and how the truth follows.

Everything that could speak against it is asked twice: before the image is made, and before it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from station.domain.clearance import Clearance
from station.domain.errors import ScreeningError
from station.domain.projection import REVEAL_WITHIN_S, ProjectionEvent, ProjectionState, step
from station.domain.projection_rules import Objection, ProjectionQuestion, drawn_by, objections, seed_of
from station.domain.reasons import Reason
from station.domain.scan import ModelReading, Scan
from station.ports.screening import RawScan
from station.workflow.equipment import LaneTrouble
from station.workflow.exercises import Exercise
from station.workflow.says import Says, say
from station.workflow.tracker import Branch

if TYPE_CHECKING:
    from station.workflow.deciding import Pending
    from station.workflow.lane_piece import LanePiece
    from station.workflow.session import LaneSession

OPENS_AFTER_S = 1.0
"""From the last line to the question, wherever a threat could be projected: an image that takes time to make must not be told by that."""

log = structlog.get_logger()


class Until(Protocol):
    """Waits as `Passage` does."""

    def __call__(self, condition: Callable[[], bool], *, timeout_s: float | None = None) -> Awaitable[bool]:
        """False when station time ran out first."""
        ...


def _asked(session: LaneSession, piece: LanePiece, scan: Scan, clearance: Clearance) -> tuple[Objection, ...]:
    others = [one for one in session.pieces if one is not piece and not one.is_test and one.track.branch_1 is Branch.UNDECIDED]
    status = session.status
    quiet = status is not None and not status.freeze_latch and not session.decisions.stops and not any(p.refused for p in session.pieces)
    question = ProjectionQuestion(
        evidence=piece.evidence(),
        clearance=clearance,
        announced=piece.announced,
        others_waiting=len(others) + len(session.decisions.pending),
        lane_quiet=quiet,
        rate=session.journey.policy.projection_rate,
        drawn=drawn_by(scan.sha256),
    )
    return objections(question)


async def prepare(session: LaneSession, piece: LanePiece, raw: RawScan | None, clearance: Clearance, until: Until) -> Exercise | None:
    """The exercise that is to be shown in place of this scan's image; None for nearly every scan.

    Where one could be shown, it returns `OPENS_AFTER_S` after the last line, drawn or not.
    """
    scan = piece.scan
    if not session.journey.policy.projection_rate or scan is None or raw is None:
        return None
    against = _asked(session, piece, scan, clearance)
    if set(against) - {Objection.NOT_DRAWN}:
        return None
    due_s = piece.last_line_s + OPENS_AFTER_S
    clock = session.equipment.clock
    making = None if against else asyncio.create_task(_made(session, piece, raw, scan))
    try:
        await until(lambda: clock.monotonic_s() >= due_s)
        if making is None or not making.done() or _asked(session, piece, scan, clearance):
            return None
        exercise = making.result()
    finally:
        if making is not None:
            making.cancel()
    if exercise is None:
        return None
    limit = session.journey.policy.freeze_score
    exercise.shown_at, exercise.shown_s = clock.utc_now(), clock.monotonic_s()
    if limit is not None and not exercise.reading.score < limit:
        # Such a thing stops the lane by itself: nobody has to find it, and the model has.
        exercise.answered_s = exercise.shown_s
        await session.journey.exercise_over(exercise.result())
        return None
    await session.journey.exercise_begins(piece.known_id)
    return exercise


async def _made(session: LaneSession, piece: LanePiece, raw: RawScan, scan: Scan) -> Exercise | None:
    clock, settings = session.equipment.clock, session.settings
    try:
        made = await session.equipment.screening.project(raw, tube_kv=settings.kv, seed=seed_of(scan.sha256))
    except ScreeningError as error:
        log.warning("no threat was projected", lane=settings.lane_id, error=str(error))
        return None
    if made is None:
        return None
    now, result = clock.utc_now(), made.result
    reading = ModelReading(
        piece_id=piece.known_id,
        visit=piece.visit,
        at=now,
        scan_sha256=scan.sha256,
        model_sha256=result.model_sha256,
        score=result.score,
        threshold=result.threshold,
        p_value=result.p_value,
        calibration_n=result.calibration_n,
        kind=raw.kind,
        duration_ms=result.duration_ms,
        findings=result.model_findings,
        projected_sha256=made.threat.projected_sha256,
    )
    return Exercise(
        piece=piece,
        lane_id=settings.lane_id,
        scan_sha256=scan.sha256,
        made=made,
        reading=reading,
        shown_at=now,
        shown_s=clock.monotonic_s(),
    )


async def reveal(session: LaneSession, pending: Pending, exercise: Exercise, until: Until) -> bool:
    """Show the projected image and then the truth; True when a window on the true image may open, False when the piece is held.

    Raises:
        LaneTrouble: a freeze was called and no screen showed the truth: the lane freezes.
    """
    exercises, clock = session.decisions.exercises, session.equipment.clock
    policy = session.journey.policy

    def disturbed() -> bool:
        return any(other is not pending for other in session.decisions.pending) or any(piece.refused for piece in session.pieces)

    window_s = policy.decision_window_s + policy.extension_s
    ended = await until(lambda: exercise.state is not ProjectionState.SHOWN or disturbed(), timeout_s=window_s)
    if exercise.state is ProjectionState.SHOWN:
        event = ProjectionEvent.SOMETHING_CAME if ended else ProjectionEvent.WINDOW_OVER
        exercises.happened(event, now_s=clock.monotonic_s())
    left_s = exercise.answered_s + REVEAL_WITHIN_S - clock.monotonic_s()
    if await until(lambda: exercise.revealed_at is not None, timeout_s=left_s):
        await session.journey.exercise_over(exercise.result())
        exercise.recorded = True
        exercises.happened(ProjectionEvent.REVEALED, now_s=clock.monotonic_s())
        return True
    if step(exercise.state, ProjectionEvent.REVEAL_LATE) is ProjectionState.FROZEN:
        # The lane records and calls people once it is frozen.
        raise LaneTrouble(Reason.FROZEN, say(Says.UNDECIDED))
    exercises.happened(ProjectionEvent.REVEAL_LATE, now_s=clock.monotonic_s())
    pending.answered = True
    pending.clearance = await session.journey.decided(pending.piece, None)
    await session.journey.exercise_cut_off(exercise)
    return False
