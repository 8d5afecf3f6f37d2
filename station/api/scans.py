"""`/scans`: pictures and figures of scans. A picture that may not be shown looks as if it did not exist."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from station.api import schemas, shown
from station.api.callers import Needs
from station.api.context import Context
from station.api.sight import SeenView
from station.domain.access import Action, Caller
from station.domain.errors import NotFoundError
from station.domain.scan import Scan

ScanPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
PieceQuery = Annotated[str, Query(pattern=r"^[!-.0-~]{1,40}$", description="The piece whose scan it is.")]

SeesScans = Annotated[Caller, Depends(Needs(Action.SEE_SCANS))]

_PNG: dict[int | str, dict[str, object]] = {200: {"content": {"image/png": {}}, "description": "The picture"}}
_HEADERS = {"Cache-Control": "no-store"}


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/scans", tags=["scans"])

    def visible(caller: Caller, sha256: str, piece_id: str, *, with_model: bool = False) -> schemas.ScanOut:
        def query(view: SeenView) -> schemas.ScanOut:
            piece = view.piece(piece_id)
            facts = [row.evidence for row in context.told(piece, view.evidence(piece_id))] if piece is not None else []
            scan = next((fact for fact in facts if isinstance(fact, Scan) and fact.sha256 == sha256), None)
            # One answer for unknown, of another piece, restricted, and still read blind: nobody learns which of them it is.
            if piece is None or piece.is_marked or scan is None or (with_model and context.is_blind(piece, sha256)):
                raise NotFoundError("No such scan", remedy="Check the number")
            return shown.scan_out(scan, facts)

        return context.sight(caller).read(query)

    @routes.get("/{sha256}")
    def scan(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> schemas.ScanOut:
        """What is known of a scan: sizes, findings, and the model's reading of it."""
        return visible(caller, sha256, piece)

    @routes.get("/{sha256}/view.png", responses=_PNG, response_class=Response)
    def view_png(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> Response:
        """The scan in the standard pseudo-colour view."""
        visible(caller, sha256, piece)
        return Response(context.images.views(sha256).view_png, media_type="image/png", headers=_HEADERS)

    @routes.get("/{sha256}/heat.png", responses=_PNG, response_class=Response)
    def heat_png(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> Response:
        """The model's heat map over the whole image; absent while an operator reads the scan blind."""
        visible(caller, sha256, piece, with_model=True)
        return Response(context.images.views(sha256).heat_png, media_type="image/png", headers=_HEADERS)

    return routes
