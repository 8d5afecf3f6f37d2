"""`/lanes/{lane}/exercise`: the screen says that it has shown the truth about a projected image."""

from typing import Annotated

from fastapi import APIRouter, Depends

from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.exercise_shapes import ExerciseShownIn, ExerciseShownOut
from station.api.lanes import LanePath
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.workflow.once import Answer

Decides = Annotated[Caller, Depends(Needs(Action.DECIDE_ON_LANE))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/lanes", tag="lanes")

    @routes.post("/{lane_id}/exercise/shown", response_model=ExerciseShownOut)
    async def shown(caller: Decides, lane_id: LanePath, body: ExerciseShownIn, once: OnceKey) -> Answer:  # noqa: ARG001 - saying so twice is saying it once
        """The screen shows that the image was an exercise, and the true image: the window on that one opens.

        It counts from whoever answered, and from anybody where nobody did. Other screens that show it say so too; they are not counted.
        """
        context.sight(caller).demand_exercise(context.handlers.lane(lane_id).view(), body.piece_id)
        return await context.handlers.confirm_exercise(lane_id, piece_id=body.piece_id, visit=body.visit, by=caller)

    return routes
