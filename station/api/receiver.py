"""The reference tracking receiver: what the central tracking system must do with a station's events (contract: tracking events)."""

import asyncio
import hashlib
import json
import socket
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import NoReturn

import uvicorn
from fastapi import FastAPI, Request, Response

from station.api.receiver_sight import sight_router
from station.api.receiver_trust import ReceiverIdentity, RefusedRequestError, SignedRequest, problem, refused_answer, signed_request
from station.api.reconciling import reconciling_router
from station.api.routing import mount
from station.api.witness import Witnessing, witness_router
from station.domain.errors import AddressError, StoreError
from station.ports.tracking import BodyDiffers, Gap, IncomingEvent, ReceiverLedger
from station.tracking.signatures import renew_receipt, sign_receipt

_LONGEST_ID = 200
_LARGEST_SEQUENCE = 2**31 - 1


def create_receiver(ledger: ReceiverLedger, identity: ReceiverIdentity, utc_now: Callable[[], datetime]) -> FastAPI:
    """The receiver as an ASGI application."""
    app = FastAPI(title="KT1 reference tracking receiver", docs_url=None, redoc_url=None)
    app.add_exception_handler(RefusedRequestError, refused_answer)

    @app.post("/events")
    async def take(request: Request) -> Response:
        event = _checked(await signed_request(request, identity, utc_now()))

        def make_receipt(now: datetime) -> str:
            return sign_receipt(
                identity.key,
                event_id=event.event_id,
                subject=event.subject,
                sequence=event.sequence,
                body_sha256=event.body_sha256,
                receiver=identity.name,
                received_at=now,
            )

        try:
            outcome = await ledger.take(event, make_receipt, utc_now())
        except StoreError:
            return problem(503, "kt1:store-failing", "The event could not be made durable; send it again")
        if isinstance(outcome, Gap):
            return problem(409, "kt1:sequence-gap", "Earlier events of the piece are missing", expected_sequence=outcome.expected_sequence)
        if isinstance(outcome, BodyDiffers):
            return problem(409, "kt1:body-differs", "Another event came under this id", body_sha256=outcome.known_body_sha256)
        # A station that has forgotten an old key must be able to believe a receipt that was given under it.
        receipt = renew_receipt(outcome.receipt, identity.key, identity.name) if outcome.duplicate else outcome.receipt
        return Response(receipt, media_type="application/json")

    mount(app, sight_router(ledger, identity, utc_now))
    mount(app, reconciling_router(ledger, identity, utc_now))
    mount(app, witness_router(ledger, Witnessing(name=identity.name, key=identity.key, log_keys=identity.log_keys), utc_now))
    return app


async def serve_receiver(app: FastAPI, host: str, port: int, on_ready: Callable[[str, int], None] = lambda _host, _port: None) -> None:
    """Serve until cancelled (or, in the main thread, until SIGINT or SIGTERM). Port 0 takes a free one; `on_ready` hears which.

    Raises:
        AddressError: the port is taken, or cannot be listened on.
    """
    with _listener(host, port) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5))
        on_ready(host, listener.getsockname()[1])
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            # Cut off in the middle, the server would keep the listener's number registered with the loop after it is closed.
            server.should_exit = True
            await serving


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
    except OSError as error:
        raise AddressError(
            f"The receiver cannot listen on {host}:{port}: {error.strerror}",
            consequence="It does not start",
            remedy="End the program that uses this port, or give an address of this machine (--host) and a port that is free (--port)",
        ) from error


def run_receiver(
    ledger: ReceiverLedger,
    identity: ReceiverIdentity,
    utc_now: Callable[[], datetime],
    *,
    host: str = "127.0.0.1",
    port: int = 8090,
    on_ready: Callable[[str, int], None] = lambda _host, _port: None,
) -> None:
    """Serve in this thread until stopped by a signal."""
    asyncio.run(serve_receiver(create_receiver(ledger, identity, utc_now), host, port, on_ready))


def _checked(request: SignedRequest) -> IncomingEvent:
    """The event of a request whose members agree with each other, from a station that may speak for its source."""
    try:
        body = request.body.decode()
        message = json.loads(body, parse_constant=_refuse_constant)
        source, subject, sequence, kind = message["source"], message["subject"], message["sequence"], message["type"]
        day = _day_of(message["time"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RefusedRequestError(400, "kt1:event-malformed", f"Not an event: {error}") from error
    texts = (source, subject, kind, message.get("id"))
    readable = all(isinstance(text, str) and 0 < len(text) <= _LONGEST_ID and text.isprintable() for text in texts)
    if not readable or type(sequence) is not int or not 0 < sequence <= _LARGEST_SEQUENCE:
        raise RefusedRequestError(400, "kt1:event-malformed", "source, subject, type and id must be texts, sequence a number from 1")
    if message["id"] != request.request_id:
        raise RefusedRequestError(400, "kt1:event-malformed", "The event's id is not the attempt's")
    request.refuse_foreign(source)
    return IncomingEvent(
        event_id=request.request_id,
        source=source,
        subject=subject,
        sequence=sequence,
        event_type=kind,
        day=day,
        body=body,
        body_sha256=hashlib.sha256(request.body).hexdigest(),
    )


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _day_of(text: str) -> date:
    """The day of a time in UTC; raises `ValueError` for one that does not say where it counts from."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("time has no offset")
    return moment.astimezone(UTC).date()
