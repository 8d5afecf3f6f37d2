"""What every router works with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import Response

from station.api.disguise import disguised
from station.api.lists import ListRequest, Lists, Wanted
from station.api.sight import Sight
from station.api.texts import Texts
from station.domain.access import Action, Caller
from station.domain.piece import Piece, PieceState
from station.domain.scan import ModelReading
from station.domain.vault import ImageLookedAt, ImageViewed
from station.ports.clock import Clock
from station.ports.screening import ScreeningResult
from station.ports.store import EvidenceRow, Store
from station.ports.vault import ImageStore
from station.workflow.access import Access, not_logged_in
from station.workflow.accounts import Accounts
from station.workflow.feed import EventFeed
from station.workflow.handlers import Handlers
from station.workflow.proving import LogProofs
from station.workflow.report_requests import Reports
from station.workflow.unfreezing import Unfreezing
from station.workflow.viewing import ViewLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything that is injected into the application. Only `sight` and the health endpoints read `store`.

    `certify` makes the certificate of a piece, whoever asks: ask `sight` first.
    """

    handlers: Handlers
    store: Store
    images: ImageStore
    feed: EventFeed
    clock: Clock
    texts: Texts
    certify: Callable[[str], bytes]
    proofs: LogProofs
    views: ViewLog
    access: Access
    accounts: Accounts
    reports: Reports
    lists: Lists
    unfreezing: Unfreezing

    def sight(self, caller: Caller) -> Sight:
        """What this caller may see."""
        return Sight(self.store.read, clearance=caller.clearance, sees_images=caller.may(Action.SEE_SCANS))

    async def listed(self, caller: Caller, wanted: Callable[[], Wanted]) -> Response:
        """A list as this caller may see it; `wanted` is asked when its turn has come."""
        sight = self.sight(caller)

        def request() -> ListRequest:
            return ListRequest(clearance=sight.clearance, sees_images=sight.sees_images, now=self.clock.utc_now(), wanted=wanted())

        made = await self.lists.make(request)
        self.demand_still(caller)
        return Response(made, media_type="application/json")

    def demand_still(self, caller: Caller) -> None:
        """What was made may have been waited for: whoever was sent away meanwhile is given nothing. Raises `NotLoggedInError`."""
        # A change of what somebody may see ends their sessions.
        if self.access.memory.still(caller) is None:
            raise not_logged_in()

    def told(self, piece: Piece, rows: Iterable[EvidenceRow]) -> list[EvidenceRow]:
        """A piece's evidence as it may be told now: not who saw its pictures, for a second reader must not learn who the first was."""
        image = self.handlers.projected_image(piece.piece_id)
        rows = rows if image is None else disguised(rows, image)
        return [row for row in rows if not (isinstance(row.evidence, ImageViewed | ImageLookedAt) or self._is_blind_reading(piece, row))]

    def _is_blind_reading(self, piece: Piece, row: EvidenceRow) -> bool:
        return isinstance(row.evidence, ModelReading) and self.is_blind(piece, row.evidence.scan_sha256)

    def is_blind(self, piece: Piece, scan_sha256: str) -> bool:
        """True while nobody may be told what the model found in this scan: it must be read blind, and the piece is not decided.

        It goes by what is stored, not by what a lane asks now: a scan may wait behind another question, or be about to be asked about.
        """
        image = self.handlers.projected_image(piece.piece_id)
        if image is not None and image.reading.projected_sha256 == scan_sha256:
            scan_sha256 = image.scan_sha256
        return piece.state is PieceState.SCANNED and self.handlers.policy.reads_blind(piece.level, scan_sha256)

    def pictures(self, piece_id: str, scan_sha256: str) -> ScreeningResult:
        """The pictures of a scan, or of the projected image that is shown for one. Raises `NotFoundError` and `StoreError`."""
        image = self.handlers.projected_image(piece_id)
        if image is None or image.reading.projected_sha256 != scan_sha256:
            return self.images.views(scan_sha256)
        # Read and unsealed like any other's, and laid aside: a picture that came sooner would give the exercise away.
        self.images.views(image.scan_sha256)
        return image.views
