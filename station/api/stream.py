"""`/events`: live by server-sent events, resumable."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from station.api import shown
from station.api.context import Context

_POLL_S = 0.2
_TICK_S = 0.5


class _LaneWatch:
    """Each lane's snapshot as JSON, made once for all readers, and for how long the lane has not given a new one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, tuple[datetime, float, str]] = {}

    def look(self) -> dict[str, tuple[datetime, float, str]]:
        """(time of the snapshot, age in seconds of wall time, JSON) of each lane."""
        now = asyncio.get_running_loop().time()
        lanes = dict(self._context.handlers.lanes)
        for lane_id, lane in lanes.items():
            view = lane.view()
            known = self._seen.get(lane_id)
            if known is None or known[0] != view.at:
                self._seen[lane_id] = (view.at, now, shown.lane_out(view).model_dump_json())
        return {lane_id: (at, now - since, text) for lane_id, (at, since, text) in self._seen.items() if lane_id in lanes}


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(tags=["events"])
    watch = _LaneWatch(context)

    @routes.get("/events", response_class=EventSourceResponse)
    async def events(last_event_id: Annotated[str | None, Header(max_length=100)] = None) -> AsyncIterator[ServerSentEvent]:
        """Events as they happen.

        `piece` and `alarm` say that one changed (with an id to resume after); `lane` carries a lane's newest snapshot; `tick` comes
        twice a second with the age of each lane's snapshot; `reset` says that events were lost, so that everything must be read again.
        """
        feed = context.feed
        after = feed.position(last_event_id)
        sent: dict[str, datetime] = {}
        loop = asyncio.get_running_loop()
        next_tick = loop.time()
        with feed.subscribe(feed.last_number if after is None else after) as subscription:
            start = feed.last_number if after is None else after
            yield ServerSentEvent(event="reset" if after is None else "resumed", raw_data="{}", id=feed.event_id(start), retry=1000)
            while True:
                batch = await subscription.next(min(_POLL_S, max(0.0, next_tick - loop.time())))
                if batch.missed:
                    yield ServerSentEvent(event="reset", raw_data="{}")
                for event in batch.events:
                    yield ServerSentEvent(event=event.type, raw_data=event.data, id=feed.event_id(event.number))
                if batch.closed:
                    return
                lanes = watch.look()
                for lane_id, (at, _, text) in lanes.items():
                    if sent.get(lane_id) != at:
                        sent[lane_id] = at
                        yield ServerSentEvent(event="lane", raw_data=text)
                if loop.time() >= next_tick:
                    next_tick = loop.time() + _TICK_S
                    ages = {lane_id: round(age, 3) for lane_id, (_, age, _) in lanes.items()}
                    yield ServerSentEvent(event="tick", data={"at": context.clock.utc_now().isoformat(), "lane_age_s": ages})

    return routes
