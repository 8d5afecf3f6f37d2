"""`/scans`: pictures and figures of scans. A picture that may not be shown looks as if it did not exist."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from station.api import shown
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.routing import resource
from station.api.scan_shapes import LookedIn, LookedOut, ScanOut
from station.api.sight import SeenView
from station.domain.access import Action, Caller
from station.domain.errors import NotFoundError
from station.domain.piece import Piece
from station.domain.scan import Scan
from station.domain.vault import Rendering
from station.ports.store import Evidence
from station.workflow.once import Answer

ScanPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
PieceQuery = Annotated[str, Query(pattern=r"^[!-.0-~]{1,40}$", description="The piece whose scan it is.")]

SeesScans = Annotated[Caller, Depends(Needs(Action.SEE_SCANS))]

_PNG: dict[int | str, dict[str, object]] = {200: {"content": {"image/png": {}}, "description": "The picture"}}


@dataclass(frozen=True, slots=True)
class _Visible:
    """A scan that the caller may see."""

    piece: Piece
    scan: Scan
    facts: list[Evidence]


def router(context: Context) -> APIRouter:
    """The routes of this resource. Whatever is given out here is written down first."""
    routes = resource("/scans", tag="scans")

    def visible(caller: Caller, sha256: str, piece_id: str, *, with_model: bool) -> _Visible:
        def query(view: SeenView) -> _Visible:
            piece = view.piece(piece_id)
            facts = [row.evidence for row in context.told(piece, view.evidence(piece_id))] if piece is not None else []
            scan = next((fact for fact in facts if isinstance(fact, Scan) and fact.sha256 == sha256), None)
            # One answer for unknown, of another piece, above the clearance, and still read blind: nobody learns which of them it is.
            if piece is None or scan is None or (with_model and context.is_blind(piece, sha256)):
                raise NotFoundError("No such scan", remedy="Check the number")
            return _Visible(piece, scan, facts)

        return context.sight(caller).read(query)

    async def picture(caller: Caller, sha256: str, piece_id: str, rendering: Rendering) -> Response:
        seen = await asyncio.to_thread(visible, caller, sha256, piece_id, with_model=rendering is Rendering.HEAT)
        views = await asyncio.to_thread(context.pictures, piece_id, sha256)
        await context.views.note(seen.piece, seen.scan, rendering, caller.name)
        context.demand_still(caller)
        content = views.heat_png if rendering is Rendering.HEAT else views.view_png
        return Response(content, media_type="image/png")

    @routes.get("/{sha256}")
    async def scan(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> ScanOut:
        """What is known of a scan: sizes, findings, and the model's reading of it."""
        seen = await asyncio.to_thread(visible, caller, sha256, piece, with_model=False)
        await context.views.note(seen.piece, seen.scan, Rendering.FIGURES, caller.name)
        context.demand_still(caller)
        return shown.scan_out(seen.scan, seen.facts)

    @routes.get("/{sha256}/view.png", responses=_PNG, response_class=Response)
    async def view_png(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> Response:
        """The scan in the standard pseudo-colour view."""
        return await picture(caller, sha256, piece, Rendering.STANDARD)

    @routes.get("/{sha256}/heat.png", responses=_PNG, response_class=Response)
    async def heat_png(caller: SeesScans, sha256: ScanPath, piece: PieceQuery) -> Response:
        """The model's heat map over the whole image; absent while an operator reads the scan blind."""
        return await picture(caller, sha256, piece, Rendering.HEAT)

    @routes.post("/{sha256}/looked", response_model=LookedOut)
    async def looked(caller: SeesScans, sha256: ScanPath, piece: PieceQuery, body: LookedIn, once: OnceKey) -> Answer:
        """The picture has left the screen: for how long it was there. Not `written` where the caller was given no such picture."""
        seen = await asyncio.to_thread(visible, caller, sha256, piece, with_model=False)
        return await context.views.looked(seen.piece, seen.scan, caller.name, shown_ms=body.shown_ms, heat_ms=body.heat_ms, once=once)

    return routes
