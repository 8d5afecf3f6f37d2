"""What the operator says of the scans that wait on a lane, and what becomes of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from station.domain.access import Action, Caller
from station.domain.clearance import Clearance, Outcome
from station.domain.errors import ConflictError, StationError, StoreError
from station.domain.projection import DECISIONS
from station.domain.review import OperatorDecision, OperatorReading
from station.ports.clock import Clock
from station.review.rules import same_person
from station.workflow.exercises import Exercise, Exercises
from station.workflow.journey import Journey
from station.workflow.lane_piece import LanePiece
from station.workflow.refusals import SecondPersonError
from station.workflow.views import LaneDecided

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """A scan that waits for the operator; identity is the object. `exercise`: a threat is, or was, projected into its image.

    `first`: who cleared it, where it takes a second person too (`takes_two`); `clearance` is still None then. `settling`: a clearance that
    may be the first of two is being written down.
    """

    piece: LanePiece
    scan_sha256: str
    opened_s: float
    attention: bool
    blind: bool
    takes_two: bool = False
    answered: bool = False
    settling: asyncio.Task[Exception | None] | None = None
    first: str = ""
    clearance: Clearance | None = None
    exercise: Exercise | None = None

    @property
    def shown_sha256(self) -> str:
        """The hash of the image that is on the screen."""
        return self.exercise.shown_sha256 if self.exercise is not None else self.scan_sha256

    def is_about(self, piece_id: str, visit: int, scan_sha256: str) -> bool:
        """True when a decision names the very image that is on the screen."""
        return (self.piece.piece_id, self.piece.visit, self.shown_sha256) == (piece_id, visit, scan_sha256)


class Decisions:
    """The scans of one session that wait, and the decisions about them.

    Args:
        journey: makes a decision durable.
        clock: the station's time.
        wake: called when a decision has been taken, or has not.
        exercises: the lane's.
    """

    def __init__(self, journey: Journey, clock: Clock, wake: Callable[[], None], exercises: Exercises) -> None:
        self.pending: list[Pending] = []
        self.exercises = exercises
        self._journey = journey
        self._clock = clock
        self._wake = wake
        self._taking: set[asyncio.Task[Exception | None]] = set()
        self._failure: Exception | None = None

    @property
    def stops(self) -> bool:
        """True while an attention stop waits, or a threat was called in an exercise: the belts stand still."""
        return any(pending.attention or self.exercises.stands(pending.piece) for pending in self.pending)

    def open(self, pending: Pending) -> None:
        """Ask the operator about a scan, or about what is projected into it."""
        self.exercises.forget()
        if pending.exercise is not None:
            self.exercises.show(pending.exercise)
        self.pending.append(pending)

    def silence_freezes(self, pending: Pending) -> bool:
        """True when the lane freezes unless somebody decides about this scan."""
        return pending.attention or self.exercises.suspect == pending.piece.piece_id

    def question(self) -> Pending | None:
        """What to ask the operator now, the one for which the belts stand before all others; None while nobody needs to be asked.

        A question that went away and came back would tell the second of two people what the first has decided.
        """
        waiting = [pending for pending in self.pending if not pending.answered or pending.settling is not None]
        return next((pending for pending in waiting if pending.attention), waiting[0] if waiting else None)

    async def decide(self, *, piece_id: str, visit: int, scan_sha256: str, decision: OperatorDecision, by: Caller) -> LaneDecided:
        """Somebody's decision about a scan that waits; durable when it returns.

        Raises:
            ConflictError: that scan does not wait (any more).
            RefusedError: who asks may not decide about a piece of this level, has cleared it already, or must confirm it.
            TransitionError: the truth about a projected image is just being shown.
            StoreError: whether it was stored is not known; the session ends and holds everything.
        """
        pending = next((p for p in self.pending if p.is_about(piece_id, visit, scan_sha256)), None)
        while pending is not None and pending.settling is not None:
            await asyncio.wait({pending.settling})
        if pending is None or pending.answered:
            raise ConflictError(
                "That scan is not waiting for a decision", consequence="Nothing was changed", remedy="Look at the lane page again"
            )
        if pending.exercise is not None and pending.exercise.opens_nothing:
            self.exercises.happened(DECISIONS[decision], now_s=self._clock.monotonic_s(), person=by.name)
            self._wake()
            return LaneDecided.EXERCISE
        if decision is OperatorDecision.CLEAR and pending.first and same_person(pending.first, by.name):
            raise SecondPersonError(
                f"{by.name} has already cleared piece {piece_id}; the second decision must come from somebody else",
                consequence="Nothing was changed",
                remedy="Let somebody else decide before the time is over",
            )
        pending.answered = True
        taking = asyncio.create_task(self._take(pending, self._reading(pending, decision, by.name), by))
        if decision is OperatorDecision.CLEAR and pending.takes_two:
            pending.settling = taking
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        # Shielded: who asks may go away, but a decision that became durable must also take effect on the belts.
        failure = await asyncio.shield(taking)
        if failure is not None:
            raise failure
        return LaneDecided.DECIDED if pending.clearance is not None else LaneDecided.AWAITING_SECOND_PERSON

    def freeze_reading(self, piece_id: str | None, by: Caller) -> OperatorReading | None:
        """What a reader who freezes says of a piece whose scan waits for a decision; None of any other, and of who reads no scans."""
        if not by.may(Action.DECIDE_ON_LANE):
            return None
        pending = next((p for p in self.pending if p.piece.piece_id == piece_id and not p.answered), None)
        if pending is None or (pending.exercise is not None and pending.exercise.opens_nothing):
            return None
        return self._reading(pending, OperatorDecision.FREEZE, by.name)

    def check(self) -> None:
        """Raise what kept a decision from being stored: the session ends as by every other record that could not be made."""
        if self._failure is not None:
            raise self._failure

    def _reading(self, pending: Pending, decision: OperatorDecision, person: str) -> OperatorReading:
        return OperatorReading(
            piece_id=pending.piece.known_id,
            visit=pending.piece.visit,
            at=self._clock.utc_now(),
            scan_sha256=pending.scan_sha256,
            person=person,
            decision=decision,
            blind=pending.blind,
        )

    async def _take(self, pending: Pending, reading: OperatorReading, by: Caller) -> Exception | None:
        """Store the decision and let it take effect. A failure is returned: an exception would be nobody's when who asked has gone."""
        try:
            clearance = await self._journey.decided(pending.piece, reading, by)
            if clearance.outcome is Outcome.AWAITING:
                pending.first, pending.answered = reading.person, False
                return None
            pending.clearance = clearance
            self.exercises.decided(pending.exercise, DECISIONS[reading.decision])
        except StationError as error:
            log.warning("a decision was not taken", piece=reading.piece_id, visit=reading.visit, error=str(error))
            if isinstance(error, StoreError):
                # It may still become durable. The scan stays answered, so that nothing goes on by less than the store may say.
                self._failure = error
            else:
                pending.answered = False
            return error
        except Exception as error:
            log.exception("a decision was not taken because of a defect", piece=reading.piece_id, visit=reading.visit)
            self._failure = error
            return error
        finally:
            pending.settling = None
            self._wake()
        return None
