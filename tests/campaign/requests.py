"""What people ask of the station at random moments, through the same calls as the console: commands, freezes, decisions."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from station.domain.errors import StationError
from station.domain.piece import PieceState
from station.domain.review import OperatorDecision, ReviewOutcome
from station.ports.clock import Clock
from station.workflow.handlers import Handlers
from station.workflow.once import Answer
from station.workflow.reviewing import ReviewRequest
from station.workflow.views import DecisionRequest, LaneCommand
from tests.support.scripted_people import to_review
from tests.support.virtual_lane import LANE_ID, VirtualStation

NAMES = ("start", "stop", "purge", "freeze", "contradict", "contradict", "repeat")
"""Names of requests; `freeze` is also asked without a word by the key at the lane."""

Call = Callable[[Handlers], Awaitable[Answer]]

LATE_S = 40.0
"""Some decisions take this long; the window is shorter."""


class Operator:
    """An operator with moods: most decisions come soon, some late, some never; a few are a hold, a clearance or a freeze too many."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self._rng = random.Random(f"campaign/{seed}/operator")
        self._clock = clock
        self._decided: dict[str, tuple[OperatorDecision | None, float]] = {}

    def __call__(self, request: DecisionRequest) -> OperatorDecision | None:
        """The decision, once its time has come."""
        if request.scan_sha256 not in self._decided:
            self._decided[request.scan_sha256] = self._mood(attention=request.attention)
        decision, at_s = self._decided[request.scan_sha256]
        return decision if self._clock.monotonic_s() >= at_s else None

    def _mood(self, *, attention: bool) -> tuple[OperatorDecision | None, float]:
        rng, decisions = self._rng, (OperatorDecision.CLEAR, OperatorDecision.HOLD, OperatorDecision.FREEZE, None)
        (decision,) = rng.choices(decisions, (15, 60, 10, 15) if attention else (86, 9, 1, 4))
        wait_s = rng.uniform(4.0, LATE_S) if rng.random() < 0.1 else rng.uniform(0.0, 3.0)
        return decision, self._clock.monotonic_s() + wait_s


@dataclass(slots=True, kw_only=True)
class _Asked:
    name: str
    call: Call
    answer: Answer | None = None


@dataclass(slots=True, kw_only=True)
class Requests:
    """Whoever asks, beside everything else that goes on. `wrong` gets what must not be answered."""

    rng: random.Random
    wrong: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _last: _Asked | None = None

    def ask(self, station: VirtualStation, name: str) -> None:
        """Ask now; nobody waits for the answer."""
        if name == "contradict":
            self._contradict(station)
        elif name == "repeat":
            if self._last is not None:
                self._start(station, self._last)
        else:
            self._start(station, _Asked(name=name, call=self._call_of(station, name)))

    async def give_up(self) -> None:
        """Whoever still waits for an answer goes away."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _call_of(self, station: VirtualStation, name: str) -> Call:
        if name == "freeze":
            return lambda handlers: handlers.freeze(LANE_ID, by=station.staff.caller("guard"))
        once, command = station.once(), LaneCommand(name)
        return lambda handlers: handlers.lane_command(LANE_ID, command, person="guard", once=once)

    def _contradict(self, station: VirtualStation) -> None:
        """Two people decide at the same moment, each in another way: about the scan that waits, else about a held piece."""
        request = station.lane.view().request
        if request is not None:
            for person, decision in zip(("guard", "chief"), self.rng.sample(list(OperatorDecision), 2), strict=True):
                self._start(station, _Asked(name=f"decide {decision.value}", call=_deciding(station, request, person, decision)))
            return
        held = station.store.read(lambda view: view.pieces(states=[PieceState.HELD, PieceState.IN_REVIEW], limit=100))
        if held:
            known = self.rng.choice(held)
            scan_sha256, _ = station.store.read(lambda view: to_review(view, known))
            for person, outcome in zip(("guard", "chief"), self.rng.sample(list(ReviewOutcome), 2), strict=True):
                call = _reviewing(station, known.piece_id, scan_sha256, person, outcome)
                self._start(station, _Asked(name=f"review {outcome.value}", call=call))

    def _start(self, station: VirtualStation, asked: _Asked) -> None:
        task = asyncio.get_running_loop().create_task(self._do(station, asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._last = asked

    async def _do(self, station: VirtualStation, asked: _Asked) -> None:
        try:
            answer = await asked.call(station.handlers)
        except StationError:
            # What is refused or cannot be stored was not done; the same request may be asked again.
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the campaign must say so
            self.wrong.append(f"{asked.name} was answered with {error!r}")
            return
        if asked.answer is not None and answer != asked.answer:
            self.wrong.append(f"{asked.name} was answered with {asked.answer}, and the same request again with {answer}")
        asked.answer = answer


def _deciding(station: VirtualStation, request: DecisionRequest, person: str, decision: OperatorDecision) -> Call:
    once, by = station.once(), station.staff.caller(person)
    return lambda handlers: handlers.lane_decide(
        LANE_ID,
        piece_id=request.piece_id,
        visit=request.visit,
        scan_sha256=request.scan_sha256,
        decision=decision,
        by=by,
        once=once,
    )


def _reviewing(station: VirtualStation, piece_id: str, scan_sha256: str | None, person: str, outcome: ReviewOutcome) -> Call:
    claiming, deciding, staff = station.once(), station.once(), station.staff

    async def call(handlers: Handlers) -> Answer:
        await handlers.claim(piece_id, by=staff.caller(person), once=claiming)
        by = await staff.confirmed(person)
        request = ReviewRequest(piece_id=piece_id, outcome=outcome, scan_sha256=scan_sha256, note="", by=by)
        return await handlers.review_decide(request, once=deciding)

    return call
