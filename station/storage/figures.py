"""What a database holds, in figures, and the names in it, for whoever looks for a fault; read beside a running station.

Each question is answered by itself, so that a damaged table keeps no other from being counted.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3.dbapi2
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import DBAPIError

from station.domain.errors import StoreError
from station.storage import codec, tables
from station.storage.migrations import schema_of
from station.storage.sqlite import reading_engine, store_error
from station.storage.store import DATABASE_NAME

SQLITE_VERSION: str = pysqlite3.dbapi2.sqlite_version
MOST_PIECES = 200_000
_E = tables.evidence.c
T = TypeVar("T")


class Figures:
    """Read-only questions to the database in a data directory. Every method raises `StoreError` when it cannot be answered.

    Raises:
        StoreError: there is no database, or none that can be opened.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / DATABASE_NAME
        if not self.path.is_file():
            raise StoreError(f"There is no database {self.path}", remedy="Name the station's data directory, or start the station once")
        self._engine = reading_engine(self.path)

    def schema(self) -> str | None:
        """The revision of the schema."""
        return self._ask(schema_of)

    def tables(self) -> tuple[str, ...]:
        """The tables of this version."""
        return tuple(sorted(tables.metadata.tables))

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        return int(
            self._ask(lambda connection: connection.execute(select(func.count()).select_from(tables.metadata.tables[table])).scalar_one())
        )

    def facts(self) -> dict[str, int]:
        """How many facts there are of each kind."""
        return {str(row[0]): int(row[1]) for row in self._rows(select(_E.kind, func.count()).group_by(_E.kind).order_by(_E.kind))}

    def states(self) -> list[tuple[str, str, int]]:
        """How many pieces of a lane are in a state: lane, state, number."""
        piece = tables.piece.c
        query = select(piece.lane_id, piece.state, func.count()).group_by(piece.lane_id, piece.state).order_by(piece.lane_id, piece.state)
        return [(str(row[0] or ""), str(row[1]), int(row[2])) for row in self._rows(query)]

    def changes(self, since: datetime) -> list[tuple[str, str, str, str, int]]:
        """How often pieces went from state to state since then: UTC day, lane, before, after, number."""
        day = func.substr(_E.at, 1, 10)
        members = [func.coalesce(func.json_extract(_E.payload, f"$.{name}"), "") for name in ("lane_id", "before", "after")]
        columns = [day, *members]
        bounds = (_E.kind == codec.STATE_CHANGE, _E.at >= since)
        query: Select[Any] = select(*columns, func.count()).where(*bounds).group_by(*columns).order_by(*columns)
        return [(str(row[0]), str(row[1]), str(row[2]), str(row[3]), int(row[4])) for row in self._rows(query)]

    def scans(self, since: datetime) -> list[tuple[str, int]]:
        """How many scans were stored on each UTC day since then."""
        day = func.substr(_E.at, 1, 10)
        query = select(day, func.count()).where(_E.kind == codec.SCAN, _E.at >= since).group_by(day).order_by(day)
        return [(str(row[0]), int(row[1])) for row in self._rows(query)]

    def alarms(self, since: datetime, limit: int) -> list[dict[str, Any]]:
        """Alarms that were raised since then, or are active, newest first, as they lie there."""
        alarm = tables.alarm.c
        query = (
            select(tables.alarm).where((alarm.raised_at >= since) | alarm.cleared_at.is_(None)).order_by(alarm.alarm_id.desc()).limit(limit)
        )
        return self._ask(lambda connection: [dict(row) for row in connection.execute(query).mappings()])

    def outbox_errors(self, limit: int) -> list[tuple[str, str, int, int]]:
        """Why events without a receipt could not be sent: state, error, events, most attempts."""
        box = tables.outbox.c
        query = (
            select(box.state, box.last_error, func.count(), func.max(box.attempts))
            .where(box.receipted_at.is_(None), box.attempts > 0)
            .group_by(box.state, box.last_error)
            .order_by(func.count().desc())
            .limit(limit)
        )
        return [(str(row[0]), str(row[1]), int(row[2]), int(row[3])) for row in self._rows(query)]

    def leaves(self) -> tuple[int, int, int]:
        """Of the audit log: leaves, the highest index (-1: none), facts."""
        leaf = tables.audit_leaf.c
        found = self._rows(select(func.count(leaf.leaf_index), func.coalesce(func.max(leaf.leaf_index), -1)))[0]
        return int(found[0]), int(found[1]), self.rows("evidence")

    def names(self) -> Iterator[tuple[str, str]]:
        """Kind and text of every name in the database: pieces (the newest), people, programs, destinations, sender units.

        Tables that cannot be read are passed over.
        """
        piece, user, alarm = tables.piece.c, tables.user_account.c, tables.alarm.c
        questions: list[tuple[str, Select[Any]]] = [
            ("piece", select(piece.piece_id).order_by(piece.state_since.desc()).limit(MOST_PIECES)),
            ("destination", select(piece.destination).distinct()),
            ("unit", select(piece.sender_unit).distinct()),
            ("person", select(user.login)),
            ("person", select(user.display_name)),
            ("person", select(alarm.acknowledged_by).distinct()),
            ("person", select(tables.claim.c.person).distinct()),
            ("person", select(tables.reader_day.c.name).where(tables.reader_day.c.by_model.is_(False)).distinct()),
            ("program", select(tables.machine_token.c.name)),
        ]
        for kind, query in questions:
            try:
                found = self._rows(query)
            except StoreError:
                continue
            yield from ((kind, str(row[0])) for row in found if row[0])

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _rows(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        return self._ask(lambda connection: [tuple(row) for row in connection.execute(query)])

    def _ask(self, question: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection, connection.begin():
                return question(connection)
        except DBAPIError as error:
            raise store_error(error) from error
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"The database {self.path} holds what nobody wrote there", remedy="Verify it: `station audit verify`"
            ) from error
