"""What people said and were not refused, kept apart from the station's own records, to hold its permits and its freezes against."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from station.domain.errors import ConflictError, NotFoundError, RefusedError, TransitionError
from station.domain.gate import Permit
from station.domain.review import OperatorDecision, ReviewOutcome
from station.ports.clock import Clock
from station.workflow.handlers import Handlers
from station.workflow.once import Answer
from station.workflow.reviewing import ReviewRequest
from station.workflow.unfreezing import Unfreezing
from tests.support.virtual_lane import VirtualStation

REFUSALS = (ConflictError, NotFoundError, RefusedError, TransitionError)
ALL_CLEAR_TAKES = 2


class Words:
    """Everything that anybody said on a lane and in reviews.

    Who cleared counts from the moment of asking unless it was refused: an answer may be lost with the computer that gave it. Who held or
    rejected counts from the answer on.
    """

    def __init__(self) -> None:
        self._cleared_visit: dict[tuple[str, int], list[tuple[datetime, str]]] = defaultdict(list)
        self._cleared_piece: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._held_visit: dict[tuple[str, int], list[datetime]] = defaultdict(list)
        self._held_piece: dict[str, list[datetime]] = defaultdict(list)
        self.all_clears: dict[int, set[str]] = defaultdict(set)

    def listen(self, station: VirtualStation) -> None:
        """Hear everything that is said to this station from now on."""
        station.handlers = _Handlers(station.handlers, self, station.clock)  # type: ignore[assignment]
        station.unfreezing = _Unfreezing(station.unfreezing, self)  # type: ignore[assignment]

    def asks_lane(self, piece_id: str, visit: int, decision: OperatorDecision, person: str, at: datetime) -> None:
        """Somebody is about to say this at a lane."""
        if decision is OperatorDecision.CLEAR:
            self._cleared_visit[piece_id, visit].append((at, person))

    def refused_lane(self, piece_id: str, visit: int, decision: OperatorDecision, person: str, at: datetime) -> None:
        """It was refused."""
        if decision is OperatorDecision.CLEAR:
            self._cleared_visit[piece_id, visit].remove((at, person))

    def told_lane(self, piece_id: str, visit: int, decision: OperatorDecision, at: datetime) -> None:
        """It was taken."""
        if decision is not OperatorDecision.CLEAR:
            self._held_visit[piece_id, visit].append(at)

    def asks_review(self, piece_id: str, outcome: ReviewOutcome, person: str, at: datetime) -> None:
        """Somebody is about to say this in a review."""
        if outcome is ReviewOutcome.CLEAR:
            self._cleared_piece[piece_id].append((at, person))

    def refused_review(self, piece_id: str, outcome: ReviewOutcome, person: str, at: datetime) -> None:
        """It was refused."""
        if outcome is ReviewOutcome.CLEAR:
            self._cleared_piece[piece_id].remove((at, person))

    def told_review(self, piece_id: str, outcome: ReviewOutcome, at: datetime) -> None:
        """It was taken."""
        if outcome is not ReviewOutcome.CLEAR:
            self._held_piece[piece_id].append(at)

    def against(self, permit: Permit, *, needed: int) -> str:
        """What people said against this permit, or that fewer than `needed` spoke for it; empty where it was rightly given."""
        held = [at for at in self._held_visit[permit.piece_id, permit.visit] if at < permit.at]
        if held:
            return f"somebody held it at {held[0]}"
        reviewed = [(at, person) for at, person in self._cleared_piece[permit.piece_id] if at < permit.at]
        objected = [at for at in self._held_piece[permit.piece_id] if at < permit.at]
        if objected:
            reviewed = [(at, person) for at, person in reviewed if at >= objected[-1]]
            if not reviewed:
                return f"a review said no at {objected[-1]} and nobody has cleared it since"
        cleared = {person for at, person in self._cleared_visit[permit.piece_id, permit.visit] if at < permit.at}
        cleared |= {person for _, person in reviewed}
        return "" if len(cleared) >= needed else f"cleared by {sorted(cleared) or 'nobody'} where it takes {needed}"

    def freeze_may_end(self, number: int) -> bool:
        """True when enough people have given the all clear of this freeze."""
        return len(self.all_clears[number]) >= ALL_CLEAR_TAKES


class _Handlers:
    """The use cases, overheard."""

    def __init__(self, handlers: Handlers, words: Words, clock: Clock) -> None:
        self._handlers, self._words, self._clock = handlers, words, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handlers, name)

    async def lane_decide(self, lane_id: str, **said: Any) -> Answer:
        words, piece_id, visit, decision = self._words, said["piece_id"], said["visit"], said["decision"]
        person, at = said["by"].name, self._clock.utc_now()
        words.asks_lane(piece_id, visit, decision, person, at)
        try:
            answer = await self._handlers.lane_decide(lane_id, **said)
        except REFUSALS:
            words.refused_lane(piece_id, visit, decision, person, at)
            raise
        words.told_lane(piece_id, visit, decision, self._clock.utc_now())
        return answer

    async def review_decide(self, request: ReviewRequest, **said: Any) -> Answer:
        words, piece_id, outcome = self._words, request.piece_id, request.outcome
        person, at = request.by.name, self._clock.utc_now()
        words.asks_review(piece_id, outcome, person, at)
        try:
            answer = await self._handlers.review_decide(request, **said)
        except REFUSALS:
            words.refused_review(piece_id, outcome, person, at)
            raise
        words.told_review(piece_id, outcome, self._clock.utc_now())
        return answer


class _Unfreezing:
    """The end of a freeze, overheard."""

    def __init__(self, unfreezing: Unfreezing, words: Words) -> None:
        self._unfreezing, self._words = unfreezing, words

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unfreezing, name)

    async def all_clear(self, lane_id: str, **said: Any) -> Answer:
        given, person = self._words.all_clears[said["number"]], said["by"].name
        is_new = person not in given
        given.add(person)
        try:
            return await self._unfreezing.all_clear(lane_id, **said)
        except REFUSALS:
            if is_new:
                given.discard(person)
            raise
