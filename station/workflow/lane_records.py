"""What becomes durable of a lane as a whole: its pieces together, what passed the gate, its alarms.

Every step is one transaction, and the lane acts only after it. A step that cannot be made durable raises, and the lane holds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.clearance import Clearance
from station.domain.events import PieceEvent, PieceStatus
from station.domain.gate import Permit
from station.domain.piece import Piece, PieceState
from station.domain.policy import Policy
from station.domain.projection import ProjectionResult
from station.domain.reasons import Reason
from station.ports.clock import Clock
from station.ports.lane_plc import PassedPiece
from station.ports.store import Store, UnitOfWork
from station.workflow.calling import call_anew
from station.workflow.durable import durable
from station.workflow.exercises import Exercise
from station.workflow.exit_eye import ExitEye, left_by_itself
from station.workflow.lane_facts import Passage, length_of, on_belts, passages, permits_of
from station.workflow.lane_piece import LanePiece
from station.workflow.piece_events import event_of_known, event_of_release, event_on_lane, gate_action
from station.workflow.says import Says, say

T = TypeVar("T")


def ring_key(lane_id: str) -> str:
    """Under this key stands the last number of the lane's gate ring that was settled; empty: the ring is taken as it is found."""
    return f"gate-ring:{lane_id}"


class LaneRecords:
    """The durable side of one lane, apart from the way of a single piece.

    Args:
        lane_id: the lane's name.
        store: system of record.
        policy: the site's rules, named in every event.
        clock: the station's time.
        on_change: told after each commit: the piece that it was about, or an empty text for the alarms.
    """

    def __init__(self, *, lane_id: str, store: Store, policy: Policy, clock: Clock, on_change: Callable[[str], None]) -> None:
        self._lane_id = lane_id
        self._store = store
        self.policy = policy
        self._clock = clock
        self._on_change = on_change
        self._ring_key = ring_key(lane_id)
        self._exercise_key = f"exercise:{lane_id}"
        self._disbelieved: set[PassedPiece] = set()
        self._lying: set[str] = set()

    async def escaped(self, piece_id: str | None, detail: str, *, ring_seq: int | None = None) -> None:
        """A piece was seen past the gate without a permit: incident, alarm, recall event.

        `piece_id` is None where nobody knows what it was. `ring_seq`: the gate's ring told it.
        """

        def work(uow: UnitOfWork) -> None:
            self._escape(uow, uow.piece(piece_id) if piece_id is not None else None, detail)
            if ring_seq is not None:
                uow.set_value(self._ring_key, str(ring_seq))

        await self._commit(work)

    def _escape(self, uow: UnitOfWork, known: Piece | None, detail: str) -> None:
        now = self._clock.utc_now()
        if known is not None and not known.state.is_terminal:
            uow.set_claim(None, known.piece_id)
            uow.change_state(known.piece_id, PieceState.ESCAPED, now, lane_id=self._lane_id)
            uow.publish(self._event(known, PieceStatus.ESCAPED, now))
        # Of what nobody knows each escape has a number of its own, so that none hides behind the alarm of another.
        subject = known.piece_id if known is not None else f"{self._lane_id} #{uow.next_number(f'escapes:{self._lane_id}')}"
        call_anew(uow, AlarmCode.ESCAPED, AlarmPriority.CRITICAL, subject, detail, now)

    async def hold_everything(self, reason: Reason, *, ring_was_read: bool) -> list[str]:
        """Hold every piece that the store believes to be on this lane's belts; pieces lying cleared in a bin stay so.

        A piece with a permit is left alone until the gate's ring has been read and `settle_permits` has said what left. If that did not
        name it, its track is lost: an exit eye that is blind lets it out unseen.
        """

        def work(uow: UnitOfWork) -> list[str]:
            now = self._clock.utc_now()
            held = []
            for known in on_belts(uow, self._lane_id):
                permitted = known.state is PieceState.DISINFECTED and bool(permits_of(uow, known))
                if permitted and not ring_was_read:
                    continue
                self._hold_known(uow, known, Reason.TRACK_LOST if permitted else reason, now)
                held.append(known.piece_id)
            return held

        held = await self._commit(work)
        self.left_lying(held)
        return held

    def left_lying(self, piece_ids: Iterable[str]) -> None:
        """The lane stands, and these pieces may lie on its belts although nobody follows them any more."""
        self._lying.update(piece_ids)

    def belts_ran_empty(self) -> None:
        """Whatever lay on the belts has been run into the bins, or lifted out."""
        self._lying.clear()

    def _hold_known(self, uow: UnitOfWork, known: Piece, reason: Reason, now: datetime) -> None:
        uow.change_state(known.piece_id, PieceState.HELD, now, reasons=[reason.value], lane_id=self._lane_id)
        uow.publish(replace(self._event(known, PieceStatus.HELD, now), reasons=(reason,)))
        uow.clear_alarm(AlarmCode.ATTENTION, known.piece_id, now)

    def disbelieve(self, entries: Iterable[PassedPiece]) -> None:
        """Let no settling take these entries of the gate's ring for a release, whether or not that can be made durable now."""
        self._disbelieved.update(entries)

    async def settle_permits(self, passed: Sequence[PassedPiece], at_exit: ExitEye) -> list[int]:
        """Compare with the PLC's retained ring: what it says of a permit, left; a passage that no permit explains is an escape.

        The ring is written when a head reaches the exit eye. The newest piece is left as it is while that eye is covered. It counts as gone
        where the eye tells that it left by itself: released if nothing came after its permit, escaped otherwise. Of one that is held or
        frozen, and whose way the eye does not tell, only the alarm is raised. Returns the tags that escaped, or may have. The first ring
        that a lane ever shows is taken as it is.
        """

        def work(uow: UnitOfWork) -> list[int]:
            seen = uow.value(self._ring_key) or None
            settled = str(passed[-1].seq) if passed else seen or "0"
            escaped = []
            for passage in passages(uow, self._lane_id, passed, seen):
                entry = passage.entry
                newest = entry is passed[-1]
                if newest and at_exit.covered and passage.may_leave and entry not in self._disbelieved:
                    settled = str((entry.seq - 1) & 0xFFFF)
                    continue
                # Before another came to the exit, the gate had shut behind it.
                left = self._left(uow, passage, at_exit) if newest or entry in self._disbelieved else True
                if passage.is_open:
                    self._settle_permit(uow, passage, left=left is True)
                elif passage.is_new and self._settle_escape(uow, passage, left=left):
                    escaped.append(entry.tag)
            uow.set_value(self._ring_key, settled)
            return escaped

        return await self._commit(work)

    def _left(self, uow: UnitOfWork, passage: Passage, at_exit: ExitEye) -> bool | None:
        """Whether what explains the entry left by itself; None where nothing tells."""
        if passage.entry in self._disbelieved:
            return False
        length_mm = length_of(uow, passage.known) if passage.known is not None else None
        return None if at_exit.way_mm is None or length_mm is None else left_by_itself(at_exit, length_mm)

    def _settle_permit(self, uow: UnitOfWork, passage: Passage, *, left: bool) -> None:
        """Nothing came after the permit: the piece is released, or held where it is not known to have left."""
        if passage.known is None or passage.permit is None:
            return
        if left:
            self._release(uow, passage.permit, ring_seq=passage.entry.seq, exit_seen=False)
        else:
            self._hold_known(uow, passage.known, Reason.TRACK_LOST, self._clock.utc_now())

    def _settle_escape(self, uow: UnitOfWork, passage: Passage, *, left: bool | None) -> bool:
        """No permit that still stands explains the passage. True when something escaped, or may have."""
        known, detail = passage.known, say(Says.TAG_PASSED, tag=passage.entry.tag)
        if known is not None and (left is False or known.state.is_terminal):
            return False
        if known is None or left:
            self._escape(uow, known, detail)
        else:
            # It is held, or frozen, wherever it is: people must look for it outside too.
            call_anew(uow, AlarmCode.ESCAPED, AlarmPriority.CRITICAL, known.piece_id, detail, self._clock.utc_now())
        return True

    async def raise_alarm(self, code: AlarmCode, priority: AlarmPriority, subject: str, detail: str) -> None:
        """Raise an alarm durably."""
        await self._commit(lambda uow: uow.raise_alarm(code, priority, subject, detail, self._clock.utc_now()))

    async def clear_alarm(self, code: AlarmCode, subject: str) -> None:
        """The cause of an alarm is gone."""
        await self._commit(lambda uow: uow.clear_alarm(code, subject, self._clock.utc_now()))

    async def exercise_begins(self, piece_id: str) -> None:
        """A projected threat will be shown in this piece's image: durable, so that whoever saw it can be told even if the station dies."""
        await self._write(lambda uow: uow.set_value(self._exercise_key, piece_id))

    async def exercise_over(self, result: ProjectionResult, *, unconfirmed: bool = False) -> None:
        """Record an exercise that was shown; call people when no screen has said that it showed the truth."""

        def work(uow: UnitOfWork) -> None:
            uow.append(result)
            uow.set_value(self._exercise_key, "")
            if unconfirmed:
                self._call_unconfirmed(uow, result.piece_id)

        await self._commit(work)

    async def exercise_cut_off(self, exercise: Exercise | None) -> None:
        """Record an exercise whose session has ended, if there is one and it is not recorded."""
        if exercise is not None and not exercise.recorded:
            await self.exercise_over(exercise.result(), unconfirmed=exercise.revealed_at is None)
            exercise.recorded = True

    async def recall_exercise(self) -> None:
        """After a start: an exercise that the station died in counts for nothing, and whoever saw it is to be told."""
        piece_id = self._store.read(lambda view: view.value(self._exercise_key))
        if not piece_id:
            return

        def work(uow: UnitOfWork) -> None:
            self._call_unconfirmed(uow, piece_id)
            uow.set_value(self._exercise_key, "")

        await self._commit(work)

    def _call_unconfirmed(self, uow: UnitOfWork, piece_id: str) -> None:
        now = self._clock.utc_now()
        # Its detail names the piece: the alarm of an earlier one keeps its own until it is acknowledged.
        uow.clear_alarm(AlarmCode.EXERCISE_UNCONFIRMED, self._lane_id, now)
        uow.raise_alarm(AlarmCode.EXERCISE_UNCONFIRMED, AlarmPriority.HIGH, self._lane_id, piece_id, now)

    def tell_alarms(self) -> None:
        """Tell the pages to look at the alarms."""
        self._on_change("")

    async def next_number(self, counter: str) -> int:
        """The next value of a durable counter."""
        return await self._write(lambda uow: uow.next_number(counter))

    async def _commit(self, work: Callable[[UnitOfWork], T], piece: LanePiece | None = None) -> T:
        """Make one step durable, then tell the pages: of the piece, or without one of the alarms."""
        result = await self._write(work)
        self._on_change(piece.piece_id or "" if piece is not None else "")
        return result

    async def _write(self, work: Callable[[UnitOfWork], T]) -> T:
        return await durable(self._store.write(work))

    def _release(self, uow: UnitOfWork, permit: Permit, *, ring_seq: int, exit_seen: bool) -> None:
        now = self._clock.utc_now()
        uow.append(gate_action(permit, now, ring_seq=ring_seq, exit_seen=exit_seen))
        known = uow.change_state(permit.piece_id, PieceState.RELEASED, now, lane_id=self._lane_id)
        uow.publish(event_of_release(permit, known, now, lane_id=self._lane_id))
        uow.set_value(self._ring_key, str(ring_seq))

    def _publish(
        self,
        uow: UnitOfWork,
        piece: LanePiece,
        status: PieceStatus,
        now: datetime,
        *,
        reasons: tuple[Reason, ...] = (),
        clearance: Clearance | None = None,
    ) -> None:
        uow.publish(
            event_on_lane(
                piece,
                status,
                now,
                lane_id=self._lane_id,
                policy_sha256=self.policy.sha256,
                known=uow.piece(piece.known_id),
                reasons=reasons,
                clearance=clearance,
            )
        )

    def _event(self, known: Piece, status: PieceStatus, now: datetime) -> PieceEvent:
        return event_of_known(known, status, now, lane_id=self._lane_id, policy_sha256=self.policy.sha256)
