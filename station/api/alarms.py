"""`/alarms`: the alarm list and acknowledging."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from station.api import schemas
from station.api.callers import Needs, OnceKey
from station.api.context import Context
from station.api.lists import AlarmsWanted
from station.api.routing import resource
from station.domain.access import Action, Caller
from station.workflow.once import Answer

SeesAlarms = Annotated[Caller, Depends(Needs(Action.SEE_ALARMS))]
Settles = Annotated[Caller, Depends(Needs(Action.SETTLE_ALARMS))]
Acknowledges = Annotated[Caller, Depends(Needs(Action.ACKNOWLEDGE_ALARMS))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/alarms", tag="alarms")

    @routes.get("", responses={200: {"model": schemas.AlarmsOut}}, response_class=Response)
    async def alarms(
        caller: SeesAlarms, *, everything: Annotated[bool, Query(alias="all")] = False, limit: Annotated[int, Query(ge=1, le=500)] = 200
    ) -> Response:
        """Alarms that are active or unacknowledged, stored or not, the most urgent first; or all that are stored, the newest first."""

        def wanted() -> AlarmsWanted:
            of_lanes = tuple(alarm for lane in dict(context.handlers.lanes).values() if (alarm := lane.view().alarm) is not None)
            return AlarmsWanted(everything=everything, limit=limit, of_lanes=of_lanes)

        return await context.listed(caller, wanted)

    @routes.post("/{alarm_id}/acknowledge", response_model=schemas.AcknowledgedOut)
    async def acknowledge(caller: Acknowledges, alarm_id: Annotated[int, Path(ge=0, le=2**62)], once: OnceKey) -> Answer:
        """A person has seen it."""
        return await context.handlers.acknowledge_alarm(alarm_id, person=caller.name, once=once)

    @routes.post("/{alarm_id}/settle", response_model=schemas.SettledOut)
    async def settle(caller: Settles, alarm_id: Annotated[int, Path(ge=0, le=2**62)], body: schemas.SettleIn, once: OnceKey) -> Answer:
        """A supervisor accounts for what escaped. 403 `refused` of an alarm that ends with its cause, 409 of one that is over."""
        return await context.handlers.settle_alarm(alarm_id, note=body.note, by=caller, once=once)

    return routes
