"""`/reviews`: the queue of held pieces, leases, decisions."""

from fastapi import APIRouter

from station.api import schemas, shown
from station.api.callers import OnceKey, Person
from station.api.context import Context
from station.api.pieces import Cursor, Limit, PieceIdPath
from station.domain.piece import PieceState
from station.ports.store import ReadView
from station.workflow.once import Answer
from station.workflow.reviewing import ReviewRequest


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/reviews", tags=["reviews"])

    @routes.get("")
    def queue(after: Cursor = None, limit: Limit = 50) -> schemas.QueueOut:
        """Held pieces, urgent and marked first, with their leases. A second reader is told nothing of the first."""
        now = context.clock.utc_now()

        def query(view: ReadView) -> schemas.QueueOut:
            held = view.pieces(states=[PieceState.HELD, PieceState.IN_REVIEW], after=after, limit=limit)
            items = [
                shown.queue_item_out(piece, view.evidence(piece.piece_id, piece.visit), view.claim(piece.piece_id), now) for piece in held
            ]
            return schemas.QueueOut(items=items, next=held[-1].piece_id if len(held) == limit else None)

        return context.store.read(query)

    @routes.post("/{piece_id}/claim", response_model=schemas.ClaimedOut)
    async def claim(piece_id: PieceIdPath, person: Person, once: OnceKey) -> Answer:
        """Take a held piece, or renew the lease on it (with a new key)."""
        return await context.handlers.claim(piece_id, person=person, once=once)

    @routes.post("/{piece_id}/release", response_model=schemas.ChangedOut)
    async def release(piece_id: PieceIdPath, person: Person, once: OnceKey) -> Answer:
        """Give a claimed piece back undecided."""
        return await context.handlers.release(piece_id, person=person, once=once)

    @routes.post("/{piece_id}/decision", response_model=schemas.DecidedOut)
    async def decide(piece_id: PieceIdPath, body: schemas.ReviewIn, person: Person, once: OnceKey) -> Answer:
        """Clear, reject or go on holding a claimed piece. Findings of devices take two different people to override."""
        request = ReviewRequest(
            piece_id=piece_id,
            outcome=body.outcome,
            scan_sha256=body.scan_sha256,
            note=body.note,
            person=person,
            at=context.clock.utc_now(),
        )
        return await context.handlers.review_decide(request, once=once)

    return routes
