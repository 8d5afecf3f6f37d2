"""The reference tracking receiver: what the central tracking system must do with a station's events (contract: tracking events)."""

import asyncio
import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import FastAPI, Query, Request, Response

from station.api.witness import Witnessing, witness_router
from station.audit.note import VerifierKey
from station.domain.errors import StoreError
from station.ports.tracking import BodyDiffers, Effect, Gap, IncomingEvent, ReceiverLedger
from station.tracking.signatures import sign_receipt, webhook_holds

_LARGEST_BODY = 256 << 10
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverIdentity:
    """Who the receiver is and whom it believes.

    `name` stands in receipts, which `key` signs; an event must carry a signature of one of `station_keys` or `station_secrets`, made at
    most `tolerance_s` from now. `log_keys` are the keys of the audit logs whose checkpoints it signs as their witness.
    """

    name: str
    key: Ed25519PrivateKey
    station_keys: tuple[Ed25519PublicKey, ...]
    station_secrets: tuple[bytes, ...] = ()
    tolerance_s: float = 300.0
    log_keys: tuple[VerifierKey, ...] = ()


class _RefusedEventError(Exception):
    def __init__(self, status: int, kind: str, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.kind = kind
        self.title = title


def create_receiver(ledger: ReceiverLedger, identity: ReceiverIdentity, utc_now: Callable[[], datetime]) -> FastAPI:
    """The receiver as an ASGI application."""
    app = FastAPI(title="KT1 reference tracking receiver", docs_url=None, redoc_url=None)

    @app.post("/events")
    async def take(request: Request) -> Response:
        try:
            event = _checked(request, await _limited_body(request), identity, utc_now())
        except _RefusedEventError as refused:
            return _problem(refused.status, refused.kind, refused.title)

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
            return _problem(503, "kt1:store-failing", "The event could not be made durable; send it again")
        if isinstance(outcome, Gap):
            return _problem(409, "kt1:sequence-gap", "Earlier events of the piece are missing", expected_sequence=outcome.expected_sequence)
        if isinstance(outcome, BodyDiffers):
            return _problem(409, "kt1:body-differs", "Another event came under this id", body_sha256=outcome.known_body_sha256)
        return Response(outcome.receipt, media_type="application/json")

    @app.get("/status")
    def status() -> dict[str, int]:
        return asdict(ledger.counts())

    @app.get("/pieces/{piece_id}")
    def piece(piece_id: str) -> dict[str, Any]:
        return {"piece_id": piece_id, "effects": [_shown(one) for one in ledger.effects_of(piece_id)]}

    @app.get("/effects")
    def effects(after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 500) -> dict[str, Any]:
        page = ledger.effects(after=after, limit=limit)
        return {"effects": [_shown(one) for one in page], "next_after": page[-1].number if page else after}

    app.include_router(witness_router(ledger, Witnessing(name=identity.name, key=identity.key, log_keys=identity.log_keys), utc_now))
    return app


async def serve_receiver(app: FastAPI, host: str, port: int, on_ready: Callable[[str, int], None] = lambda _host, _port: None) -> None:
    """Serve until cancelled (or, in the main thread, until SIGINT or SIGTERM). Port 0 takes a free one; `on_ready` hears which.

    Raises:
        OSError: the address is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5))
        on_ready(host, listener.getsockname()[1])
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            # Cut off in the middle, the server would keep the listener's number registered with the loop after it is closed.
            server.should_exit = True
            await serving


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


async def _limited_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise _RefusedEventError(413, "kt1:event-too-large", "The event is too large")
    return bytes(body)


def _checked(request: Request, body: bytes, identity: ReceiverIdentity, now: datetime) -> IncomingEvent:
    """The event of a request whose signature holds and whose members agree with each other."""
    event_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    signatures = request.headers.get("webhook-signature", "")
    if not webhook_holds(
        event_id=event_id,
        timestamp=timestamp,
        signatures=signatures,
        body=body,
        keys=identity.station_keys,
        secrets=identity.station_secrets,
    ):
        raise _RefusedEventError(401, "kt1:signature-wrong", "No signature of a known station")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now.timestamp() - int(timestamp)) > identity.tolerance_s:
        raise _RefusedEventError(401, "kt1:timestamp-stale", "The attempt is too old or from the future; check both clocks")
    try:
        message = json.loads(body)
        source, subject, sequence, kind = message["source"], message["subject"], message["sequence"], message["type"]
    except (ValueError, KeyError, TypeError) as error:
        raise _RefusedEventError(400, "kt1:event-malformed", f"Not an event: {error}") from error
    texts = (source, subject, kind, message.get("id"))
    if not all(isinstance(text, str) and 0 < len(text) <= _LONGEST_ID for text in texts) or type(sequence) is not int or sequence < 1:
        raise _RefusedEventError(400, "kt1:event-malformed", "source, subject, type and id must be texts, sequence a number from 1")
    if message["id"] != event_id:
        raise _RefusedEventError(400, "kt1:event-malformed", "The event's id is not the attempt's")
    return IncomingEvent(
        event_id=event_id,
        source=source,
        subject=subject,
        sequence=sequence,
        event_type=kind,
        body=body.decode(),
        body_sha256=hashlib.sha256(body).hexdigest(),
    )


def _problem(status: int, kind: str, title: str, **members: str | int) -> Response:
    content = {"type": kind, "title": title, "status": status, **members}
    return Response(json.dumps(content), status_code=status, media_type="application/problem+json")


def _shown(one: Effect) -> dict[str, Any]:
    return {
        "number": one.number,
        "id": one.event_id,
        "source": one.source,
        "subject": one.subject,
        "sequence": one.sequence,
        "type": one.event_type,
        "received_at": one.received_at.isoformat(),
        "event": json.loads(one.body),
    }
