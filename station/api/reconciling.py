"""The receiver's side of the daily reconciliation: what it has of a site's day, in two signed figures, and event by event."""

import asyncio
import json
from collections.abc import Callable
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from station.api.receiver_trust import ReceiverIdentity, RefusedRequestError, problem, signed_request
from station.ports.outbox import EventDigest
from station.ports.tracking import ReceiverLedger
from station.tracking.reconciliation import PAGE, sign_statement
from station.workflow.day_digest import day_root

_TOO_MANY = 2**63


def reconciling_router(ledger: ReceiverLedger, identity: ReceiverIdentity, utc_now: Callable[[], datetime]) -> APIRouter:
    """The routes. Both take `{"source", "day"}`, signed like an event by a station that may speak for that source."""
    router = APIRouter(prefix="/reconciliation")

    async def asked(request: Request) -> tuple[str, date, dict[str, object]]:
        signed = await signed_request(request, identity, utc_now())
        try:
            members = json.loads(signed.body)
            source, day = str(members["source"]), date.fromisoformat(members["day"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RefusedRequestError(400, "kt1:request-malformed", f"source and day are wanted: {error}") from error
        signed.refuse_foreign(source)
        return source, day, members

    @router.post("")
    async def statement(request: Request) -> Response:
        try:
            source, day, _ = await asked(request)
        except RefusedRequestError as refused:
            return problem(refused.status, refused.kind, refused.title)
        return JSONResponse(await asyncio.to_thread(_statement, ledger, source, day, identity.name, identity.key, utc_now()))

    @router.post("/events")
    async def events(request: Request) -> Response:
        try:
            source, day, members = await asked(request)
        except RefusedRequestError as refused:
            return problem(refused.status, refused.kind, refused.title)
        after = members.get("after", 0)
        if type(after) is not int or not 0 <= after < _TOO_MANY:
            return problem(400, "kt1:request-malformed", "after is the number of an effect")
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
