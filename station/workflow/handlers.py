"""What people and the tracking system may ask of the station: one method for each use case, one transaction for each change."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from station.domain.access import Action, Caller
from station.domain.calendar import Period
from station.domain.errors import ConflictError, NotFoundError, StoreError
from station.domain.events import PieceEvent, PieceStatus
from station.domain.identifiers import DEFAULT_SCHEMES, Scheme, parse_piece_id
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.policy import Policy
from station.domain.review import OperatorDecision
from station.domain.shift import SHIFT_SUBJECT, hand_over, take_over
from station.ports.clock import Clock
from station.ports.store import Store, UnitOfWork
from station.workflow import alarm_steps, reviewing, test_pieces
from station.workflow.access_steps import demand_person
from station.workflow.durable import durable
from station.workflow.feed import EventFeed
from station.workflow.once import Answer, Once, do_once, earlier_answer, remember
from station.workflow.refusals import CancelTooLateError, NotAnnounceableError
from station.workflow.reporting import open_now, refuse_unless_handed
from station.workflow.views import LaneCommand, LaneControl, LaneDecided, ProjectedImage

T = TypeVar("T")


class Handlers:
    """The use cases over the store and the running lanes. Every method may be called from any event loop.

    Each answer is a small JSON document that is stored under the request's key in the transaction of the change: the same request
    gets the same answer again and has no second effect.

    Args:
        store: system of record.
        lanes: running lanes by id; looked up at each call, so lanes may come later.
        policy: the site's rules, named in the events of decisions.
        clock: the station's time.
        feed: told after each commit that a piece or an alarm changed.
        lease_s: how long a reviewer's claim lasts, in station time.
        schemes: how the site's pieces are numbered.
    """

    def __init__(
        self,
        *,
        store: Store,
        lanes: Mapping[str, LaneControl],
        policy: Policy,
        clock: Clock,
        feed: EventFeed,
        lease_s: float = 120.0,
        schemes: Sequence[Scheme] = DEFAULT_SCHEMES,
    ) -> None:
        self._store = store
        self._lanes = lanes
        self.policy = policy
        self._clock = clock
        self._feed = feed
        self._schemes = tuple(schemes)
        self._lease = timedelta(seconds=lease_s)
        self._commanding: set[str] = set()

    # Pieces

    async def announce(self, announcement: Announcement, *, once: Once) -> Answer:
        """Take a pre-advice; the same one again changes nothing. For a piece that came before it, it counts from its next visit on.

        Raises:
            IdentifierError: the id fits no numbering scheme of the site, or its check digit is wrong.
            NotAnnounceableError: the id is a test piece's.
            AnnouncementTooLateError: the piece is past `announced` and the advice differs, or it came unannounced and has left.
            WithdrawnError: it was withdrawn.
        """
        if parse_piece_id(announcement.piece_id, self._schemes).is_test:
            raise NotAnnounceableError(
                f"{announcement.piece_id} is a test piece: it has no life that could be announced",
                consequence="Nothing was announced",
                remedy="Announce pieces under the numbers that the post gave them",
            )
        return await self._change(once, lambda uow: _about(uow.announce(announcement, self._clock.utc_now())))

    async def cancel(self, piece_id: str, *, once: Once) -> Answer:
        """The tracking system withdraws a pre-advice; withdrawing it twice is withdrawing it once.

        Raises:
            NotFoundError: nobody announced it.
            CancelTooLateError: the piece has come.
        """
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            piece = reviewing.known_piece(uow, piece_id)
            if piece.state is PieceState.CANCELLED:
                return _about(piece)
            if piece.state is not PieceState.ANNOUNCED:
                raise CancelTooLateError(
                    f"Piece {piece_id} has come: it is {piece.state.value}",
                    consequence="Nothing was changed: the piece goes its way",
                    remedy="Have the station's people hold and reject it, if it must not leave",
                )
            uow.publish(
                PieceEvent(
                    piece_id=piece_id,
                    visit=piece.visit,
                    status=PieceStatus.CANCELLED,
                    at=at,
                    lane_id=piece.lane_id or "",
                    secrecy=piece.level,
                    announced=piece.announced,
                    destination=piece.announcement.destination,
                )
            )
            return _about(uow.change_state(piece_id, PieceState.CANCELLED, at))

        return await self._change(once, work)

    async def hand_over(self, piece_id: str, *, returned: bool, to: str, by: Caller, once: Once) -> Answer:
        """A rejected piece went back to its sender unit (`returned`), or to the competent force."""
        state = PieceState.RETURNED if returned else PieceState.HANDED_OVER

        def work(uow: UnitOfWork) -> Answer:
            return _about(reviewing.hand_over(uow, piece_id, state=state, to=to, by=by, at=self._clock.utc_now()))

        return await self._change(once, work)

    # Review. The clock is read inside the transaction: a lease may run out, and a confirmation grow old, while the disk is waited for.

    async def claim(self, piece_id: str, *, by: Caller, once: Once) -> Answer:
        """Take a held piece for review, or renew the lease on it."""

        def work(uow: UnitOfWork) -> Answer:
            claim = reviewing.claim(uow, piece_id, by, self._clock.utc_now(), self._lease)
            answer: Answer = {"piece_id": piece_id, "person": claim.person, "expires_at": claim.expires_at.isoformat()}
            return answer | {"lease_s": self._lease.total_seconds()}

        return await self._change(once, work)

    async def release(self, piece_id: str, *, by: Caller, once: Once) -> Answer:
        """Give a claimed piece back undecided."""
        return await self._change(once, lambda uow: _about(reviewing.release(uow, piece_id, by, self._clock.utc_now())))

    async def review_decide(self, request: reviewing.ReviewRequest, *, once: Once) -> Answer:
        """Decide about a claimed piece; `awaiting_second_person` tells that another person must decide before it has an effect."""

        def work(uow: UnitOfWork) -> Answer:
            piece = reviewing.decide(uow, request, self.policy, self._clock.utc_now())
            return _about(piece) | {"awaiting_second_person": piece.state is PieceState.HELD and request.outcome == "clear"}

        return await self._change(once, work)

    async def hold_expired_claims(self) -> int:
        """Hold every piece again whose reviewer's lease ran out; returns how many. Call it every few seconds."""

        def work(uow: UnitOfWork) -> list[str]:
            now = self._clock.utc_now()
            claimed = uow.pieces(states=[PieceState.IN_REVIEW], limit=1000)
            return [piece.piece_id for piece in claimed if reviewing.release_if_expired(uow, piece.piece_id, now)]

        expired = await self._write(work)
        for piece_id in expired:
            self._tell_piece(piece_id, PieceState.HELD.value)
        return len(expired)

    # Lanes

    def lane(self, lane_id: str) -> LaneControl:
        """A running lane, or `NotFoundError`."""
        lane = self._lanes.get(lane_id)
        if lane is None:
            raise NotFoundError(f"No lane {lane_id!r} is running here", remedy="Check the lane's name")
        return lane

    @property
    def lanes(self) -> Mapping[str, LaneControl]:
        """The running lanes by id."""
        return self._lanes

    async def lane_decide(
        self,
        lane_id: str,
        *,
        piece_id: str,
        visit: int,
        scan_sha256: str,
        decision: OperatorDecision,
        by: Caller,
        once: Once,
    ) -> Answer:
        """Somebody decides the scan that waits on a lane; `exercise` in the answer: nothing was decided, the image was a projected one.

        `awaiting_second_person` in the answer: it counts, and somebody else must clear the piece too before the window ends.

        Raises:
            ConflictError: that scan is not waiting (any more).
            RefusedError: who asks may not decide about a piece of this level, has decided already, or must confirm it; or nobody announced
                the piece, and it was to be cleared.
        """
        lane = self.lane(lane_id)
        answer: Answer = {"lane_id": lane_id, "piece_id": piece_id, "visit": visit, "decision": decision.value}
        if decision is OperatorDecision.FREEZE:
            frozen = await self.freeze(lane_id, by=by, piece_id=piece_id)
            return answer | {"exercise": not frozen["frozen"], "awaiting_second_person": False}
        earlier = await self._write(lambda uow: earlier_answer(uow, once))
        if earlier is not None:
            return earlier
        if decision is OperatorDecision.CLEAR:
            reviewing.refuse_level_unknown(self._store.read(lambda view: reviewing.known_piece(view, piece_id)), self.policy)
        effect = await lane.decide(piece_id=piece_id, visit=visit, scan_sha256=scan_sha256, decision=decision, by=by)
        answer["exercise"] = effect is LaneDecided.EXERCISE
        answer["awaiting_second_person"] = effect is LaneDecided.AWAITING_SECOND_PERSON
        await self._write(lambda uow: remember(uow, once, answer))
        return answer

    async def freeze(self, lane_id: str, *, by: Caller, piece_id: str | None = None) -> Answer:
        """Freeze a lane in place. Freezing twice is freezing once, so the store is not asked first: it works with a full disk too.

        `piece_id` is the suspect, if the person named one. Not `frozen`: that piece's image was an exercise, and all belts stand.
        """
        return {"lane_id": lane_id, "frozen": await self.lane(lane_id).freeze(by=by, piece_id=piece_id)}

    async def confirm_exercise(self, lane_id: str, *, piece_id: str, visit: int, by: Caller) -> Answer:
        """A screen shows the truth about an exercise. Saying so twice is saying it once; the lane waits, so the store is not asked."""
        confirmed = await self.lane(lane_id).confirm_exercise(piece_id=piece_id, visit=visit, by=by)
        return {"lane_id": lane_id, "piece_id": piece_id, "visit": visit, "confirmed": confirmed}

    def projected_image(self, piece_id: str) -> ProjectedImage | None:
        """What stands for the true image of this piece's scan on some lane now."""
        images = (lane.projected_image() for lane in self._lanes.values())
        return next((image for image in images if image is not None and image.reading.piece_id == piece_id), None)

    async def lane_command(self, lane_id: str, command: LaneCommand, *, person: str, once: Once) -> Answer:
        """Start, stop, purge a lane, or take a cleared access as seen.

        Stopping twice is stopping once, so for a stop the store is not asked first: it works with a full disk too. Everything else is
        remembered before it is done, and so done at most once: that nobody stands in the lane was true when it was said, not when a
        client asks again after the station died.

        Raises:
            ConflictError: the same request is being done just now.
            RefusedError, DeviceError: the lane's own refusal; the key may be used again.
        """
        lane = self.lane(lane_id)
        if command is LaneCommand.STOP:
            await lane.command(command, person=person)
            return {"lane_id": lane_id, "command": command.value}
        if once.key in self._commanding:
            # Nobody knows yet what to answer: the lane may refuse.
            raise ConflictError("This command is being done", consequence="Nothing else was done", remedy="Look at the lane page")
        self._commanding.add(once.key)
        try:
            return await self._command_once(lane, command, person=person, once=once)
        finally:
            self._commanding.discard(once.key)

    async def _command_once(self, lane: LaneControl, command: LaneCommand, *, person: str, once: Once) -> Answer:
        done: Answer = {"lane_id": lane.lane_id, "command": command.value}
        answer, is_new = await self._write(lambda uow: do_once(uow, once, lambda _: done))
        if is_new:
            try:
                await lane.command(command, person=person)
            except Exception:
                # Why the lane refused matters more than that its key may be used again.
                with contextlib.suppress(StoreError):
                    await self._write(lambda uow: uow.forget_request(once.key))
                raise
        return answer

    async def end_test_piece_reference(self, lane_id: str, *, person: str, note: str, once: Once) -> Answer:
        """After work on a lane's scanner: the trend of its test piece takes the next passed runs as its reference.

        Raises:
            NotFoundError: no such lane, or its test piece has not run yet.
        """
        self.lane(lane_id)
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            ended = test_pieces.end_reference(uow, lane_id, person=person, note=note, at=at)
            return {"lane_id": lane_id, "person": ended.person, "at": ended.at.isoformat()}

        answer, _ = await self._write(lambda uow: do_once(uow, once, work))
        self._feed.publish("alarm", json.dumps({"lane_id": lane_id}))
        return answer

    # Shifts

    async def hand_shift_over(self, period: Period, *, by: Caller, note: str, once: Once) -> Answer:
        """A person hands a shift over, with words for whoever comes and the numbers of what is open now.

        Raises:
            PeriodRefusedError: the shift ended too long ago.
            NotPermittedError: the person may not do it any more.
            ShiftTakenError: somebody has taken it over already.
        """
        at = self._clock.utc_now()
        refuse_unless_handed(period, at)
        # Counted before the transaction: the one writer is not kept waiting.
        standing = (await asyncio.to_thread(self._store.read, lambda view: open_now(view, by.clearance, at))).counts

        def work(uow: UnitOfWork) -> Answer:
            demand_person(uow, by, Action.HAND_OVER_SHIFT, level=None)
            given = hand_over(
                [row.evidence for row in uow.evidence(SHIFT_SUBJECT, period.serial)],
                serial=period.serial,
                shift=period.name,
                person=by.name,
                clearance=by.clearance,
                note=note,
                standing=standing,
                at=at,
            )
            uow.append(given)
            return {"shift": given.shift, "handed_over_by": given.person, "handed_over_at": given.at.isoformat()}

        answer, _ = await self._write(lambda uow: do_once(uow, once, work))
        return answer

    async def take_shift_over(self, period: Period, *, by: Caller, handed_over_at: datetime, once: Once) -> Answer:
        """Another person takes a shift over, having read what was written at `handed_over_at`.

        Raises:
            PeriodRefusedError: the shift ended too long ago.
            NotPermittedError: the person may not do it any more.
            ShiftTakenError, NotHandedOverError, SamePersonError, WordsHiddenError: see `station.domain.shift.take_over`.
        """
        at = self._clock.utc_now()
        refuse_unless_handed(period, at)

        def work(uow: UnitOfWork) -> Answer:
            demand_person(uow, by, Action.HAND_OVER_SHIFT, level=None)
            facts = [row.evidence for row in uow.evidence(SHIFT_SUBJECT, period.serial)]
            taken = take_over(facts, person=by.name, clearance=by.clearance, handed_over_at=handed_over_at, at=at)
            uow.append(taken)
            given = {"shift": taken.shift, "handed_over_by": taken.handed_over_by, "handed_over_at": taken.handed_over_at.isoformat()}
            return {**given, "taken_over_by": taken.person, "taken_over_at": taken.at.isoformat()}

        answer, _ = await self._write(lambda uow: do_once(uow, once, work))
        return answer

    # Alarms

    async def acknowledge_alarm(self, alarm_id: int, *, person: str, once: Once) -> Answer:
        """A person has seen an alarm; it stands as long as its cause does."""
        at = self._clock.utc_now()

        def work(uow: UnitOfWork) -> Answer:
            alarm = uow.acknowledge_alarm(alarm_id, person, at)
            seen = alarm.acknowledged_at
            return {
                "alarm_id": alarm.alarm_id,
                "acknowledged_by": alarm.acknowledged_by,
                "acknowledged_at": seen.isoformat() if seen else None,
            }

        answer, _ = await self._write(lambda uow: do_once(uow, once, work))
        self._feed.publish("alarm", json.dumps({"alarm_id": alarm_id}))
        return answer

    async def settle_alarm(self, alarm_id: int, *, note: str, by: Caller, once: Once) -> Answer:
        """A person says what became of what an alarm is about whose end no device sees."""

        def work(uow: UnitOfWork) -> Answer:
            at = self._clock.utc_now()
            alarm_steps.settle(uow, alarm_id, note=note, by=by, at=at)
            return {"alarm_id": alarm_id, "settled_by": by.name, "settled_at": at.isoformat()}

        answer, _ = await self._write(lambda uow: do_once(uow, once, work))
        self._feed.publish("alarm", json.dumps({"alarm_id": alarm_id}))
        return answer

    async def _write(self, work: Callable[[UnitOfWork], T]) -> T:
        # Whoever asks is not kept waiting by a disk that hangs; the same request again gets the answer of the first.
        return await durable(self._store.write(work))

    async def _change(self, once: Once, work: Callable[[UnitOfWork], Answer]) -> Answer:
        answer, done = await self._write(lambda uow: do_once(uow, once, work))
        if done:
            self._tell_piece(str(answer["piece_id"]), answer.get("state"))
        return answer

    def _tell_piece(self, piece_id: str, state: object) -> None:
        self._feed.publish("piece", json.dumps({"piece_id": piece_id, "state": state}))


def _about(piece: Piece) -> Answer:
    return {"piece_id": piece.piece_id, "state": piece.state.value, "visit": piece.visit}
