"""What becomes durable of a lane's freezes: that one began, that its latch was set again, that it is over.

Who ticked a step or gave the all clear is recorded by `unfreezing`; here is what the lane itself does and sees.
"""

from collections.abc import Sequence
from datetime import datetime

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Clearance, Outcome
from station.domain.events import PieceStatus
from station.domain.freeze import Checklist, Freeze, FreezeOrigin
from station.domain.piece import Piece, PieceState
from station.domain.reasons import Reason
from station.ports.store import ReadView, UnitOfWork
from station.workflow.calling import call_anew
from station.workflow.freeze_steps import (
    FreezeAsked,
    all_clear_stands,
    begin_freeze,
    current_freeze,
    end_freeze,
    note_latch_set_again,
)
from station.workflow.lane_facts import MOST_ON_LANE, must_stay_frozen, on_belts, undecided_attention, was_held_by_freeze
from station.workflow.lane_records import LaneRecords

DECIDED_BY_PEOPLE = frozenset({PieceState.HELD, PieceState.IN_REVIEW, PieceState.CLEARED})
"""States of a piece that people review, or have reviewed: it may still be on its way to the bin."""


class FreezeRecords(LaneRecords):
    """The durable side of one lane's freezes."""

    def must_stay_frozen(self) -> bool:
        """True when the lane must not move: it is in a freeze, or a piece of it is, or an attention stop is undecided."""
        return self._store.read(lambda view: current_freeze(view, self._lane_id) is not None or bool(must_stay_frozen(view, self._lane_id)))

    async def freeze(self, asked: FreezeAsked | None = None, *, suspect: str | None = None, present: Sequence[str] = ()) -> bool:
        """Record a freeze, and the operator's reading behind it. It may be recorded again: nothing of it is there twice.

        The suspect, and whatever an undecided attention stop is about, is frozen. Every piece on the belts gets a hold that only a review
        lifts: nobody knows which of them the freeze was about.

        Args:
            asked: who froze, and when; each time is a freeze of its own. None: the lane is frozen already, or by itself.
            suspect: the piece that was named.
            present: pieces that the lane follows on its belts, among them those that people decide about or have cleared already.

        Returns:
            True when a new freeze begins with this.
        """
        lying = frozenset(self._lying)

        def work(uow: UnitOfWork) -> bool:
            now = self._clock.utc_now()
            named = {piece_id for piece_id in (suspect, asked.suspect if asked is not None else None) if piece_id}
            suspects = named | set(undecided_attention(uow, self._lane_id))
            freeze = current_freeze(uow, self._lane_id)
            known_as = (freeze.frozen.at, freeze.frozen.person) if freeze is not None else None
            begins = freeze is None or (asked is not None and (asked.at, asked.person) != known_as)
            # Whoever freezes a frozen lane suspects what lay there before, too.
            before = freeze.frozen.on_belts if freeze is not None and begins else ()
            there = {*present, *(asked.on_belts if asked is not None else ()), *before, *lying}
            carried = on_belts(uow, self._lane_id)
            decided = there - {known.piece_id for known in carried}
            known_there = [known for known in map(uow.piece, sorted(decided)) if known is not None and known.lane_id == self._lane_id]
            followed = [known for known in known_there if known.state in DECIDED_BY_PEOPLE]
            self._call(uow, AlarmCode.FROZEN, asked.person if asked is not None else "", now, anew=begins)
            if begins:
                frozen_before = uow.pieces(states=[PieceState.FROZEN], lane_id=self._lane_id, limit=MOST_ON_LANE)
                begin_freeze(
                    uow,
                    self._lane_id,
                    asked.at if asked is not None else now,
                    origin=asked.origin if asked is not None else FreezeOrigin.ATTENTION if suspects else FreezeOrigin.AT_LANE,
                    person=asked.person if asked is not None else "",
                    suspects=suspects | {known.piece_id for known in frozen_before},
                    on_belts=there | {known.piece_id for known in (*carried, *frozen_before)},
                )
                if asked is not None and asked.reading is not None:
                    uow.append(asked.reading)
            for known in (*carried, *followed):
                if not was_held_by_freeze(uow, known):
                    uow.append(self._held_by_freeze(known, now))
                if known.piece_id in suspects and known.state is not PieceState.FROZEN:
                    uow.set_claim(None, known.piece_id)
                    uow.change_state(known.piece_id, PieceState.FROZEN, now, lane_id=self._lane_id)
                    uow.publish(self._event(known, PieceStatus.FROZEN, now))
                    uow.clear_alarm(AlarmCode.ATTENTION, known.piece_id, now)
            return begins

        return await self._commit(work)

    def current_freeze(self) -> Freeze | None:
        """The freeze that this lane is in as far as the store knows."""
        return self._store.read(lambda view: current_freeze(view, self._lane_id))

    def all_clear(self, checklist: Checklist) -> int | None:
        """The number of the freeze that two people have given the all clear of; None while one of them lacks."""

        def query(view: ReadView) -> int | None:
            freeze = current_freeze(view, self._lane_id)
            return freeze.number if freeze is not None and all_clear_stands(view, freeze, checklist) else None

        return self._store.read(query)

    async def latch_set_again(self) -> None:
        """The latch had been cleared without the all clear of two people, and was set again: call people."""

        def work(uow: UnitOfWork) -> None:
            now = self._clock.utc_now()
            note_latch_set_again(uow, self._lane_id, now)
            self._call(uow, AlarmCode.FREEZE_BYPASSED, "", now, anew=True)

        await self._commit(work)

    async def unfrozen(self, number: int, checklist: Checklist) -> bool:
        """The latch was seen cleared: what was frozen is held until a review lifts it. False when the all clear does not stand any more."""

        def work(uow: UnitOfWork) -> bool:
            now = self._clock.utc_now()
            if not end_freeze(uow, self._lane_id, number, checklist, now):
                return False
            for known in uow.pieces(states=[PieceState.FROZEN], lane_id=self._lane_id, limit=MOST_ON_LANE):
                self._hold_known(uow, known, Reason.FROZEN, now)
            return True

        return await self._commit(work)

    def _call(self, uow: UnitOfWork, code: AlarmCode, detail: str, now: datetime, *, anew: bool) -> None:
        """Call people; `anew`: also when they have acknowledged the alarm of the time before."""
        if anew:
            call_anew(uow, code, AlarmPriority.CRITICAL, self._lane_id, detail, now)
        else:
            uow.raise_alarm(code, AlarmPriority.CRITICAL, self._lane_id, detail, now)

    def _held_by_freeze(self, known: Piece, now: datetime) -> Clearance:
        return Clearance(
            piece_id=known.piece_id,
            visit=known.visit,
            at=now,
            outcome=Outcome.HELD,
            reasons=(Reason.FROZEN,),
            scan_sha256=None,
            model_sha256=None,
            authority=self.policy.authority_for(known.level),
            by=(),
            policy_sha256=self.policy.sha256,
        )
