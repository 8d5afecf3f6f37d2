"""Approvals that race: the same person at two consoles, and somebody else, all at once about the same piece on a real store."""

import asyncio
import itertools
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from station.domain.errors import ConflictError, RefusedError
from station.domain.events import PieceEvent
from station.domain.evidence import Identification
from station.domain.people import distinct_people
from station.domain.piece import Announcement, PieceState
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.scan import Scan
from station.ports.store import RenderedEvent, UnitOfWork
from station.storage.store import SqliteStore
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.once import Once
from station.workflow.reviewing import ReviewRequest
from tests.support.clocks import SetClock
from tests.support.staff import Staff

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TRIES = 8
ONE_TWICE, WITH_ANOTHER = ("ha", "HA "), ("ha", "ha", "khanh")


def _render(event: PieceEvent, sequence: int) -> RenderedEvent:
    return RenderedEvent(event_id=f"{event.piece_id}:{sequence}", body=event.status.value)


class Approvals:
    """A station without a lane, and pieces that take two people."""

    def __init__(self, directory: Path) -> None:
        self._clock = SetClock(NOON)
        self._store = SqliteStore(directory, render=_render, reserve_bytes=0, floor_bytes=0, warn_bytes=0)
        self._staff = Staff(self._store, self._clock, *{name.strip().lower() for name in (*ONE_TWICE, *WITH_ANOTHER)})
        policy, feed = Policy(sha256="d" * 64), EventFeed(epoch="races", capacity=64)
        self._handlers = Handlers(store=self._store, lanes={}, policy=policy, clock=self._clock, feed=feed)
        self._keys = itertools.count()
        self._failures: list[BaseException] = []

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def race(self, count: int) -> Counter[str]:
        """Let them race that often, half of the races without a second person; how the races ended. Raises `AssertionError`."""
        ends: Counter[str] = Counter()
        for number in range(count):
            people = (ONE_TWICE, WITH_ANOTHER)[number % 2]
            piece_id = f"RACE{number:08d}"
            self._store.write(lambda uow, piece_id=piece_id: self._put(uow, piece_id)).result()
            start = threading.Barrier(len(people))
            threads = [threading.Thread(target=self._approve, args=(piece_id, name, start)) for name in people]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not self._failures, self._failures
            ends[self._judge(piece_id, people)] += 1
        return ends

    def _put(self, uow: UnitOfWork, piece_id: str) -> None:
        at = self._clock.utc_now()
        uow.announce(Announcement(piece_id=piece_id, kind="packet"), at)
        uow.change_state(piece_id, PieceState.ARRIVED, at, visit=1, lane_id="lane-1")
        uow.append(Identification(piece_id=piece_id, visit=1, at=at, lane_id="lane-1", tag=1, barcode=piece_id, secrecy=None))
        uow.append(
            Scan(
                piece_id=piece_id,
                visit=1,
                at=at,
                lane_id="lane-1",
                sha256="a" * 64,
                acquisition=1,
                lines=9,
                pixels=9,
                length_mm=9.0,
                width_mm=9.0,
                kv=140.0,
                ma=1.0,
            )
        )
        uow.change_state(piece_id, PieceState.HELD, at, reasons=[Reason.OPAQUE_AREA.value])

    def _approve(self, piece_id: str, name: str, start: threading.Barrier) -> None:
        try:
            asyncio.run(self._try_to_clear(piece_id, name, start))
        except BaseException as error:  # noqa: BLE001 - in another thread nobody would hear of it
            self._failures.append(error)

    async def _try_to_clear(self, piece_id: str, name: str, start: threading.Barrier) -> None:
        by = self._staff.caller(name.strip().lower())
        request = ReviewRequest(piece_id=piece_id, outcome=ReviewOutcome.CLEAR, scan_sha256="a" * 64, note="", by=by)
        start.wait()
        for _ in range(TRIES):
            try:
                await self._handlers.claim(piece_id, by=by, once=self._once())
                await self._handlers.review_decide(request, once=self._once())
            except (RefusedError, ConflictError):
                continue

    def _once(self) -> Once:
        return Once(key=f"race-{next(self._keys)}", fingerprint="")

    def _judge(self, piece_id: str, people: tuple[str, ...]) -> str:
        piece, rows = self._store.read(lambda view: (view.piece(piece_id), view.evidence(piece_id)))
        assert piece is not None
        approved = [row.evidence.person for row in rows if isinstance(row.evidence, ReviewDecision)]
        assert len(distinct_people(approved)) == len(approved), approved
        assert (piece.state is PieceState.CLEARED) == (len(approved) == 2), (piece.state, approved)
        assert people is WITH_ANOTHER or len(approved) < 2, approved
        return f"{len(approved)} approved, {piece.state.value}"
