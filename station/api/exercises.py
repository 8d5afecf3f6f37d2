"""`/lanes/{lane}/exercise`: the screen says that it has shown the truth about a projected image."""

from fastapi import APIRouter

from station.api.callers import OnceKey, Person
from station.api.context import Context
from station.api.exercise_shapes import ExerciseShownIn, ExerciseShownOut
from station.api.lanes import LanePath
from station.workflow.once import Answer


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/lanes", tags=["lanes"])

    @routes.post("/{lane_id}/exercise/shown", response_model=ExerciseShownOut)
    async def shown(lane_id: LanePath, body: ExerciseShownIn, person: Person, once: OnceKey) -> Answer:  # noqa: ARG001 - saying so twice is saying it once
        """The screen shows that the image was an exercise, and the true image: the window on that one opens."""
        return await context.handlers.confirm_exercise(lane_id, piece_id=body.piece_id, visit=body.visit)

    return routes
