"""Sending again what was sent, and trying at once what waits: harmless, because the receiver knows each event by its id."""

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from station.domain.alarm import AlarmCode
from station.domain.errors import StoreError
from station.ports.store import Store, UnitOfWork

PAUSED_KEY = "tracking.paused"
RECEIVER_SUBJECT = "tracking"
_AT_A_TIME = 50
"""Pieces in one transaction: whoever opens a gate waits for the same writer."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a person wants sent again: the events of a piece, those written since a moment, only blocked ones; with nothing said, none.

    Whatever is said, a paused receiver counts as back, and every event that waits is tried at once.
    """

    piece_id: str | None = None
    since: datetime | None = None
    blocked: bool = False

    @property
    def names_events(self) -> bool:
        """True when events are to be sent again, and not only those that wait to be tried."""
        return self.blocked or self.piece_id is not None or self.since is not None


async def replay(store: Store, wanted: Replay, now: datetime) -> int:
    """Do it; returns how many events became due that were not pending. Raises `StoreError`."""
    await store.write(lambda unit: _resume(unit, now))
    if not wanted.names_events:
        return 0
    first = store.read(lambda view: view.first_events(piece_id=wanted.piece_id, since=wanted.since, blocked_only=wanted.blocked))
    count = 0
    for start in range(0, len(first), _AT_A_TIME):
        count += await store.write(partial(_all_again, some=first[start : start + _AT_A_TIME], now=now))
    return count


def _resume(unit: UnitOfWork, now: datetime) -> None:
    unit.set_value(PAUSED_KEY, "")
    unit.clear_alarm(AlarmCode.TRACKING_BLOCKED, RECEIVER_SUBJECT, now)
    unit.hasten_events(now)


def _all_again(unit: UnitOfWork, *, some: Sequence[tuple[str, int]], now: datetime) -> int:
    count = 0
    for piece_id, sequence in some:
        unit.clear_alarm(AlarmCode.TRACKING_BLOCKED, piece_id, now)
        count += unit.reopen_events(piece_id, sequence, now)
    return count


class ReplayBox:
    """Where a person at a terminal leaves a replay for the relay of the running station, which alone may write to the store.

    A file for each one, in a directory that only the station's user can enter. It stays until it is done, also over a restart.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._done: set[str] = set()

    def open(self) -> None:
        """Make the directory, as the station's user, and clear away answers that nobody fetched. Raises `StoreError`."""
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            for path in (*self._directory.glob("*.done"), *self._directory.glob("*.part")):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self._directory} cannot be used: {error.strerror}", remedy="Let the station's user alone write there"
            ) from error

    def put(self, wanted: Replay) -> str:
        """Leave it; returns the name under which `answer_to` will find what came of it. Raises `StoreError`."""
        name = secrets.token_hex(8)
        members = {
            "piece_id": wanted.piece_id,
            "since": None if wanted.since is None else wanted.since.isoformat(),
            "blocked": wanted.blocked,
        }
        try:
            self._write(f"{name}.wanted", json.dumps(members))
        except OSError as error:
            raise StoreError(
                f"The replay cannot be left in {self._directory}: {error.strerror}", remedy="Run this as the station's user"
            ) from error
        return name

    def waiting(self) -> list[tuple[str, Replay]]:
        """What was left, oldest name first; what is no replay is thrown away."""
        found = []
        for path in sorted(self._directory.glob("*.wanted")):
            if path.stem in self._done:
                continue
            try:
                found.append((path.stem, _read(path)))
            except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
                _log.warning("what was left for the relay is no replay", file=str(path), error=repr(error))
                self._done.add(path.stem)
                with suppress(OSError):
                    path.unlink()
        return found

    def done(self, name: str, events: int) -> None:
        """Answer it. Raises `StoreError`."""
        # What cannot be taken away must not be done again and again.
        self._done.add(name)
        try:
            self._write(f"{name}.done", str(events))
            (self._directory / f"{name}.wanted").unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self._directory} cannot be written: {error.strerror}", remedy="Let the station's user write there"
            ) from error
        self._done.discard(name)

    def answer_to(self, name: str) -> int | None:
        """How many events became due, once it is done."""
        path = self._directory / f"{name}.done"
        if not path.exists():
            return None
        count = int(path.read_text(encoding="utf-8"))
        path.unlink()
        return count

    def _write(self, name: str, text: str) -> None:
        part = self._directory / f"{name}.part"
        part.write_text(text, encoding="utf-8")
        # Whoever left it, and under whatever mask: nobody but the station's user gets as far as here.
        part.chmod(0o644)
        part.replace(self._directory / name)


def _read(path: Path) -> Replay:
    if not path.is_file():
        raise ValueError("not a file")
    members = json.loads(path.read_text(encoding="utf-8"))
    piece_id, since, blocked = members["piece_id"], members["since"], members["blocked"]
    if not (piece_id is None or (isinstance(piece_id, str) and piece_id.isprintable())) or not isinstance(blocked, bool):
        raise ValueError("a piece is a text, blocked yes or no")
    moment = None if since is None else datetime.fromisoformat(since)
    if moment is not None and moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return Replay(piece_id=piece_id, since=moment and moment.astimezone(UTC), blocked=blocked)
