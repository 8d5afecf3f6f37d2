"""`/reviews`: the queue of held pieces, leases, decisions."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from station.api import schemas
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.lists import QueueWanted
from station.api.pieces import Cursor, Limit, PieceIdPath
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.workflow.once import Answer
from station.workflow.reviewing import ReviewRequest

SeesReviews = Annotated[Caller, Depends(Needs(Action.SEE_REVIEWS))]
Reviews = Annotated[Caller, Depends(Needs(Action.REVIEW_PIECES))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/reviews", tag="reviews")

    @routes.get("", responses={200: {"model": schemas.QueueOut}}, response_class=Response)
    async def queue(caller: SeesReviews, after: Cursor = None, limit: Limit = 50) -> Response:
        """Held pieces, urgent and marked first, with their leases. A second reader is told nothing of the first."""
        return await context.listed(caller, lambda: QueueWanted(after=after, limit=limit))

    @routes.post("/{piece_id}/claim", response_model=schemas.ClaimedOut)
    async def claim(caller: Reviews, piece_id: PieceIdPath, once: OnceKey) -> Answer:
        """Take a held piece, or renew the lease on it (with a new key)."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.claim(piece_id, by=caller, once=once)

    @routes.post("/{piece_id}/release", response_model=schemas.ChangedOut)
    async def release(caller: Reviews, piece_id: PieceIdPath, once: OnceKey) -> Answer:
        """Give a claimed piece back undecided."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.release(piece_id, by=caller, once=once)

    @routes.post("/{piece_id}/decision", response_model=schemas.DecidedOut)
    async def decide(caller: Reviews, piece_id: PieceIdPath, body: schemas.ReviewIn, once: OnceKey) -> Answer:
        """Clear, reject, go on holding, or ask somebody else about a claimed piece.

        Clearing what takes two people (a piece with a level, a device's finding, a second opinion) takes a fresh confirmation too
        (403 `step-up-needed`).
        """
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        request = ReviewRequest(piece_id=piece_id, outcome=body.outcome, scan_sha256=body.scan_sha256, note=body.note, by=caller)
        return await context.handlers.review_decide(request, once=once)

    return routes
