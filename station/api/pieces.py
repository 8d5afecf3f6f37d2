"""`/pieces`: pre-advice, lists, one piece with its evidence, withdrawal and hand-over."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from station.api import schemas, shown
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.lists import PiecesWanted
from station.api.routing import resource
from station.api.sight import SeenView
from station.domain.access import Action, Caller
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.scan import Scan
from station.domain.vault import Rendering
from station.review import rules
from station.workflow.once import Answer
from station.workflow.reviewing import known_piece

PieceIdPath = Annotated[str, Path(pattern=r"^[!-.0-~]{1,40}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str | None, Query(max_length=40, description="`next` of the page before.")]

SeesPieces = Annotated[Caller, Depends(Needs(Action.SEE_PIECES))]
Announces = Annotated[Caller, Depends(Needs(Action.ANNOUNCE_PIECES))]
HandsOver = Annotated[Caller, Depends(Needs(Action.HAND_OVER_PIECES))]


def _secrecy(level: str | None) -> Secrecy | None:
    # A level that this station does not know is the highest one.
    if level is None:
        return None
    return Secrecy(level) if level in {each.value for each in Secrecy} else Secrecy.A


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/pieces", tag="pieces")

    @routes.post("", status_code=HTTPStatus.CREATED, response_model=schemas.ChangedOut)
    async def announce(_caller: Announces, body: schemas.AnnouncementIn, once: OnceKey) -> Answer:
        """Announce a piece before it comes. The same advice again changes nothing."""
        members = body.model_dump() | {"secrecy": _secrecy(body.secrecy)}
        return await context.handlers.announce(Announcement(**members), once=once)

    @routes.get("", responses={200: {"model": schemas.PageOut}}, response_class=Response)
    async def list_pieces(
        caller: SeesPieces,
        state: Annotated[list[PieceState] | None, Query()] = None,
        lane_id: Annotated[str | None, Query(max_length=32)] = None,
        after: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        """Pieces by state and lane: urgent and marked first, then oldest."""
        wanted = PiecesWanted(states=tuple(state or ()), lane_id=lane_id, after=after, limit=limit)
        return await context.listed(caller, lambda: wanted)

    @routes.get("/{piece_id}")
    async def one_piece(caller: SeesPieces, piece_id: PieceIdPath) -> schemas.PieceDetailOut:
        """One piece with its newest scan, its claim and its evidence. Of a restricted piece nothing that describes its content.

        That somebody was given the figures of a marked piece's scan is written down, once a minute.
        """
        sight = context.sight(caller)

        def query(view: SeenView) -> tuple[Piece, Scan | None, schemas.PieceDetailOut]:
            piece = known_piece(view, piece_id)
            rows, now = context.told(piece, view.evidence(piece_id)), context.clock.utc_now()
            found = shown.piece_detail_out(piece, rows, view.claim(piece_id), now, sight, context.handlers.policy)
            scan = rules.newest_scan(row.evidence for row in rows if row.visit == piece.visit)
            return piece, scan if found.scan is not None else None, found

        piece, scan, found = await asyncio.to_thread(sight.read, query)
        if piece.is_marked and scan is not None:
            await context.views.note(piece, scan, Rendering.FIGURES, caller.name)
        return found

    @routes.post("/{piece_id}/cancel", response_model=schemas.ChangedOut)
    async def cancel(caller: Announces, piece_id: PieceIdPath, once: OnceKey) -> Answer:
        """Withdraw a pre-advice whose piece has not come."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.cancel(piece_id, once=once)

    @routes.post("/{piece_id}/hand-over", response_model=schemas.ChangedOut)
    async def hand_over(caller: HandsOver, piece_id: PieceIdPath, body: schemas.HandOverIn, once: OnceKey) -> Answer:
        """A rejected piece leaves by hand: back to its sender unit, or to the competent force."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.hand_over(piece_id, returned=body.how == "returned", to=body.to, by=caller, once=once)

    return routes
