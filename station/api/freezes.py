"""`/lanes/{lane}/freeze` and `/lanes/{lane}/unfreeze`: the checklist of a frozen lane, and the all clear of two people."""

from typing import Annotated

from fastapi import APIRouter, Depends

from station.api import freeze_shapes as shapes
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.freeze_shapes import FreezeLacks
from station.api.lanes import LanePath
from station.api.routing import resource
from station.api.sight import SeenFreeze
from station.domain.access import Action, Caller
from station.domain.freeze import PEOPLE_NEEDED, Checklist, is_of, steps_done, steps_missing, steps_needed
from station.workflow.once import Answer
from station.workflow.views import FreezeProgress

SeesLanes = Annotated[Caller, Depends(Needs(Action.SEE_LANES))]
TicksSteps = Annotated[Caller, Depends(Needs(Action.TICK_FREEZE_STEPS))]
Unfreezes = Annotated[Caller, Depends(Needs(Action.UNFREEZE_LANE))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/lanes", tag="lanes")
    unfreezing = context.unfreezing

    @routes.get("/{lane_id}/freeze")
    def freeze(caller: SeesLanes, lane_id: LanePath) -> shapes.FreezeOut:
        """The freeze that the lane is in: who froze it, the checklist, what still lacks.

        That somebody has given the all clear is told to those who have given it themselves, and to all once two people have.
        """
        lane = context.handlers.lane(lane_id).view()
        seen = context.sight(caller).read(lambda view: view.freeze(lane_id, unfreezing.checklist))
        return _freeze_out(lane_id, seen, unfreezing.checklist, lane.freeze, frozen=lane.frozen, caller=caller)

    @routes.post("/{lane_id}/freeze/steps", response_model=shapes.FreezeStepDoneOut)
    async def step_done(caller: TicksSteps, lane_id: LanePath, body: shapes.FreezeStepIn, once: OnceKey) -> Answer:
        """A step of the checklist is done. 409 `freeze-over` when the lane is in another freeze by now, or in none."""
        context.handlers.lane(lane_id)
        return await unfreezing.step_done(lane_id, number=body.number, step=body.step, by=caller, once=once)

    @routes.post("/{lane_id}/unfreeze", response_model=shapes.AllClearOut)
    async def all_clear(caller: Unfreezes, lane_id: LanePath, body: shapes.AllClearIn, once: OnceKey) -> Answer:
        """Give the all clear. It takes two different people, every step of the checklist before, and then the key switch at the lane.

        Needs a fresh confirmation (403 `step-up-needed`). 403 `freeze-steps-missing`, `second-person-needed`; 409 `freeze-over`.
        """
        context.handlers.lane(lane_id)
        return await unfreezing.all_clear(lane_id, number=body.number, present=body.present, note=body.note, by=caller, once=once)

    return routes


def _freeze_out(
    lane_id: str, seen: SeenFreeze | None, checklist: Checklist, lane: FreezeProgress | None, *, frozen: bool, caller: Caller
) -> shapes.FreezeOut:
    freeze = seen.freeze if seen is not None else None
    done = steps_done(freeze, checklist) if freeze is not None else {}
    needed = {step.id for step in steps_needed(freeze, checklist)} if freeze is not None else set()
    standing = seen.all_clears if seen is not None else ()
    mine = next((one for one in standing if is_of(one, user_id=caller.user_id, person=caller.name)), None)
    all_clear = len(standing) >= PEOPLE_NEEDED
    told = all_clear or mine is not None
    return shapes.FreezeOut(
        lane_id=lane_id,
        frozen=frozen,
        number=freeze.number if freeze is not None else None,
        frozen_at=freeze.frozen.at if freeze is not None else None,
        origin=freeze.frozen.origin if freeze is not None else None,
        frozen_by=freeze.frozen.person or None if freeze is not None else None,
        suspects=list(seen.suspects) if seen is not None else [],
        suspects_restricted=seen.suspects_restricted if seen is not None else 0,
        latch_set_again_at=freeze.set_again_at if freeze is not None else None,
        checklist_sha256=checklist.sha256,
        steps=[
            shapes.FreezeStepOut(
                id=step.id,
                vi=step.vi,
                en=step.en,
                powder_only=step.powder_only,
                needed=step.id in needed,
                done_at=done[step.id].at if step.id in done else None,
                done_by=done[step.id].person if step.id in done else None,
            )
            for step in checklist.steps
        ],
        lacks=_lacks(seen, checklist, lane, all_clear=all_clear) if frozen or freeze is not None else [],
        my_all_clear_at=mine.at if mine is not None else None,
        all_clears=len(standing) if told else None,
        people=[one.person for one in standing] if told else None,
        lane=shapes.lane_freeze_out(lane),
    )


def _lacks(seen: SeenFreeze | None, checklist: Checklist, lane: FreezeProgress | None, *, all_clear: bool) -> list[FreezeLacks]:
    if seen is None or (lane is not None and lane.unrecorded):
        return [FreezeLacks.RECORD]
    if not all_clear:
        return [*([FreezeLacks.STEPS] if steps_missing(seen.freeze, checklist) else []), FreezeLacks.ALL_CLEARS]
    if lane is None or lane.latched is None:
        return [FreezeLacks.PLC]
    return [FreezeLacks.LATCH if lane.key_on else FreezeLacks.KEY] if lane.latched else []
