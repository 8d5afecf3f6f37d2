"""Wire shapes of the audit log, and what may be shown of a fact in it."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from station.api import shown
from station.api.report_shapes import escaped
from station.api.sight import Sight
from station.audit.log_check import commits
from station.audit.merkle import leaf_hash
from station.domain.access import may_see
from station.domain.accounts import AccessFact
from station.domain.escape import EscapeSettled
from station.domain.freeze import AllClear, FreezeStepDone, LaneFrozen, LaneUnfrozen, LatchSetAgain
from station.domain.model_use import ModelInUse
from station.domain.piece import UNDECIDED, Secrecy
from station.domain.reconciled import DayReconciled
from station.domain.shift import ShiftHandedOver, ShiftTakenOver
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun
from station.domain.vault import ImagesDestroyed
from station.ports.auditing import ABOUT_PIECES, NAMING_PIECES, TOLD_WHEN_DECIDED, LoggedFact
from station.ports.store import EvidenceRow
from station.reports.plain_text import plain
from station.workflow.proving import Inclusion, OwnCheckpoint, Standing

_COUNTS = ("note", "held_pieces", "open_claims", "standing_alarms", "frozen_lanes")
_OF_THE_STATION: dict[type[Any], tuple[str, ...]] = {
    AccessFact: ("event", "person", "user_id", "login", "roles", "clearance", "source", "count"),
    AllClear: ("lane_id", "person"),
    DayReconciled: ("day", "agrees", "ours", "theirs"),
    EscapeSettled: ("person",),
    FreezeStepDone: ("lane_id", "step", "person"),
    ImagesDestroyed: ("key_id", "level", "images", "roll_sha256", "order"),
    LaneFrozen: ("lane_id", "origin", "person"),
    LaneUnfrozen: ("lane_id", "people"),
    LatchSetAgain: ("lane_id",),
    ModelInUse: ("person", "note", "folder", "manifest_sha256", "model_sha256", "calibration_sha256", "key", "rolled_back"),
    ShiftHandedOver: ("shift", "person", *_COUNTS),
    ShiftTakenOver: ("shift", "handed_over_by", "person"),
    TestPieceReferenceEnded: ("lane_id", "person", "note"),
    TestPieceRun: ("lane_id", "passed", "error"),
}
"""Members that name no piece; of a type that is not here only the fact itself is shown."""


class CheckpointOut(BaseModel):
    """A checkpoint that the log's own key signed. `note` is the whole C2SP note with every signature; `root` in hexadecimal.

    `witnessed_at` is when a witness first signed it, null when none did.
    """

    size: int
    root: str
    note: str
    witnessed_at: datetime | None


class AuditStandOut(BaseModel):
    """How the audit log stands. `holds` is false while it is broken, or could not be looked at or signed for 30 s.

    `newest` is the newest checkpoint, `witnessed` the newest that a witness signed too.
    """

    leaves: int
    holds: bool
    newest: CheckpointOut | None
    witnessed: CheckpointOut | None


class LoggedFactOut(BaseModel):
    """A fact with its leaf. `entry` and `leaf_hash` in hexadecimal, null when the leaf is missing; `matches`: it is that of this fact.

    `signed`: the newest checkpoint covers it. `piece_id` is what the fact is about, a piece or a name of the station's own; null where the
    caller may not know it. `values` are the members that the caller may see; of a piece about which people still decide there are none.
    """

    leaf_index: int
    entry: str | None
    leaf_hash: str | None
    matches: bool
    signed: bool
    at: datetime | None
    type: str
    piece_id: str | None
    visit: int | None
    restricted: bool
    values: dict[str, object]


class LoggedFactsOut(BaseModel):
    """A page of facts, newest first. `next` asks for the page after it; null where there is none."""

    items: list[LoggedFactOut]
    next: int | None


class InclusionOut(BaseModel):
    """That a leaf stands in the log: RFC 6962 audit path, from the leaf upwards, in hexadecimal, and the checkpoint to which it leads."""

    leaf_index: int
    entry: str
    leaf_hash: str
    path: list[str]
    checkpoint: CheckpointOut


def stand_out(standing: Standing) -> AuditStandOut:
    """How the log stands."""
    return AuditStandOut(
        leaves=standing.leaves,
        holds=standing.holds,
        newest=None if standing.newest is None else _checkpoint_out(standing.newest),
        witnessed=None if standing.witnessed is None else _checkpoint_out(standing.witnessed),
    )


def inclusion_out(fact: LoggedFact, proved: Inclusion) -> InclusionOut:
    """The proof of a leaf that is there."""
    entry = fact.commitment or b""
    return InclusionOut(
        leaf_index=fact.leaf_index,
        entry=entry.hex(),
        leaf_hash=leaf_hash(entry).hex(),
        path=[node.hex() for node in proved.path],
        checkpoint=_checkpoint_out(proved.checkpoint),
    )


def logged_fact_out(fact: LoggedFact, sight: Sight, *, signed: int) -> LoggedFactOut:
    """A fact as this caller sees it; `signed` leaves are covered by the newest checkpoint."""
    about_a_piece = fact.fact_type in ABOUT_PIECES | TOLD_WHEN_DECIDED
    # What is about a piece that the station does not know counts as being about one of the highest level.
    level = Secrecy.A if fact.state is None and fact.fact_type in ABOUT_PIECES | TOLD_WHEN_DECIDED | NAMING_PIECES else fact.level
    named = may_see(sight.clearance, level) and bool(fact.subject)
    entry = fact.commitment
    return LoggedFactOut(
        leaf_index=fact.leaf_index,
        entry=None if entry is None else entry.hex(),
        leaf_hash=None if entry is None else leaf_hash(entry).hex(),
        matches=entry is not None and fact.stored.leaf_index == fact.leaf_index and commits(entry, fact.stored),
        signed=fact.leaf_index < signed,
        at=fact.at,
        type=fact.fact_type.__name__,
        piece_id=plain(fact.subject) if named else None,
        visit=fact.visit if named else None,
        restricted=about_a_piece and not sight.sees_content(level),
        values={name: escaped(value) for name, value in _values(fact, sight, level).items()},
    )


def _values(fact: LoggedFact, sight: Sight, level: Secrecy | None) -> dict[str, object]:
    content, naming = fact.content, fact.fact_type in NAMING_PIECES
    # Whether people still decide about a piece that is only named says nothing of the fact, and may not be told.
    if content is None or (fact.state in UNDECIDED and not naming):
        return {}
    if naming or fact.fact_type in ABOUT_PIECES | TOLD_WHEN_DECIDED:
        row = EvidenceRow(
            row_id=fact.stored.row_id,
            piece_id=fact.subject,
            visit=fact.visit or 0,
            at=fact.at or datetime.fromtimestamp(0, UTC),
            evidence=content,
            leaf_index=fact.leaf_index,
        )
        return shown.fact_out(row, restricted=naming or not sight.sees_content(level)).values
    names = set(_OF_THE_STATION.get(fact.fact_type, ()))
    if isinstance(content, ShiftHandedOver) and not may_see(sight.clearance, content.clearance):
        names -= set(_COUNTS)
    if isinstance(content, DayReconciled) and not sight.sees_all:
        # A day's number of all events, beside those that may be seen, would tell how many there are of the others.
        names -= {"ours", "theirs"}
    return {name: value for name, value in shown.plain_values(content).items() if name in names}


def _checkpoint_out(found: OwnCheckpoint) -> CheckpointOut:
    witnessed_at = None if found.witnessed_at is None else datetime.fromtimestamp(found.witnessed_at, UTC)
    return CheckpointOut(size=found.size, root=found.root.hex(), note=found.note, witnessed_at=witnessed_at)
