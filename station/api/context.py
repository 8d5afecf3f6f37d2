"""What every router works with."""

from collections.abc import Iterable
from dataclasses import dataclass

from station.api.sight import Sight
from station.api.texts import Texts
from station.domain.access import Caller
from station.domain.piece import Piece, PieceState
from station.domain.scan import ModelReading
from station.ports.clock import Clock
from station.ports.store import EvidenceRow, ImageStore, Store
from station.workflow.access import Access
from station.workflow.accounts import Accounts
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that is injected into the application. Only `sight` and the health endpoints read `store`."""

    handlers: Handlers
    store: Store
    images: ImageStore
    feed: EventFeed
    clock: Clock
    texts: Texts
    access: Access
    accounts: Accounts

    def sight(self, caller: Caller) -> Sight:
        """What this caller may see."""
        return Sight(self.store, caller)

    def told(self, piece: Piece, rows: Iterable[EvidenceRow]) -> list[EvidenceRow]:
        """A piece's evidence as it may be told now."""
        return [row for row in rows if not (isinstance(row.evidence, ModelReading) and self.is_blind(piece, row.evidence.scan_sha256))]

    def is_blind(self, piece: Piece, scan_sha256: str) -> bool:
        """True while nobody may be told what the model found in this scan: it must be read blind, and the piece is not decided.

        It goes by what is stored, not by what a lane asks now: a scan may wait behind another question, or be about to be asked about.
        """
        return piece.state is PieceState.SCANNED and self.handlers.policy.reads_blind(piece.level, scan_sha256)
