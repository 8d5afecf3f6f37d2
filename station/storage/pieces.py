"""Pieces: what the station knows of each one now."""

import json
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, insert, or_, select, update

from station.domain.canonical import canonical
from station.domain.errors import AnnouncementTooLateError, ConflictError, NotFoundError, WithdrawnError
from station.domain.piece import Announcement, Piece, PieceState, Secrecy, Urgency, change_state
from station.storage import small_things, tables

_T = tables.piece
_C = tables.piece.c
_ONE = select(_T).where(_C.piece_id == bindparam("piece_id"))
_CHANGE = update(_T).where(_C.piece_id == bindparam("changed_id"))
_OUTCOMES = tuple(
    state.value
    for state in (
        PieceState.RELEASED,
        PieceState.HELD,
        PieceState.IN_REVIEW,
        PieceState.REJECTED,
        PieceState.RETURNED,
        PieceState.HANDED_OVER,
        PieceState.FROZEN,
        PieceState.ESCAPED,
    )
)


def get(connection: Connection, piece_id: str) -> Piece | None:
    """One piece, or None."""
    row = connection.execute(_ONE, {"piece_id": piece_id}).one_or_none()
    return None if row is None else of_row(row)


def find(
    connection: Connection,
    *,
    states: Sequence[PieceState],
    lane_id: str | None,
    after: str | None,
    limit: int,
    levels: Collection[Secrecy] | None = None,
) -> list[Piece]:
    """Pieces by state, lane and level, urgent and marked first, then in the order in which they came.

    Raises `NotFoundError` for a bad cursor; one that is of none of the `levels` is no better than one that does not exist.
    """
    query = select(_T).where(*of_levels(levels)).order_by(_C.rank, _C.turn).limit(limit)
    if states:
        query = query.where(_C.state.in_([state.value for state in states]))
    if lane_id is not None:
        query = query.where(_C.lane_id == lane_id)
    if after is not None:
        cursor = connection.execute(select(_C.rank, _C.turn).where(_C.piece_id == after, *of_levels(levels))).one_or_none()
        if cursor is None:
            raise NotFoundError(f"There is no piece {after} to go on after", remedy="Start again from the first page")
        query = query.where(or_(_C.rank > cursor.rank, and_(_C.rank == cursor.rank, _C.turn > cursor.turn)))
    return [of_row(row) for row in connection.execute(query)]


def with_outcome(connection: Connection, *, lane_id: str, limit: int, levels: Collection[Secrecy] | None = None) -> list[Piece]:
    """Pieces of a lane by their latest outcome, newest first."""
    query = (
        select(_T)
        .where(_C.lane_id == lane_id, _C.state.in_(_OUTCOMES), *of_levels(levels))
        .order_by(_C.state_since.desc(), _C.turn.desc(), _C.piece_id)
        .limit(limit)
    )
    return [of_row(row) for row in connection.execute(query)]


def of_levels(levels: Collection[Secrecy] | None) -> list[ColumnElement[bool]]:
    """Only pieces that count as one of these levels, and unmarked ones: `Piece.level` in the database's words."""
    if levels is None or set(levels) >= set(Secrecy):
        # Whoever may see the highest level may see whatever counts as it.
        return []
    named = _C.secrecy.in_(sorted(level.value for level in levels))
    return [and_(_C.announced, or_(_C.secrecy.is_(None), named))]


def announce(connection: Connection, announcement: Announcement, at: datetime) -> tuple[Piece | None, Piece]:
    """Insert or update an announced piece; returns it before (None: it is new) and after. The same advice again changes nothing.

    A piece that came before its announcement takes it while it is on the site, wherever it lies.

    Raises:
        AnnouncementTooLateError: the piece is past `announced` and the advice differs, or it came unannounced and has left for good.
        WithdrawnError: it was withdrawn, whatever the advice says now.
    """
    known = get(connection, announcement.piece_id)
    if known is None:
        piece = Piece(
            piece_id=announcement.piece_id,
            state=change_state(None, PieceState.ANNOUNCED),
            visit=0,
            state_since=at,
            announcement=announcement,
            announced=True,
        )
        add(connection, piece)
        return None, piece
    if known.state is PieceState.CANCELLED:
        # The same advice once more would look like one that was taken.
        raise WithdrawnError(
            f"Piece {announcement.piece_id} was withdrawn at {known.state_since.isoformat(timespec='seconds')}",
            consequence="It stays withdrawn: under this number it would be held",
            remedy="Announce it under a new number",
        )
    if known.announced and known.announcement == announcement:
        return known, known
    comes_late = not known.announced and not known.state.is_terminal
    if known.state is not PieceState.ANNOUNCED and not comes_late:
        raise AnnouncementTooLateError(
            f"Piece {announcement.piece_id} is already {known.state.value} and {_against(known, announcement)}",
            consequence="The announcement was not changed: the piece goes its way by what was said before",
            remedy="Tell the station's people if the piece must not leave by that",
        )
    changes = {**_announcement_values(announcement), "announced": True, "row_version": known.row_version + 1}
    connection.execute(_CHANGE, {"changed_id": announcement.piece_id, **changes})
    return known, _again(connection, announcement.piece_id)


def _against(known: Piece, told: Announcement) -> str:
    """Why what is told now comes too late. Members are named, what they say is not: whoever reads this may not be meant to know a level."""
    if not known.announced:
        return "nobody announced it in time"
    differ = [each.name for each in fields(Announcement) if getattr(known.announcement, each.name) != getattr(told, each.name)]
    return f"was announced otherwise (differs in {', '.join(differ)})"


def add(connection: Connection, piece: Piece) -> None:
    """Insert a piece that nobody knew. Raises `ConflictError` when it is known and `TransitionError` for a state no life begins with."""
    change_state(None, piece.state)
    if piece.announcement.piece_id != piece.piece_id:
        raise ConflictError(
            f"The announcement of {piece.announcement.piece_id} is not that of {piece.piece_id}", consequence="Nothing was stored"
        )
    if get(connection, piece.piece_id) is not None:
        raise ConflictError(
            f"Piece {piece.piece_id} is known already",
            consequence="Nothing was stored",
            remedy="Give the second piece a local id and hold it",
        )
    connection.execute(
        insert(_T).values(
            piece_id=piece.piece_id,
            state=piece.state.value,
            visit=piece.visit,
            state_since=piece.state_since,
            announced=piece.announced,
            lane_id=piece.lane_id,
            reasons=canonical(list(piece.reasons)),
            row_version=piece.row_version,
            turn=_next_turn(connection),
            **_announcement_values(piece.announcement),
        )
    )


def move(
    connection: Connection,
    piece_id: str,
    state: PieceState,
    at: datetime,
    *,
    reasons: Sequence[str],
    lane_id: str | None,
    visit: int | None,
) -> tuple[Piece, Piece]:
    """Move a piece along the lifecycle table; returns it before and after. Raises `NotFoundError` and `TransitionError`."""
    before = get(connection, piece_id)
    if before is None:
        raise NotFoundError(f"There is no piece {piece_id}", consequence="Nothing was changed", remedy="Identify the piece first")
    change_state(before.state, state)
    values: dict[str, Any] = {"state": state.value, "state_since": at, "row_version": before.row_version + 1}
    if reasons or state is PieceState.HELD:
        values["reasons"] = canonical([str(reason) for reason in reasons])
    if lane_id is not None:
        values["lane_id"] = lane_id
    if visit is not None:
        values["visit"] = visit
    if state is PieceState.ARRIVED:
        values["turn"] = _next_turn(connection)
    connection.execute(_CHANGE, {"changed_id": piece_id, **values})
    return before, _again(connection, piece_id)


def _again(connection: Connection, piece_id: str) -> Piece:
    return of_row(connection.execute(_ONE, {"piece_id": piece_id}).one())


def _next_turn(connection: Connection) -> int:
    return small_things.next_number(connection, "piece.turn")


def _announcement_values(announcement: Announcement) -> dict[str, Any]:
    return {
        "rank": (0 if announcement.urgency else 2) + (0 if announcement.secrecy else 1),
        "secrecy": announcement.secrecy and announcement.secrecy.value,
        "urgency": announcement.urgency and announcement.urgency.value,
        "destination": announcement.destination,
        "sender_unit": announcement.sender_unit,
        "kind": announcement.kind,
        "length_mm": announcement.length_mm,
        "width_mm": announcement.width_mm,
        "height_mm": announcement.height_mm,
        "weight_g": announcement.weight_g,
    }


def of_row(row: Row[Any]) -> Piece:
    """The piece that a row with every column of its table tells of."""
    return Piece(
        piece_id=row.piece_id,
        state=PieceState(row.state),
        visit=row.visit,
        state_since=row.state_since,
        announcement=Announcement(
            piece_id=row.piece_id,
            # An unknown level counts as A: a row that a newer version wrote must not become an unmarked piece.
            secrecy=None if row.secrecy is None else (Secrecy(row.secrecy) if row.secrecy in set(Secrecy) else Secrecy.A),
            urgency=None if row.urgency is None else Urgency(row.urgency),
            destination=row.destination,
            sender_unit=row.sender_unit,
            kind=row.kind,
            length_mm=row.length_mm,
            width_mm=row.width_mm,
            height_mm=row.height_mm,
            weight_g=row.weight_g,
        ),
        announced=row.announced,
        lane_id=row.lane_id,
        reasons=tuple(json.loads(row.reasons)),
        row_version=row.row_version,
    )
