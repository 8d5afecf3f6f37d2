"""The audit log as people look through it: facts with their leaves, newest first, of what somebody may know."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from station.domain.accounts import AccessEvent, AccessFact
from station.domain.backup import RecordRestored, StoreRestored
from station.domain.clearance import Clearance, Identification
from station.domain.disinfection import DisinfectionResult
from station.domain.drift import DriftReset, DriftTrip
from station.domain.escape import EscapeSettled
from station.domain.freeze import AllClear, FreezeStepDone, LaneFrozen, LaneUnfrozen, LatchSetAgain
from station.domain.gate import GateAction, Permit, Refusal
from station.domain.measurement import InfeedMeasurement
from station.domain.model_use import ModelInUse
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.projection import ProjectionResult
from station.domain.reconciled import DayReconciled
from station.domain.review import Handover, OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.domain.shift import ShiftHandedOver, ShiftTakenOver
from station.domain.test_piece import TestPieceReferenceEnded, TestPieceRun
from station.domain.vault import ImageLookedAt, ImagesDestroyed, ImageViewed
from station.ports.store import AuditFact, StateChange

ABOUT_PIECES: frozenset[type[Any]] = frozenset(
    {
        Announcement,
        StateChange,
        Identification,
        InfeedMeasurement,
        Scan,
        DisinfectionResult,
        Permit,
        Refusal,
        GateAction,
        Handover,
        RecordRestored,
    }
)
"""Told of every piece that somebody may see. Of a step back from review to the bin that is so once the piece is decided."""
TOLD_WHEN_DECIDED: frozenset[type[Any]] = frozenset(
    {ModelReading, OperatorReading, ReviewDecision, Clearance, ImageMatch, ImageViewed, ImageLookedAt, ProjectionResult}
)
"""They would tell somebody who still has to read blind, or decide as the second, what others found or said."""
NAMING_PIECES: frozenset[type[Any]] = frozenset({DriftTrip, DriftReset, EscapeSettled})
"""About the station; the piece that they name is told to whoever may see it."""
TOLD_WHEN_OVER: frozenset[type[Any]] = frozenset({AllClear})
"""Whoever gives the all clear as the second is blind to the first: told when the freeze has ended, or another one has begun."""
OF_A_LEVEL: frozenset[type[Any]] = frozenset({ImagesDestroyed})
"""They carry the level of what they are about."""
ABOUT_THE_STATION: frozenset[type[Any]] = frozenset(
    {
        AccessFact,
        DayReconciled,
        FreezeStepDone,
        LaneFrozen,
        LaneUnfrozen,
        LatchSetAgain,
        ModelInUse,
        ShiftHandedOver,
        ShiftTakenOver,
        StoreRestored,
        TestPieceReferenceEnded,
        TestPieceRun,
    }
)
NEVER_TOLD = frozenset({AccessEvent.CONFIRMED, AccessEvent.CONFIRMATION_REFUSED})
"""Facts about people that are not listed: that somebody confirmed, beside a piece that came back to the bin, tells how they decided."""
FACT_TYPES: dict[str, type[Any]] = {
    one.__name__: one
    for group in (ABOUT_PIECES, TOLD_WHEN_DECIDED, NAMING_PIECES, TOLD_WHEN_OVER, OF_A_LEVEL, ABOUT_THE_STATION)
    for one in sorted(group, key=lambda fact: fact.__name__)
}
"""Every type of fact by its name. What is in no group is shown to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFacts:
    """Which facts to list, and for whom.

    `levels`: only of pieces that count as one of these, and unmarked ones. `fact_type` None: of every type. `subject`: the piece, or the
    name under which what is about none stands. `since` (included) and `until` (not included) by the time that they carry. `below`: only
    leaves before this one; `leaf`: this one alone.
    """

    levels: Collection[Secrecy]
    fact_type: type[Any] | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    below: int | None = None
    leaf: int | None = None
    limit: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedFact:
    """A fact beside its leaf, as both lie there. `commitment` None: there is no leaf.

    `content` is what the row says, None where that cannot be read. `level` and `state` are its piece's now; both None for what is about no
    piece.
    """

    stored: AuditFact
    commitment: bytes | None
    fact_type: type[Any]
    content: Any
    subject: str
    visit: int | None
    at: datetime | None
    level: Secrecy | None
    state: PieceState | None

    @property
    def leaf_index(self) -> int:
        """Its place in the log, by the number of its row."""
        return self.stored.row_id - 1
