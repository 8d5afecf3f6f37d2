"""`/alarms`: the alarm list and acknowledging."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from station.api import schemas, shown
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.domain.access import Action, Caller
from station.workflow.once import Answer

SeesAlarms = Annotated[Caller, Depends(Needs(Action.SEE_ALARMS))]
Acknowledges = Annotated[Caller, Depends(Needs(Action.ACKNOWLEDGE_ALARMS))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(prefix="/alarms", tags=["alarms"])

    @routes.get("")
    def alarms(
        caller: SeesAlarms, *, everything: Annotated[bool, Query(alias="all")] = False, limit: Annotated[int, Query(ge=1, le=500)] = 200
    ) -> schemas.AlarmsOut:
        """Alarms that are active or unacknowledged, or all of them; newest first, before them what stopped a lane and is not stored."""
        stored = context.sight(caller).read(lambda view: view.alarms(active_only=not everything, limit=limit))
        standing = {(alarm.code, alarm.subject) for alarm in stored if alarm.cleared_at is None}
        of_lanes = [alarm for lane in dict(context.handlers.lanes).values() if (alarm := lane.view().alarm) is not None]
        untold = [alarm for alarm in of_lanes if (alarm.code, alarm.subject) not in standing]
        return schemas.AlarmsOut(items=[shown.alarm_out(alarm) for alarm in (*untold, *stored)])

    @routes.post("/{alarm_id}/acknowledge", response_model=schemas.AcknowledgedOut)
    async def acknowledge(caller: Acknowledges, alarm_id: Annotated[int, Path(ge=0, le=2**62)], once: OnceKey) -> Answer:
        """A person has seen it."""
        return await context.handlers.acknowledge_alarm(alarm_id, person=caller.name, once=once)

    return routes
