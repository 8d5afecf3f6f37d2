"""`/events`: live by server-sent events, resumable."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from station.api import shown
from station.api.callers import Needs
from station.api.context import Context
from station.api.sight import Sight
from station.domain.access import Action, Caller
from station.domain.errors import StoreError
from station.domain.piece import Secrecy
from station.workflow.feed import FeedBatch, FeedEvent, Subscription
from station.workflow.views import LaneView

Hears = Annotated[Caller, Depends(Needs(Action.SEE_EVENTS))]

_POLL_S = 0.2
_TICK_S = 0.5


class _LaneWatch:
    """Each lane's snapshot as JSON, made once for all readers who are shown the same, and for how long the lane has not given a new one."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: dict[str, tuple[LaneView, float]] = {}
        self._texts: dict[tuple[str, Secrecy | None, bool], tuple[datetime, str]] = {}

    def look(self, sight: Sight) -> dict[str, tuple[datetime, float, str]]:
        """(time of the snapshot, age in seconds of wall time, JSON) of each lane."""
        now = asyncio.get_running_loop().time()
        found = {}
        for lane_id, lane in dict(self._context.handlers.lanes).items():
            view = lane.view()
            known = self._seen.get(lane_id)
            if known is None or known[0].at != view.at:
                known = self._seen[lane_id] = (view, now)
            found[lane_id] = (known[0].at, now - known[1], self._text(known[0], sight))
        return found

    def _text(self, view: LaneView, sight: Sight) -> str:
        key = (view.lane_id, *sight.kind)
        known = self._texts.get(key)
        if known is None or known[0] != view.at:
            known = self._texts[key] = (view.at, shown.lane_out(view, sight).model_dump_json())
        return known[1]


async def _may_hear(sight: Sight, event: FeedEvent) -> bool:
    """False for news of a piece that the reader may not see; so there is none of a piece that does not exist either."""
    if event.type != "piece" or sight.sees_all:
        return True
    piece_id = str(json.loads(event.data).get("piece_id"))
    try:
        return await asyncio.to_thread(sight.read, lambda view: view.piece(piece_id) is not None)
    except StoreError:
        return False


async def _turn(context: Context, caller: Caller, subscription: Subscription, wait_s: float) -> tuple[FeedBatch, Sight] | None:
    """What came within that time, and what the reader may see of it; None when the session has ended or may hear no more."""
    batch = await subscription.next(wait_s)
    # Asked after the wait: what came meanwhile is not for somebody who may not hear it any more.
    now_allowed = context.access.memory.still(caller)
    return (batch, context.sight(now_allowed)) if now_allowed is not None and now_allowed.may(Action.SEE_EVENTS) else None


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(tags=["events"])
    watch = _LaneWatch(context)

    @routes.get("/events", response_class=EventSourceResponse)
    async def events(caller: Hears, last_event_id: Annotated[str | None, Header(max_length=100)] = None) -> AsyncIterator[ServerSentEvent]:
        """Events as they happen, until the reader's session ends.

        `piece`, `alarm` and `freeze` say that one changed (with an id to resume after); `lane` carries a lane's newest snapshot; `tick`
        comes twice a second with the age of each lane's snapshot; `reset` says that events were lost: everything must be read again.
        """
        feed = context.feed
        after = feed.position(last_event_id)
        sent: dict[str, datetime] = {}
        loop = asyncio.get_running_loop()
        next_tick = loop.time()
        with feed.subscribe(feed.last_number if after is None else after) as subscription:
            start = feed.last_number if after is None else after
            yield ServerSentEvent(event="reset" if after is None else "resumed", raw_data="{}", id=feed.event_id(start), retry=1000)
            while (turn := await _turn(context, caller, subscription, min(_POLL_S, max(0.0, next_tick - loop.time())))) is not None:
                batch, sight = turn
                if batch.missed:
                    yield ServerSentEvent(event="reset", raw_data="{}")
                for event in batch.events:
                    if await _may_hear(sight, event):
                        yield ServerSentEvent(event=event.type, raw_data=event.data, id=feed.event_id(event.number))
                if batch.closed:
                    return
                lanes = watch.look(sight)
                for lane_id, (at, _, text) in lanes.items():
                    if sent.get(lane_id) != at:
                        sent[lane_id] = at
                        yield ServerSentEvent(event="lane", raw_data=text)
                if loop.time() >= next_tick:
                    next_tick = loop.time() + _TICK_S
                    ages = {lane_id: round(age, 3) for lane_id, (_, age, _) in lanes.items()}
                    yield ServerSentEvent(event="tick", data={"at": context.clock.utc_now().isoformat(), "lane_age_s": ages})

    return routes
