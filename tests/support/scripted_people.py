"""The people around a virtual lane: hands at the lane through the simulators' control, decisions through the station's handlers.

The same logic as the demo's people, on virtual time. They know the truth and decide by it: benign pieces are cleared by as many people
as it takes and fed in again, pieces with a threat are rejected and carried away. Attention stops are answered with hold, a stopped lane
is cleared and started again. A frozen one gets the all clear of two reviewers and the turned key when everybody may, after what is
frozen was handed over where that is asked for.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from station.domain.access import Caller
from station.domain.alarm import AlarmCode
from station.domain.errors import NotFoundError, StationError
from station.domain.freeze import steps_missing
from station.domain.people import people_needed
from station.domain.piece import Piece, PieceState
from station.domain.review import OperatorDecision, ReviewOutcome
from station.ports.store import ReadView
from station.review import rules
from station.workflow.freeze_steps import current_freeze
from station.workflow.refusals import SecondPersonError
from station.workflow.reviewing import ReviewRequest, facts_of_visit
from station.workflow.views import DecisionRequest, LaneCommand, LaneState
from tests.support.virtual_lane import LANE_ID, VirtualStation

OPERATOR, REVIEWERS = "operator", ("reviewer 1", "reviewer 2")
ROUND_S = 1.0
MOST_REFEEDS = 6
CLEAR_FREEZE = 21
ZONE_GATE = 6
IN_BIN_STATES = frozenset({PieceState.ANNOUNCED, PieceState.HELD, PieceState.CLEARED})


def hold_attention(request: DecisionRequest) -> OperatorDecision | None:
    """Hold what stopped the lane; leave every other decision to its window."""
    return OperatorDecision.HOLD if request.attention else None


def clear_everything(request: DecisionRequest) -> OperatorDecision | None:
    """An operator who clears all but attention stops."""
    return OperatorDecision.HOLD if request.attention else OperatorDecision.CLEAR


@dataclass(slots=True, kw_only=True)
class ScriptedPeople:
    """Everybody around one lane. Call `work` as a task; `station` may be replaced by the one that comes after it.

    `operator` answers the lane's question or leaves it; `reviews`, `refeeds_pieces`, `starts_lane`, `unfreezes` and `hands_over_frozen`
    tell what is done. They look at a frozen lane for `frozen_at_least_s` before they do anything about it.
    """

    station: VirtualStation
    operator: Callable[[DecisionRequest], OperatorDecision | None] = hold_attention
    reviews: bool = True
    refeeds_pieces: bool = True
    starts_lane: bool = True
    unfreezes: bool = True
    hands_over_frozen: bool = False
    frozen_at_least_s: float = 0.0
    refeeds: Counter[str] = field(default_factory=Counter)
    reviewed: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    starts: int = 0
    unfrozen: int = 0
    _frozen_since_s: float | None = None
    _done_with: set[str] = field(default_factory=set)

    async def work(self) -> None:
        """Round after round, until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            try:
                await self.round()
            except StationError as error:
                self.refused.append(str(error))

    async def round(self) -> None:
        """Look once and do what is to be done."""
        await self._mind_the_lane()
        world = self.station.simulated.world
        for bin_name in ("hold", "return"):
            for physical in list(world.bins[bin_name]):
                if physical.piece_id not in self._done_with:
                    await self._mind_a_piece(physical.piece_id, physical.truth)

    async def _mind_the_lane(self) -> None:
        station = self.station
        view = station.lane.view()
        if view.request is not None:
            await self._answer(view.request)
        if view.state is not LaneState.FROZEN:
            self._frozen_since_s = None
            if station.simulated.world.key_switch:
                self._take_key_out()
        if self.starts_lane and view.state is not LaneState.FROZEN and self._waits_at_gate():
            station.do(do="lift_from_gate")
        elif view.state is LaneState.FROZEN and self.unfreezes and self._have_looked():
            if self.hands_over_frozen:
                await self._hand_over_what_is_frozen()
            await self.give_all_clears()
            station.do(do="key_switch", on=True)
        elif view.state in {LaneState.STOPPED, LaneState.OFFLINE} and self.starts_lane:
            await self.start_lane()

    def _have_looked(self) -> bool:
        now_s = self.station.clock.monotonic_s()
        if self._frozen_since_s is None:
            self._frozen_since_s = now_s
        return now_s - self._frozen_since_s >= self.frozen_at_least_s

    async def _answer(self, request: DecisionRequest) -> None:
        decision = self.operator(request)
        if decision is not None:
            await self.station.handlers.lane_decide(
                LANE_ID,
                piece_id=request.piece_id,
                visit=request.visit,
                scan_sha256=request.scan_sha256,
                decision=decision,
                by=await self._person_for(request),
                once=self.station.once(),
            )

    async def _person_for(self, request: DecisionRequest) -> Caller:
        """The operator, who gives the password once more where the piece carries a level."""
        staff, pieces = self.station.staff, self.station.lane.view().pieces
        marked = any(piece.piece_id == request.piece_id and piece.marked for piece in pieces)
        return await staff.confirmed(OPERATOR) if marked else staff.caller(OPERATOR)

    def _waits_at_gate(self) -> bool:
        """True when the station asks for somebody to take out what stands on B5."""
        world = self.station.simulated.world
        if world.at_gate() is None or world.belt_speed_mm_s(4):
            return False
        alarms = self.station.store.read(lambda view: view.alarms(active_only=True))
        return any(alarm.code is AlarmCode.PIECE_AT_GATE and alarm.cleared_at is None for alarm in alarms)

    def number_of_freeze(self) -> int:
        """The number of the freeze that the lane is in."""
        freeze = self.station.store.read(lambda view: current_freeze(view, LANE_ID))
        if freeze is None:
            raise NotFoundError("The freeze is not recorded yet")
        return freeze.number

    async def tick(self) -> None:
        """Do every step of the checklist but those for a powder."""
        station, number = self.station, self.number_of_freeze()
        freeze = station.store.read(lambda view: current_freeze(view, LANE_ID))
        assert freeze is not None
        for step in steps_missing(freeze, station.unfreezing.checklist):
            by = station.staff.caller(OPERATOR)
            await station.unfreezing.step_done(LANE_ID, number=number, step=step, by=by, once=station.once())

    async def give_all_clear(self, person: str) -> bool:
        """One person gives the all clear of the freeze that the lane is in; True when that was the last one that lacked."""
        station, number = self.station, self.number_of_freeze()
        by = await station.staff.confirmed(person)
        answer = await station.unfreezing.all_clear(LANE_ID, number=number, present=[person], note="", by=by, once=station.once())
        return bool(answer["all_clear"])

    async def give_all_clears(self) -> None:
        """The whole checklist, and the all clear of two reviewers."""
        await self.tick()
        for person in REVIEWERS:
            with contextlib.suppress(SecondPersonError):
                await self.give_all_clear(person)

    async def unfreeze(self, *, timeout_s: float = 10.0) -> None:
        """Everything that it takes, to the end."""
        await self.give_all_clears()
        self.station.do(do="key_switch", on=True)
        await self.station.until(lambda: self.station.lane.view().state is not LaneState.FROZEN, timeout_s=timeout_s)
        self._take_key_out()

    def _take_key_out(self) -> None:
        self.unfrozen += 1
        self.station.do(do="key_switch", on=False)

    def clear_at_panel(self) -> None:
        """At the lane alone: the key in the panel, and the panel's button."""
        station = self.station
        station.do(do="key_switch", on=True)
        station.simulated.plc.operate(CLEAR_FREEZE, 0)
        station.do(do="key_switch", on=False)

    async def _hand_over_what_is_frozen(self) -> None:
        """The competent force takes what is frozen off the belts and out of the room, before anybody turns the key."""
        station, by = self.station, self.station.staff.caller(OPERATOR)
        for known in station.store.read(lambda view: view.pieces(states=[PieceState.FROZEN], lane_id=LANE_ID)):
            self._carry_off(known.piece_id)
            await station.handlers.hand_over(known.piece_id, returned=False, to="force", by=by, once=station.once())

    def _carry_off(self, piece_id: str) -> None:
        """Take a piece from the belts; one whose code nobody could read is found by taking everything off."""
        world, mail_room = self.station.simulated.world, self.station.simulated.mail_room
        on_belts = [load.piece for load in world.loads]
        wanted = [piece for piece in on_belts if piece.piece_id == piece_id]
        for piece in wanted or on_belts:
            if piece in wanted or piece.truth != "benign":
                world.lift(piece)
                mail_room.away.append(piece)
            else:
                world.lift_to_hold_bin(piece)

    async def start_lane(self) -> None:
        """Clear the access bits and start."""
        station = self.station
        self.starts += 1
        for command in (LaneCommand.CLEAR_ACCESS, LaneCommand.START):
            await station.handlers.lane_command(LANE_ID, command, person=OPERATOR, once=station.once())

    async def _mind_a_piece(self, piece_id: str, truth: str) -> None:
        known = self.station.store.read(lambda view: view.piece(piece_id))
        if known is None or truth == "test":
            # A test piece, or one that a hand smuggled in.
            self._away(piece_id)
            return
        state = known.state
        if state is PieceState.HELD and self.reviews:
            if self.refeeds[piece_id] >= MOST_REFEEDS:
                self._done_with.add(piece_id)
                return
            state = await self._review(known, truth)
        if state in {PieceState.REJECTED, PieceState.RELEASED}:
            self._away(piece_id)
        elif state is PieceState.FROZEN and self.hands_over_frozen:
            self._away(piece_id)
            by = self.station.staff.caller(OPERATOR)
            await self.station.handlers.hand_over(piece_id, returned=False, to="force", by=by, once=self.station.once())
        elif state in IN_BIN_STATES and self.refeeds_pieces and self.refeeds[piece_id] < MOST_REFEEDS:
            self.refeeds[piece_id] += 1
            self.station.do(do="refeed", piece_id=piece_id)

    def _away(self, piece_id: str) -> None:
        self.station.do(do="take_away", piece_id=piece_id)

    async def _review(self, known: Piece, truth: str) -> PieceState:
        """Decide by the truth what somebody could look at; returns the piece's state after it."""
        scan_sha256, people = self.station.store.read(lambda view: to_review(view, known))
        if scan_sha256 is None:
            return known.state
        outcome = ReviewOutcome.CLEAR if truth == "benign" else ReviewOutcome.REJECT
        for person in REVIEWERS[: people if outcome is ReviewOutcome.CLEAR else 1]:
            await self.decide_review(known.piece_id, scan_sha256, outcome, person)
        self.reviewed[known.piece_id] += 1
        after = self.station.store.read(lambda view: view.piece(known.piece_id))
        assert after is not None
        return after.state

    async def clear_by_hand(self, piece_id: str, scan_sha256: str, person: str) -> None:
        """Somebody clears a piece, whatever is in it."""
        await self.decide_review(piece_id, scan_sha256, ReviewOutcome.CLEAR, person)

    async def decide_review(self, piece_id: str, scan_sha256: str, outcome: ReviewOutcome, person: str) -> dict[str, Any]:
        """One reviewer claims the piece and decides."""
        station = self.station
        await station.handlers.claim(piece_id, by=station.staff.caller(person), once=station.once())
        by = await station.staff.confirmed(person)
        request = ReviewRequest(piece_id=piece_id, outcome=outcome, scan_sha256=scan_sha256, note="", by=by)
        return await station.handlers.review_decide(request, once=station.once())


def to_review(view: ReadView, known: Piece) -> tuple[str | None, int]:
    """The scan to look at, None where there is none, and how many people must clear it."""
    facts = facts_of_visit(view, known)
    scan = rules.newest_scan(facts)
    people = people_needed(known.secrecy, rules.standing_reasons(known.reasons, facts))
    return (None if scan is None else scan.sha256), people
