"""`/lanes`: what the lanes do now, and what people ask of them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from station.api import schemas, shown
from station.api.callers import Needs, OnceKey, demand_confirmation
from station.api.context import Context
from station.api.lists import RecentWanted
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.domain.review import OperatorDecision
from station.workflow.once import Answer

LanePath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,32}$")]

SeesLanes = Annotated[Caller, Depends(Needs(Action.SEE_LANES))]
SeesPieces = Annotated[Caller, Depends(Needs(Action.SEE_PIECES))]
EndsReference = Annotated[Caller, Depends(Needs(Action.END_TEST_REFERENCE))]
Decides = Annotated[Caller, Depends(Needs(Action.DECIDE_ON_LANE))]
Freezes = Annotated[Caller, Depends(Needs(Action.FREEZE_LANE))]
Commands = Annotated[Caller, Depends(Needs(Action.COMMAND_LANE))]


async def _demand_may_decide(context: Context, caller: Caller, body: schemas.LaneDecisionIn) -> None:
    """The lane looks again; asked here too, nobody else's decision waits for one that will be refused."""
    piece = await asyncio.to_thread(context.sight(caller).demand, body.piece_id)
    if piece.is_marked and body.decision is OperatorDecision.CLEAR:
        demand_confirmation(caller, context.clock)


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/lanes", tag="lanes")
    handlers = context.handlers

    @routes.get("")
    async def lanes(caller: SeesLanes) -> schemas.LanesOut:
        """Every running lane."""
        sight = context.sight(caller)
        return schemas.LanesOut(items=[shown.lane_out(handlers.lanes[lane_id].view(), sight) for lane_id in sorted(handlers.lanes)])

    @routes.get("/{lane_id}")
    async def lane(caller: SeesLanes, lane_id: LanePath) -> schemas.LaneOut:
        """One lane's newest snapshot. A piece that the caller may not see is there as a restricted piece without a name."""
        return shown.lane_out(handlers.lane(lane_id).view(), context.sight(caller))

    @routes.get("/{lane_id}/test-piece")
    async def newest_test_piece(_caller: SeesLanes, lane_id: LanePath) -> schemas.TestPieceRunOut | None:
        """The newest run of the lane's test piece with every value and its limit; null when there was none."""
        run = handlers.lane(lane_id).view().test_piece_run
        return shown.test_piece_run_out(run) if run is not None else None

    @routes.post("/{lane_id}/test-piece/reference-ended", response_model=schemas.ReferenceEndedOut)
    async def end_reference(caller: EndsReference, lane_id: LanePath, body: schemas.ReferenceEndedIn, once: OnceKey) -> Answer:
        """After work on the scanner: the next 15 passed runs of the test piece make the reference of its trend."""
        return await handlers.end_test_piece_reference(lane_id, person=caller.name, note=body.note, once=once)

    @routes.get("/{lane_id}/recent", responses={200: {"model": schemas.PageOut}}, response_class=Response)
    async def recent(caller: SeesPieces, lane_id: LanePath, limit: Annotated[int, Query(ge=1, le=50)] = 5) -> Response:
        """The pieces that last got their outcome on this lane, newest first."""
        handlers.lane(lane_id)
        return await context.listed(caller, lambda: RecentWanted(lane_id=lane_id, limit=limit))

    @routes.post("/{lane_id}/decision", response_model=schemas.LaneDecidedOut)
    async def decide(caller: Decides, lane_id: LanePath, body: schemas.LaneDecisionIn, once: OnceKey) -> Answer:
        """Clear, hold, or freeze the piece whose scan waits.

        Clearing a piece that carries a level takes a fresh confirmation (403 `step-up-needed`), and where the policy wants two people,
        somebody else within the same window.
        """
        if body.decision is OperatorDecision.FREEZE:
            frozen = await freeze(caller, lane_id, once, schemas.FreezeIn(piece_id=body.piece_id))
            told = body.model_dump(include={"piece_id", "visit", "decision"})
            return {"lane_id": frozen["lane_id"], **told, "exercise": not frozen["frozen"], "awaiting_second_person": False}
        handlers.lane(lane_id)
        await _demand_may_decide(context, caller, body)
        return await handlers.lane_decide(
            lane_id,
            piece_id=body.piece_id,
            visit=body.visit,
            scan_sha256=body.scan_sha256,
            decision=body.decision,
            by=caller,
            once=once,
        )

    @routes.post("/{lane_id}/freeze", response_model=schemas.FrozenOut)
    async def freeze(caller: Freezes, lane_id: LanePath, once: OnceKey, body: schemas.FreezeIn | None = None) -> Answer:  # noqa: ARG001 - freezing twice is freezing once
        """Freeze in place: belts, high voltage and lamps stop, nothing is moved."""
        suspect = context.sight(caller).named_suspect(handlers.lane(lane_id).view(), body.piece_id if body is not None else None)
        return await handlers.freeze(lane_id, by=caller, piece_id=suspect)

    @routes.post("/{lane_id}/commands", response_model=schemas.CommandedOut)
    async def command(caller: Commands, lane_id: LanePath, body: schemas.LaneCommandIn, once: OnceKey) -> Answer:
        """Start, stop, purge, or take a cleared access as seen."""
        return await handlers.lane_command(lane_id, body.command, person=caller.name, once=once)

    return routes
