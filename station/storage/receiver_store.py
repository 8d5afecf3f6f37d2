"""The memory of the reference tracking receiver: ids and effects in one transaction of its own SQLite database."""

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, inspect, select, text, true, update

from station.domain.errors import StoreError
from station.ports.outbox import EventDigest
from station.ports.tracking import BodyDiffers, Effect, Gap, IncomingEvent, ReceiverCounts, Taken, WitnessedLog
from station.storage.sqlite import DirectoryLock, reading_engine, writing_engine
from station.storage.tables import effect, receiver_metadata, seen_event, witnessed_log
from station.storage.writer import GroupWriter

DATABASE_NAME = "receiver.db"


class _Unit:
    """One transaction of the receiver; nothing of it lives outside the database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def mark(self) -> None:
        """Nothing to remember."""

    def undo(self, mark: None) -> None:
        """Nothing to undo."""

    def flush(self) -> None:
        """Nothing to write."""


class SqliteReceiverLedger:
    """`station.ports.tracking.ReceiverLedger` in a directory of its own. Raises `StoreError` when another process has it."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"The receiver's directory {directory} cannot be made: {error.strerror}", remedy="Create it") from error
        self._lock = DirectoryLock(directory / "receiver.lock")
        try:
            path = directory / DATABASE_NAME
            self._write_engine = writing_engine(path)
            with self._write_engine.begin() as connection:
                _add_day(connection)
                receiver_metadata.create_all(connection)
            path.chmod(0o600)
            self._read_engine = reading_engine(path)
        except BaseException:
            self._lock.release()
            raise
        self._writer: GroupWriter[_Unit] = GroupWriter(self._write_engine, _Unit)

    async def take(self, event: IncomingEvent, make_receipt: Callable[[datetime], str], now: datetime) -> Taken | Gap | BodyDiffers:
        """Let an event take effect once, in order; durable when this returns."""
        return await self._writer.submit(lambda unit: _take(unit.connection, event, make_receipt, now))

    def counts(self, source: str | None = None) -> ReceiverCounts:
        """Counters computed from the log of effects, of one source or of all."""
        with self._read_engine.connect() as connection, connection.begin():
            return _counts(connection, source)

    def effects(self, source: str, *, after: int, limit: int) -> list[Effect]:
        """Effects of a source with a number above `after`, in order."""
        with self._read_engine.connect() as connection, connection.begin():
            query = select(effect).where(effect.c.source == source, effect.c.number > after).order_by(effect.c.number).limit(limit)
            return [_effect(row) for row in connection.execute(query)]

    def digests_of(self, source: str, day: date, *, after: int, limit: int) -> tuple[list[EventDigest], int]:
        """What took effect of a source's day, from effects with a number above `after`, in order; and the number of the last one."""
        columns = effect.c
        query = select(columns.number, columns.subject, columns.sequence, columns.event_id, columns.body)
        query = query.where(columns.source == source, columns.day == day.isoformat(), columns.number > after)
        page, last = [], after
        with self._read_engine.connect() as connection, connection.begin():
            for row in connection.execute(query.order_by(columns.number).limit(limit).execution_options(yield_per=100)):
                digest = hashlib.sha256(row.body.encode()).hexdigest()
                page.append(EventDigest(piece_id=row.subject, sequence=row.sequence, event_id=row.event_id, body_sha256=digest))
                last = row.number
        return page, last

    def witnessed(self, origin: str) -> WitnessedLog | None:
        """The newest checkpoint of a log that was signed here."""
        with self._read_engine.connect() as connection, connection.begin():
            row = connection.execute(select(witnessed_log).where(witnessed_log.c.origin == origin)).one_or_none()
            return None if row is None else WitnessedLog(origin=row.origin, size=row.size, root=row.root, note=row.note)

    async def witness(self, log: WitnessedLog, *, old_size: int) -> int | None:
        """Remember a checkpoint that continues that of `old_size` leaves; the known size when it is another one."""
        return await self._writer.submit(lambda unit: _witness(unit.connection, log, old_size))

    def close(self) -> None:
        """Finish what was accepted and close."""
        self._writer.close()
        self._read_engine.dispose()
        self._write_engine.dispose()
        self._lock.release()


def _add_day(connection: Connection) -> None:
    """Give effects that were kept before days were the day of their own time."""
    tables = inspect(connection)
    if not tables.has_table(effect.name) or any(column["name"] == "day" for column in tables.get_columns(effect.name)):
        return
    connection.execute(text("ALTER TABLE effect ADD COLUMN day VARCHAR(10) NOT NULL DEFAULT ''"))
    # What was taken then need not say when it was in a way that can be read here.
    told = "CASE WHEN json_valid(body) THEN json_extract(body, '$.time') END"
    connection.execute(text(f"UPDATE effect SET day = coalesce(date({told}), '')"))  # noqa: S608 - a constant
    connection.execute(text("CREATE INDEX ix_effect_source_day_number ON effect (source, day, number)"))


def _take(
    connection: Connection, event: IncomingEvent, make_receipt: Callable[[datetime], str], now: datetime
) -> Taken | Gap | BodyDiffers:
    columns = seen_event.c
    line = (columns.source == event.source, columns.subject == event.subject)
    known = connection.execute(select(seen_event).where(*line, columns.sequence == event.sequence)).one_or_none()
    if known is not None:
        if (known.event_id, known.body_sha256) == (event.event_id, event.body_sha256):
            return Taken(receipt=known.receipt, duplicate=True)
        return BodyDiffers(known_body_sha256=known.body_sha256)
    last = connection.execute(select(func.coalesce(func.max(columns.sequence), 0)).where(*line)).scalar_one()
    if event.sequence != last + 1:
        return Gap(expected_sequence=last + 1)
    receipt = make_receipt(now)
    key = {"source": event.source, "subject": event.subject, "sequence": event.sequence, "event_id": event.event_id}
    connection.execute(insert(seen_event), {**key, "body_sha256": event.body_sha256, "receipt": receipt})
    connection.execute(
        insert(effect), {**key, "event_type": event.event_type, "body": event.body, "received_at": now, "day": event.day.isoformat()}
    )
    return Taken(receipt=receipt, duplicate=False)


def _witness(connection: Connection, log: WitnessedLog, old_size: int) -> int | None:
    known = connection.execute(select(witnessed_log.c.size).where(witnessed_log.c.origin == log.origin)).scalar_one_or_none()
    if (known or 0) != old_size:
        return known or 0
    members = {"size": log.size, "root": log.root, "note": log.note}
    if known is None:
        connection.execute(insert(witnessed_log), {"origin": log.origin, **members})
    else:
        connection.execute(update(witnessed_log).where(witnessed_log.c.origin == log.origin).values(**members))
    return None


def _counts(connection: Connection, source: str | None) -> ReceiverCounts:
    wanted = true() if source is None else effect.c.source == source
    seen = true() if source is None else seen_event.c.source == source
    line = (effect.c.source, effect.c.subject)
    before = func.lag(effect.c.sequence).over(partition_by=line, order_by=effect.c.number)
    steps = select(effect.c.sequence, before.label("before")).where(wanted).subquery()
    out_of_order = select(func.coalesce(func.sum(case((steps.c.sequence < steps.c.before, 1), else_=0)), 0))
    lines = select(
        func.count().label("effects"),
        func.count(effect.c.sequence.distinct()).label("different"),
        func.max(effect.c.sequence).label("highest"),
    ).where(wanted)
    per_line = lines.group_by(*line).subquery()
    totals = connection.execute(
        select(
            func.coalesce(func.sum(per_line.c.effects), 0).label("effects"),
            func.coalesce(func.sum(per_line.c.different), 0).label("different"),
            func.coalesce(func.sum(per_line.c.highest), 0).label("highest"),
        )
    ).one()
    return ReceiverCounts(
        events=totals.effects,
        receipted=connection.execute(select(func.count()).select_from(seen_event).where(seen)).scalar_one(),
        out_of_order=connection.execute(out_of_order).scalar_one(),
        gaps=totals.highest - totals.different,
        double_effects=totals.effects - totals.different,
    )


def _effect(row: Row[Any]) -> Effect:
    return Effect(
        number=row.number,
        source=row.source,
        subject=row.subject,
        sequence=row.sequence,
        event_id=row.event_id,
        event_type=row.event_type,
        body=row.body,
        received_at=row.received_at,
    )
