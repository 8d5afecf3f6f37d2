"""The audit log as people look through it: facts with their leaves and what is known of their pieces, filtered in the query itself."""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, true

from station.domain.accounts import AccessFact
from station.domain.errors import StoreError
from station.domain.freeze import LaneFrozen, LaneUnfrozen
from station.domain.piece import UNDECIDED, PieceState, Secrecy
from station.ports import auditing
from station.ports.auditing import LoggedFact, WantedFacts
from station.ports.store import AuditFact, StateChange
from station.storage import audit_log, codec, pieces, tables

_FACT, _P, _LEAF = tables.evidence.c, tables.piece.c, tables.audit_leaf.c
# Not through the index of kinds: the newest facts come first, and few of them have to be looked at.
_KIND = _FACT.kind.concat("")
_LATER = tables.evidence.alias("later")
_L = _LATER.c
_FROM_REVIEW, _TO_THE_BIN = f'"before":"{PieceState.IN_REVIEW.value}"', f'"after":"{PieceState.HELD.value}"'
"""As a state change's canonical JSON has it: what a review gave back, and so perhaps what its first reader said."""


def find(connection: Connection, wanted: WantedFacts) -> list[LoggedFact]:
    """Facts with their leaves, newest first."""
    query = (
        select(*audit_log.FACT_COLUMNS, audit_log.COMMITMENT, _KIND, _P.state, _P.secrecy, _P.announced)
        .join(tables.piece, _P.piece_id == _FACT.piece_id, isouter=True)
        .join(tables.audit_leaf, _LEAF.leaf_index == _FACT.row_id - 1, isouter=True)
        .where(_told(wanted), *_asked(wanted))
        .order_by(_FACT.row_id.desc())
        .limit(wanted.limit)
    )
    return [_logged(tuple(row)) for row in connection.execute(query)]


def _kinds(types: Iterable[type[Any]]) -> list[str]:
    return sorted(codec.kind_of_type(one) for one in types)


def _told(wanted: WantedFacts) -> ColumnElement[bool]:
    """What somebody who is cleared for these levels may know of at all."""
    of_levels = pieces.of_levels(wanted.levels)
    seen = and_(true(), *of_levels)
    decided = or_(_P.state.is_(None), _P.state.not_in(sorted(state.value for state in UNDECIDED)))
    holds = (_FACT.payload.contains(text, autoescape=True) for text in (_FROM_REVIEW, _TO_THE_BIN))
    step_back = and_(_KIND.in_(_kinds((StateChange,))), *holds)
    another, ended = codec.kind_of_type(LaneFrozen), codec.kind_of_type(LaneUnfrozen)
    over = exists().where(
        _L.piece_id == _FACT.piece_id,
        or_(and_(_L.kind == ended, _L.visit == _FACT.visit), and_(_L.kind == another, _L.visit > _FACT.visit)),
    )
    # As canonical JSON has it: within a text of the fact's own the quotation marks would be escaped.
    levels = ["null", *(f'"{level.value}"' for level in wanted.levels)]
    destroyed = or_(*(_FACT.payload.contains(f'"level":{level}', autoescape=True) for level in levels)) if of_levels else true()
    never = [_FACT.payload.contains(f'"event":"{event.value}"', autoescape=True) for event in sorted(auditing.NEVER_TOLD)]
    # Asked for by its piece, a fact says which one it names.
    naming = true() if wanted.subject is None else seen
    return or_(
        and_(_KIND.in_(_kinds(auditing.ABOUT_PIECES)), seen, or_(decided, ~step_back)),
        and_(_KIND.in_(_kinds(auditing.TOLD_WHEN_DECIDED)), seen, decided),
        and_(_KIND.in_(_kinds(auditing.NAMING_PIECES)), naming),
        and_(_KIND.in_(_kinds(auditing.TOLD_WHEN_OVER)), over),
        and_(_KIND.in_(_kinds(auditing.OF_A_LEVEL)), destroyed),
        and_(_KIND.in_(_kinds(auditing.ABOUT_THE_STATION)), ~and_(_KIND.in_(_kinds((AccessFact,))), or_(*never))),
    )


def _asked(wanted: WantedFacts) -> list[ColumnElement[bool]]:
    bounds: list[ColumnElement[bool]] = []
    if wanted.fact_type is not None:
        bounds.append(_FACT.kind == codec.kind_of_type(wanted.fact_type))
    if wanted.subject is not None:
        bounds.append(_FACT.piece_id == wanted.subject)
    if wanted.since is not None:
        bounds.append(_FACT.at >= wanted.since)
    if wanted.until is not None:
        bounds.append(_FACT.at < wanted.until)
    if wanted.below is not None:
        bounds.append(_FACT.row_id <= wanted.below)
    if wanted.leaf is not None:
        bounds.append(_FACT.row_id == wanted.leaf + 1)
    return bounds


def _logged(row: tuple[Any, ...]) -> LoggedFact:
    *columns, commitment, kind, state, secrecy, announced = row
    stored = audit_log.read_fact(columns)
    subject, visit, at, content = _content(stored)
    level = None
    if state is not None:
        level = (None if secrecy is None else Secrecy(secrecy)) if announced else Secrecy.A
    return LoggedFact(
        stored=stored,
        commitment=commitment if commitment is not None and len(commitment) == audit_log.HASH_SIZE else None,
        fact_type=codec.KINDS[kind],
        content=content,
        subject=subject,
        visit=visit,
        at=at,
        level=level,
        state=None if state is None else PieceState(state),
    )


def _content(stored: AuditFact) -> tuple[str, int | None, datetime | None, Any]:
    """Subject, visit, time and the fact itself, of what can be read."""
    if stored.content is None:
        return "", None, None, None
    whole = json.loads(stored.content)
    at, content = None, None
    with suppress(ValueError):
        at = datetime.fromisoformat(whole["at"])
    with suppress(StoreError):
        content = codec.from_json(whole["kind"], json.dumps(whole["payload"]))
    return whole["piece_id"], whole["visit"], at, content
