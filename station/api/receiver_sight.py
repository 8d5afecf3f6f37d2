"""What a station, or whoever observes for it, may see of the receiver's log: the effects of its own source, and their figures."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from station.api.receiver_trust import LARGEST_NUMBER, ReceiverIdentity, RefusedRequestError, number_in, question_about
from station.ports.tracking import Effect, ReceiverLedger

_PAGE, _LARGEST_PAGE = 500, 5000


def sight_router(ledger: ReceiverLedger, identity: ReceiverIdentity, utc_now: Callable[[], datetime]) -> APIRouter:
    """The routes. Both take `{"asks", "source"}`, signed like an event by a station that may speak for that source."""
    router = APIRouter()

    async def asked(request: Request, what: str) -> tuple[str, dict[str, Any]]:
        source, members = await question_about(request, identity, utc_now())
        # An event that somebody took down on its way must not open the log.
        if members.get("asks") != what:
            raise RefusedRequestError(400, "kt1:request-malformed", f"asks must be {what}")
        return source, members

    @router.post("/status")
    async def status(request: Request) -> Response:
        source, _ = await asked(request, "status")
        return JSONResponse(asdict(await asyncio.to_thread(ledger.counts, source)))

    @router.post("/effects")
    async def effects(request: Request) -> Response:
        source, members = await asked(request, "effects")
        after = number_in(members, "after", 0, least=0, most=LARGEST_NUMBER)
        limit = number_in(members, "limit", _PAGE, least=1, most=_LARGEST_PAGE)
        page = await asyncio.to_thread(ledger.effects, source, after=after, limit=limit)
        return Response(_listed(page, next_after=page[-1].number if page else after), media_type="application/json")

    return router


def _listed(effects: Sequence[Effect], *, next_after: int) -> str:
    """Effects with their events word for word: what one piece's event nests or escapes must not break the list of others."""
    return f'{{"next_after": {next_after}, "effects": [{", ".join(map(_shown, effects))}]}}'


def _shown(one: Effect) -> str:
    members = {
        "number": one.number,
        "id": one.event_id,
        "source": one.source,
        "subject": one.subject,
        "sequence": one.sequence,
        "type": one.event_type,
        "received_at": one.received_at.isoformat(),
    }
    return f'{json.dumps(members)[:-1]}, "event": {one.body}}}'
