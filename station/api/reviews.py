"""`/reviews`: the queue of held pieces, leases, decisions."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends

from station.api import schemas, shown
from station.api.callers import Needs, OnceKey, demand_confirmation
from station.api.context import Context
from station.api.pieces import Cursor, Limit, PieceIdPath
from station.api.sight import SeenView
from station.domain.access import Action, Caller, lifting_needs_confirmation
from station.domain.people import people_needed
from station.domain.piece import PieceState
from station.domain.review import ReviewOutcome
from station.review import rules
from station.workflow.once import Answer
from station.workflow.reviewing import ReviewRequest, known_piece

SeesReviews = Annotated[Caller, Depends(Needs(Action.SEE_REVIEWS))]
Reviews = Annotated[Caller, Depends(Needs(Action.REVIEW_PIECES))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/reviews", tags=["reviews"])

    def lifting(caller: Caller, piece_id: str) -> bool:
        """Whether clearing this piece takes a confirmation."""

        def query(view: SeenView) -> bool:
            piece = known_piece(view, piece_id)
            facts = [row.evidence for row in view.evidence(piece_id, piece.visit)]
            people = people_needed(piece.level, rules.standing_reasons(piece.reasons, facts))
            return lifting_needs_confirmation(marked=piece.is_marked, people_needed=people)

        return context.sight(caller).read(query)

    @routes.get("")
    def queue(caller: SeesReviews, after: Cursor = None, limit: Limit = 50) -> schemas.QueueOut:
        """Held pieces, urgent and marked first, with their leases. A second reader is told nothing of the first."""
        now = context.clock.utc_now()

        def query(view: SeenView) -> schemas.QueueOut:
            held = view.pieces(states=[PieceState.HELD, PieceState.IN_REVIEW], after=after, limit=limit)
            items = [
                shown.queue_item_out(piece, view.evidence(piece.piece_id, piece.visit), view.claim(piece.piece_id), now) for piece in held
            ]
            return schemas.QueueOut(items=items, next=held[-1].piece_id if len(held) == limit else None)

        return context.sight(caller).read(query)

    @routes.post("/{piece_id}/claim", response_model=schemas.ClaimedOut)
    async def claim(caller: Reviews, piece_id: PieceIdPath, once: OnceKey) -> Answer:
        """Take a held piece, or renew the lease on it (with a new key)."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.claim(piece_id, person=caller.name, once=once)

    @routes.post("/{piece_id}/release", response_model=schemas.ChangedOut)
    async def release(caller: Reviews, piece_id: PieceIdPath, once: OnceKey) -> Answer:
        """Give a claimed piece back undecided."""
        await asyncio.to_thread(context.sight(caller).demand, piece_id)
        return await context.handlers.release(piece_id, person=caller.name, once=once)

    @routes.post("/{piece_id}/decision", response_model=schemas.DecidedOut)
    async def decide(caller: Reviews, piece_id: PieceIdPath, body: schemas.ReviewIn, once: OnceKey) -> Answer:
        """Clear, reject or go on holding a claimed piece. Findings of devices take two different people to override.

        Clearing what takes two people, or carries a level, takes a fresh confirmation (403 `step-up-needed`).
        """
        if await asyncio.to_thread(lifting, caller, piece_id) and body.outcome is ReviewOutcome.CLEAR:
            demand_confirmation(caller, context.clock)
        request = ReviewRequest(
            piece_id=piece_id,
            outcome=body.outcome,
            scan_sha256=body.scan_sha256,
            note=body.note,
            person=caller.name,
            at=context.clock.utc_now(),
        )
        return await context.handlers.review_decide(request, once=once)

    return routes
