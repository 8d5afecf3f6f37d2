"""`/lanes`: what the lanes do now, and what people ask of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from station.api import schemas, shown
from station.api.callers import OnceKey, Person
from station.api.context import Context
from station.workflow.once import Answer

LanePath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/lanes", tags=["lanes"])
    handlers = context.handlers

    @routes.get("")
    def lanes() -> schemas.LanesOut:
        """Every running lane."""
        return schemas.LanesOut(items=[shown.lane_out(handlers.lanes[lane_id].view()) for lane_id in sorted(handlers.lanes)])

    @routes.get("/{lane_id}")
    def lane(lane_id: LanePath) -> schemas.LaneOut:
        """One lane's newest snapshot."""
        return shown.lane_out(handlers.lane(lane_id).view())

    @routes.get("/{lane_id}/test-piece")
    def test_piece(lane_id: LanePath) -> schemas.TestPieceRunOut | None:
        """The newest run of the lane's test piece with every value and its limit; null when there was none."""
        run = handlers.lane(lane_id).view().test_piece_run
        return shown.test_piece_run_out(run) if run is not None else None

    @routes.post("/{lane_id}/test-piece/reference-ended", response_model=schemas.ReferenceEndedOut)
    async def end_reference(lane_id: LanePath, body: schemas.ReferenceEndedIn, person: Person, once: OnceKey) -> Answer:
        """After work on the scanner: the next 15 passed runs of the test piece make the reference of its trend."""
        return await handlers.end_test_piece_reference(lane_id, person=person, note=body.note, once=once)

    @routes.get("/{lane_id}/recent")
    def recent(lane_id: LanePath, limit: Annotated[int, Query(ge=1, le=50)] = 5) -> schemas.PageOut:
        """The pieces that last got their outcome on this lane, newest first."""
        handlers.lane(lane_id)
        found = context.store.read(lambda view: view.recent(lane_id=lane_id, limit=limit))
        return schemas.PageOut(items=[shown.piece_out(piece) for piece in found], next=None)

    @routes.post("/{lane_id}/decision", response_model=schemas.LaneDecidedOut)
    async def decide(lane_id: LanePath, body: schemas.LaneDecisionIn, person: Person, once: OnceKey) -> Answer:
        """The operator clears, holds, or freezes the piece whose scan waits."""
        return await handlers.lane_decide(
            lane_id,
            piece_id=body.piece_id,
            visit=body.visit,
            scan_sha256=body.scan_sha256,
            decision=body.decision,
            person=person,
            once=once,
        )

    @routes.post("/{lane_id}/freeze", response_model=schemas.FrozenOut)
    async def freeze(lane_id: LanePath, person: Person, once: OnceKey, body: schemas.FreezeIn | None = None) -> Answer:  # noqa: ARG001 - freezing twice is freezing once
        """Freeze in place: belts, high voltage and lamps stop, nothing is moved."""
        return await handlers.freeze(lane_id, person=person, piece_id=body.piece_id if body is not None else None)

    @routes.post("/{lane_id}/unfreeze", response_model=schemas.FrozenOut)
    def unfreeze(lane_id: LanePath, person: Person, once: OnceKey) -> None:  # noqa: ARG001
        """Always refused, with the reason: it takes two people with roles."""
        handlers.unfreeze(lane_id)

    @routes.post("/{lane_id}/commands", response_model=schemas.CommandedOut)
    async def command(lane_id: LanePath, body: schemas.LaneCommandIn, person: Person, once: OnceKey) -> Answer:
        """Start, stop, purge, or take a cleared access as seen."""
        return await handlers.lane_command(lane_id, body.command, person=person, once=once)

    return routes
