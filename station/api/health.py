"""`/healthz`, `/readyz`, `/metrics`: for supervision by machines."""

import asyncio
import math
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from station.api.callers import Needs, open_to_all
from station.api.context import Context
from station.api.problems import ANSWER
from station.domain.access import Action, Caller
from station.domain.errors import StoreError
from station.ports.store import Store, UnitOfWork
from station.workflow.views import LaneState

SeesMetrics = Annotated[Caller, Depends(Needs(Action.SEE_METRICS))]

PROBE_LIMIT_S = 2.0
"""A write takes milliseconds; supervisors wait a few seconds for an answer."""
ANEW_AFTER_S = 1.0
"""Whoever asks more often is told the same: anybody may ask, and each question is a write that lanes wait behind."""

_HELP = {
    "kt1_store_healthy": "1 when the last write was made durable",
    "kt1_outbox_events": "Events for the tracking system that wait, and how many of them wait behind one that was refused",
    "kt1_alarms_active": "Alarms that are active or unacknowledged, by priority",
    "kt1_lane_state": "1 for the state that the lane is in",
    "kt1_lane_pieces": "Pieces on the lane's belts",
    "kt1_lane_pieces_per_hour": "Pieces that got their outcome, per hour",
    "kt1_device_ok": "1 when the device answers as it should",
    "kt1_detector_garbage_bytes": "Bytes from the line detector since it was connected that belonged to no whole line",
    "kt1_image_free_bytes": "Free space for scans",
}


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _exposition(samples: list[tuple[str, dict[str, str], float]]) -> str:
    """Prometheus text format 0.0.4."""
    lines: list[str] = []
    for name, text in _HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        for sample_name, labels, value in samples:
            if sample_name == name:
                inside = ",".join(f'{label}="{_escape(content)}"' for label, content in labels.items())
                lines.append(f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


class Readiness(BaseModel):
    """Whether facts can be read and made durable, else the `cause`; each lane's state, for information."""

    ready: bool
    store: bool
    cause: str | None
    lanes: dict[str, str]


class _Probe:
    """Reads and writes a little, for only so can a disk that hangs be told from one that has nothing to do.

    One write at a time, however many ask: behind a disk that hangs nothing may pile up.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asking: asyncio.Task[str | None] | None = None
        self._asked_s = -math.inf

    async def why_not(self) -> str | None:
        """Why facts cannot be made durable now; None when they can. Answers within `PROBE_LIMIT_S`."""
        now_s = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now_s - self._asked_s >= ANEW_AFTER_S):
            self._asked_s = now_s
            self._asking = asyncio.create_task(self._ask())
        if not self._asking.done():
            await asyncio.wait({self._asking}, timeout=PROBE_LIMIT_S)
        if not self._asking.done():
            return f"The disk has not answered for {PROBE_LIMIT_S:g} s. Everything is held. Check the disk"
        return self._asking.result()

    async def _ask(self) -> str | None:
        try:
            await self._store.write(_touch)
        except StoreError as error:
            return str(error)
        # Asked last: a disk that hangs may not even say how much room it has.
        return (
            None
            if await asyncio.to_thread(self._store.healthy)
            else "Free space is under its floor. Everything is held. Make room on the disk"
        )


def _touch(uow: UnitOfWork) -> None:
    uow.set_value("readyz.probe", "written to see whether the disk works")


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = APIRouter(tags=["health"], responses=ANSWER)
    probe = _Probe(context.store)

    @routes.get("/healthz", dependencies=[Depends(open_to_all)])
    async def healthz() -> dict[str, str]:
        """The interface answers."""
        return {"status": "ok"}

    @routes.get("/readyz", dependencies=[Depends(open_to_all)], response_model=Readiness, responses={503: {"model": Readiness}})
    async def readyz() -> JSONResponse:
        """Ready when facts can be read and made durable; otherwise 503 with the `cause`. Lanes are listed for information."""
        lanes = {lane_id: lane.view().state.value for lane_id, lane in dict(context.handlers.lanes).items()}
        cause = await probe.why_not()
        ready = cause is None
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        answer = Readiness(ready=ready, store=ready, cause=cause, lanes=lanes)
        return JSONResponse(answer.model_dump(), status_code=status.value)

    @routes.get("/metrics", response_class=PlainTextResponse)
    def metrics(_caller: SeesMetrics) -> PlainTextResponse:
        """Figures in the Prometheus text format, for a program's token too."""
        samples: list[tuple[str, dict[str, str], float]] = [("kt1_store_healthy", {}, float(context.store.healthy()))]
        (written, receipted, blocked), alarms = context.store.read(lambda view: (view.outbox_depth(), view.alarms(limit=1000)))
        samples += [
            ("kt1_outbox_events", {"what": what}, float(count))
            # Not how many there were: that tells how many pieces passed whose level is above whoever asks.
            for what, count in (("waiting", written - receipted), ("blocked", blocked))
        ]
        samples.append(("kt1_image_free_bytes", {}, float(context.images.free_bytes())))
        for priority in sorted({alarm.priority.value for alarm in alarms}):
            count = sum(alarm.priority.value == priority for alarm in alarms)
            samples.append(("kt1_alarms_active", {"priority": priority}, float(count)))
        for lane_id, lane in sorted(dict(context.handlers.lanes).items()):
            view = lane.view()
            samples += [("kt1_lane_state", {"lane": lane_id, "state": state.value}, float(view.state is state)) for state in LaneState]
            samples.append(("kt1_lane_pieces", {"lane": lane_id}, float(len(view.pieces))))
            samples.append(("kt1_lane_pieces_per_hour", {"lane": lane_id}, view.pieces_per_hour))
            samples.append(("kt1_detector_garbage_bytes", {"lane": lane_id}, float(view.garbage_bytes)))
            samples += [("kt1_device_ok", {"lane": lane_id, "device": device.name}, float(device.ok)) for device in view.devices]
        return PlainTextResponse(_exposition(samples), media_type="text/plain; version=0.0.4")

    return routes
