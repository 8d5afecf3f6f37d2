"""Facts (evidence and steps of a piece's life): append-only rows, each with its leaf in the audit log."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, insert, or_, select

from station.domain.canonical import canonical
from station.domain.commitment import part
from station.domain.errors import NotFoundError
from station.domain.piece import Announcement, Piece, PieceState
from station.domain.scan import ImageMatch, Scan
from station.ports.store import Evidence, EvidenceRow, ScanOwner, StateChange
from station.storage import codec, pieces, tables
from station.storage.audit_log import AuditAppender
from station.storage.salts import FactSalts
from station.storage.tables import utc_text

_NO_EVIDENCE = (codec.ANNOUNCEMENT, codec.STATE_CHANGE)
"""Facts about a piece that say nothing of what was found out about it."""
_T = tables.evidence
_C = tables.evidence.c
_ADD = insert(_T)
_P = tables.piece.c
_OWNERS = select(_C.scan_sha256, tables.piece).join(tables.piece, _P.piece_id == _C.piece_id).distinct()


def append(connection: Connection, log: AuditAppender, fact: Evidence | StateChange, salts: FactSalts) -> tuple[int, int]:
    """Store a fact with its leaf; returns (row id, leaf index)."""
    return _append(connection, log, fact, _place_of(connection, fact), salts)


def append_announcement(connection: Connection, log: AuditAppender, piece: Piece, at: datetime, salts: FactSalts) -> None:
    """Store what tracking announced of a piece, or announces now, with its leaf."""
    _append(connection, log, piece.announcement, (piece.piece_id, piece.visit, at), salts)


def _append(
    connection: Connection,
    log: AuditAppender,
    fact: Evidence | StateChange | Announcement,
    place: tuple[str, int, datetime],
    salts: FactSalts,
) -> tuple[int, int]:
    kind, members = codec.kind_of(fact), codec.to_members(fact)
    piece_id, visit, at = place
    salt = salts.new(connection, piece_id)
    row = {"at": utc_text(at), "kind": kind, "piece_id": piece_id, "visit": visit}
    leaf_index = log.append(part(salt, row, members).commitment)
    inserted = connection.execute(
        _ADD,
        {
            "piece_id": piece_id,
            "visit": visit,
            "at": at,
            "kind": kind,
            "scan_sha256": fact.sha256 if isinstance(fact, Scan) else None,
            "payload": canonical(members),
            "salt": salt,
            "leaf_index": leaf_index,
        },
    )
    (row_id,) = inserted.inserted_primary_key or (0,)
    return row_id, leaf_index


def row_of(connection: Connection, fact: Evidence, row_id: int, leaf_index: int) -> EvidenceRow:
    """The stored row of a fact that was just appended."""
    piece_id, visit, at = _place_of(connection, fact)
    return EvidenceRow(row_id=row_id, piece_id=piece_id, visit=visit, at=at, evidence=fact, leaf_index=leaf_index)


def of_piece(connection: Connection, piece_id: str, visit: int | None) -> list[EvidenceRow]:
    """Evidence about a piece in commit order."""
    query = select(_T).where(_C.piece_id == piece_id, _C.kind.not_in(_NO_EVIDENCE)).order_by(_C.row_id)
    if visit is not None:
        query = query.where(_C.visit == visit)
    return [_row(row) for row in connection.execute(query)]


def of_present_visits(connection: Connection, piece_ids: Collection[str]) -> dict[str, list[EvidenceRow]]:
    """Evidence about the present visit of each of these pieces in commit order, by piece."""
    present = and_(_P.piece_id == _C.piece_id, _P.visit == _C.visit)
    query = select(_T).join(tables.piece, present).where(_C.piece_id.in_(piece_ids), _C.kind.not_in(_NO_EVIDENCE)).order_by(_C.row_id)
    found: dict[str, list[EvidenceRow]] = {}
    for row in connection.execute(query):
        found.setdefault(row.piece_id, []).append(_row(row))
    return found


def history_of(connection: Connection, piece_id: str) -> list[StateChange]:
    """The steps of a piece's life in commit order."""
    query = select(_C.kind, _C.payload).where(_C.piece_id == piece_id, _C.kind == codec.STATE_CHANGE).order_by(_C.row_id)
    return [codec.from_json(row.kind, row.payload) for row in connection.execute(query)]


def scans_of(connection: Connection, *, states: Collection[PieceState], since: datetime | None) -> list[ScanOwner]:
    """Every scan of pieces that are in one of these states, or came into theirs since then."""
    wanted: ColumnElement[bool] = _P.state.in_([state.value for state in states])
    if since is not None:
        wanted = or_(wanted, _P.state_since >= since)
    return _owners(connection, _OWNERS.where(_C.scan_sha256.is_not(None), wanted))


def owners_of(connection: Connection, sha256: str) -> list[ScanOwner]:
    """The pieces of which this scan is in evidence."""
    return _owners(connection, _OWNERS.where(_C.scan_sha256 == sha256))


def _owners(connection: Connection, query: Select[Any]) -> list[ScanOwner]:
    return [
        ScanOwner(
            sha256=row.scan_sha256,
            piece_id=row.piece_id,
            level=pieces.of_row(row).level,
        )
        for row in connection.execute(query)
    ]


def _row(row: Row[Any]) -> EvidenceRow:
    return EvidenceRow(
        row_id=row.row_id,
        piece_id=row.piece_id,
        visit=row.visit,
        at=row.at,
        evidence=codec.from_json(row.kind, row.payload),
        leaf_index=row.leaf_index,
    )


def _place_of(connection: Connection, fact: Evidence | StateChange) -> tuple[str, int, datetime]:
    """Piece, visit and time of a fact. An image match names only scans, so it stands where its newer scan stands."""
    if not isinstance(fact, ImageMatch):
        return fact.piece_id, fact.visit, fact.at
    row = connection.execute(
        select(_C.piece_id, _C.visit, _C.at).where(_C.scan_sha256 == fact.new_scan_sha256).order_by(_C.row_id.desc()).limit(1)
    ).one_or_none()
    if row is None:
        raise NotFoundError(
            f"No scan {fact.new_scan_sha256} is stored that this image match could belong to",
            consequence="Nothing was stored",
            remedy="Store the new scan first",
        )
    return row.piece_id, row.visit, row.at
