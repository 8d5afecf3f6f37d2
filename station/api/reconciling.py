"""The receiver's side of the daily reconciliation: what it has of a site's day, in two signed figures, and event by event."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from station.api.receiver_trust import LARGEST_NUMBER, ReceiverIdentity, RefusedRequestError, number_in, question_about
from station.ports.outbox import EventDigest
from station.ports.tracking import ReceiverLedger
from station.tracking.reconciliation import PAGE, sign_statement
from station.workflow.day_digest import day_root


def reconciling_router(ledger: ReceiverLedger, identity: ReceiverIdentity, utc_now: Callable[[], datetime]) -> APIRouter:
    """The routes. Both take `{"source", "day"}`, signed like an event by a station that may speak for that source."""
    router = APIRouter(prefix="/reconciliation")

    async def asked(request: Request) -> tuple[str, date, dict[str, Any]]:
        source, members = await question_about(request, identity, utc_now())
        try:
            return source, date.fromisoformat(members["day"]), members
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedRequestError(400, "kt1:request-malformed", f"day is wanted: {error}") from error

    @router.post("")
    async def statement(request: Request) -> Response:
        source, day, _ = await asked(request)
        return JSONResponse(await asyncio.to_thread(_statement, ledger, source, day, identity.name, identity.key, utc_now()))

    @router.post("/events")
    async def events(request: Request) -> Response:
        source, day, members = await asked(request)
        after = number_in(members, "after", 0, least=0, most=LARGEST_NUMBER)
        page, last = await asyncio.to_thread(ledger.digests_of, source, day, after=after, limit=PAGE)
        shown = [[one.piece_id, one.sequence, one.event_id, one.body_sha256] for one in page]
        return JSONResponse({"events": shown, "next": last if len(page) == PAGE else None})

    return router


def _statement(ledger: ReceiverLedger, source: str, day: date, name: str, key: Ed25519PrivateKey, now: datetime) -> dict[str, str | int]:
    found: list[EventDigest] = []
    page, last = ledger.digests_of(source, day, after=0, limit=PAGE)
    while page:
        found += page
        page, last = ledger.digests_of(source, day, after=last, limit=PAGE)
    return sign_statement(key, source=source, day=day, events=len(found), root=day_root(found), receiver=name, at=now)
