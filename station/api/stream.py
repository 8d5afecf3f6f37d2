"""`/events`: live by server-sent events, resumable."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from station.api import shown
from station.api.callers import Needs
from station.api.context import Context
from station.api.routing import resource
from station.api.sight import Sight
from station.domain.access import Action, Caller
from station.domain.errors import StoreError
from station.domain.piece import Secrecy
from station.workflow.feed import FeedEvent
from station.workflow.views import LaneView

Hears = Annotated[Caller, Depends(Needs(Action.SEE_EVENTS))]

LOOK_S = 0.2
"""Between two looks at the lanes and at what happened: a picture that moves, and for each reader one message for all of it."""


class EventStream(StreamingResponse):
    """Events in the form that browsers take."""

    media_type = "text/event-stream"


class _LaneWatch:
    """Each lane's snapshot as an event, made once for all readers who are shown the same, and how long ago the lane gave it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, tuple[LaneView, float]] = {}
        self._events: dict[tuple[str, Secrecy | None, bool], tuple[LaneView, bytes]] = {}

    def look(self, sight: Sight) -> dict[str, tuple[LaneView, float, bytes]]:
        """(snapshot, its age in seconds of wall time, event) of each lane."""
        now_s = asyncio.get_running_loop().time()
        found = {}
        for lane_id, lane in dict(self._context.handlers.lanes).items():
            view = lane.view()
            known = self._seen.get(lane_id)
            if known is None or known[0] is not view:
                known = self._seen[lane_id] = (view, now_s)
            found[lane_id] = (view, now_s - known[1], self._event(view, sight))
        return found

    def _event(self, view: LaneView, sight: Sight) -> bytes:
        key = (view.lane_id, *sight.kind)
        known = self._events.get(key)
        if known is None or known[0] is not view:
            event = format_sse_event(event="lane", data_str=shown.lane_out(view, sight).model_dump_json())
            known = self._events[key] = (view, event)
        return known[1]


async def _heard(sight: Sight, events: Sequence[FeedEvent]) -> list[FeedEvent] | None:
    """Those that the reader may hear: no news of a piece that the reader may not see, nor of one that does not exist.

    None when the store does not say which these are.
    """
    if sight.sees_all:
        return list(events)
    piece_ids = {event.number: str(json.loads(event.data).get("piece_id")) for event in events if event.type == "piece"}
    named, seen = set(piece_ids.values()), set[str]()
    if named:
        try:
            seen = await asyncio.to_thread(sight.read, lambda view: {one for one in named if view.piece(one) is not None})
        except StoreError:
            return None
    return [event for event in events if event.number not in piece_ids or piece_ids[event.number] in seen]


async def _told(context: Context, watch: _LaneWatch, caller: Caller, last_event_id: str | None) -> AsyncIterator[bytes]:
    """What there is to tell, look by look, until the feed or the reader's session ends."""
    feed, loop = context.feed, asyncio.get_running_loop()
    resumed = feed.position(last_event_id)
    after = feed.last_number if resumed is None else resumed
    yield format_sse_event(event="reset" if resumed is None else "resumed", data_str="{}", id=feed.event_id(after), retry=1000)
    sent: dict[str, LaneView] = {}
    closed = False
    while not closed:
        batch = feed.since(after)
        after, closed = batch.last, batch.closed
        # Asked after the feed: what came meanwhile is not for somebody who may not hear it any more.
        now_allowed = context.access.memory.still(caller)
        if now_allowed is None or not now_allowed.may(Action.SEE_EVENTS):
            return
        sight = context.sight(now_allowed)
        heard = await _heard(sight, batch.events)
        # The store may have been waited for; a change of what somebody may see ends their sessions.
        if context.access.memory.still(caller) is None:
            return
        told = [format_sse_event(event="reset", data_str="{}")] if batch.missed or heard is None else []
        told += [format_sse_event(event=one.type, data_str=one.data, id=feed.event_id(one.number)) for one in heard or ()]
        lanes = watch.look(sight)
        told += [event for lane_id, (view, _, event) in lanes.items() if sent.get(lane_id) is not view]
        sent = {lane_id: view for lane_id, (view, _, _) in lanes.items()}
        ages = {lane_id: round(age_s, 3) for lane_id, (_, age_s, _) in lanes.items()}
        tick = {"at": context.clock.utc_now().isoformat(), "lane_age_s": ages}
        told.append(format_sse_event(event="tick", data_str=json.dumps(tick)))
        yield b"".join(told)
        # All readers look at the same moments, so that one text of a snapshot serves them all.
        await asyncio.sleep(LOOK_S - loop.time() % LOOK_S)


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource(tag="events")
    watch = _LaneWatch(context)

    @routes.get("/events", response_class=EventStream)
    async def events(caller: Hears, last_event_id: Annotated[str | None, Header(max_length=100)] = None) -> EventStream:
        """Events as they happen, until the reader's session ends.

        `piece`, `alarm` and `freeze` say that one changed (with an id to resume after); `lane` carries a lane's newest snapshot; `tick`
        comes five times a second with the age of each lane's snapshot; `reset` says that events were lost: everything must be read again.
        """
        return EventStream(_told(context, watch, caller, last_event_id), headers={"X-Accel-Buffering": "no"})

    return routes
