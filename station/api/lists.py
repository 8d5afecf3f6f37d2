"""The lists that pages ask for again and again: what is asked, and the answer, made where it keeps no lane waiting (decision 0159)."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Protocol, assert_never

from pydantic import BaseModel, ConfigDict, Field

from station.api import schemas, shown
from station.api.sight import SeenView, Sight
from station.domain.alarm import Alarm
from station.domain.errors import StationError
from station.domain.piece import PieceState, Secrecy
from station.workflow.reporting import Read


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class PiecesWanted(_Frozen):
    """Pieces by state and lane, after the `next` of the page before, at most `limit`."""

    what: Literal["pieces"] = "pieces"
    states: tuple[PieceState, ...]
    lane_id: str | None
    after: str | None
    limit: int


class RecentWanted(_Frozen):
    """The pieces that last got their outcome on a lane."""

    what: Literal["recent"] = "recent"
    lane_id: str
    limit: int


class QueueWanted(_Frozen):
    """Held pieces with their leases."""

    what: Literal["queue"] = "queue"
    after: str | None
    limit: int


class AlarmsWanted(_Frozen):
    """Alarms; `of_lanes` are what stands at the lanes themselves, stored or not."""

    what: Literal["alarms"] = "alarms"
    everything: bool
    limit: int
    of_lanes: tuple[Alarm, ...]


Wanted = PiecesWanted | RecentWanted | QueueWanted | AlarmsWanted


class ListRequest(_Frozen):
    """A list for somebody cleared so high, who may or may not see images; `now` is aware UTC."""

    clearance: Secrecy | None
    sees_images: bool
    now: datetime
    wanted: Annotated[Wanted, Field(discriminator="what")]


class ListFailedError(StationError):
    """The program that makes lists made none, or took too long."""

    code = "list-failed"


class Lists(Protocol):
    """Makes lists where it keeps no lane waiting."""

    async def start(self) -> None:
        """Lists will be asked for."""
        ...

    async def make(self, request: Callable[[], ListRequest]) -> bytes:
        """The list as JSON.

        Args:
            request: asked when it is this list's turn; what it raises is raised here.

        Raises:
            StoreError: the store does not tell.
            ListFailedError: there is none.
        """
        ...

    async def close(self) -> None:
        """Nothing is asked any more."""
        ...


def make_list(read: Read, request: ListRequest) -> bytes:
    """The list as JSON. Raises `StoreError`.

    Args:
        read: as `Store.read`.
        request: what is asked, and who may see what.
    """
    sight = Sight(read, clearance=request.clearance, sees_images=request.sees_images)
    return sight.read(lambda view: _listed(view, sight, request)).model_dump_json(by_alias=True).encode()


def _listed(view: SeenView, sight: Sight, request: ListRequest) -> BaseModel:
    wanted = request.wanted
    match wanted:
        case PiecesWanted():
            found = view.pieces(states=wanted.states, lane_id=wanted.lane_id, after=wanted.after, limit=wanted.limit)
            more = found[-1].piece_id if len(found) == wanted.limit else None
            return schemas.PageOut(items=[shown.piece_out(piece, sight) for piece in found], next=more)
        case RecentWanted():
            found = view.recent(lane_id=wanted.lane_id, limit=wanted.limit)
            return schemas.PageOut(items=[shown.piece_out(piece, sight) for piece in found], next=None)
        case QueueWanted():
            held = view.held(after=wanted.after, limit=wanted.limit)
            items = [shown.queue_item_out(one.piece, one.rows, one.claim, request.now, sight) for one in held]
            return schemas.QueueOut(items=items, next=held[-1].piece.piece_id if len(held) == wanted.limit else None)
        case AlarmsWanted():
            return _alarms(view, wanted)
        case _:
            assert_never(wanted)


def _alarms(view: SeenView, wanted: AlarmsWanted) -> schemas.AlarmsOut:
    present = view.present_alarms(wanted.of_lanes, limit=wanted.limit)
    listed = view.all_alarms(limit=wanted.limit) if wanted.everything else present.most_urgent
    return schemas.AlarmsOut(
        items=[shown.alarm_out(alarm) for alarm in listed], present=present.count, unacknowledged=present.unacknowledged
    )
