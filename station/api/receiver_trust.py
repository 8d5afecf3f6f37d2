"""Whom a receiver believes: requests must carry a signature of a station that it was told of, and each speaks for its own site alone."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from station.audit.note import VerifierKey
from station.tracking.signatures import webhook_holds

_LARGEST_BODY = 256 << 10
_MOST_DIGITS = 12
LARGEST_NUMBER = 2**63 - 1
"""Of an effect: what SQLite can count to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedStation:
    """Keys and secrets of a station. With a `source` it is believed only for events of that source; without one, for any."""

    source: str | None = None
    keys: tuple[Ed25519PublicKey, ...] = ()
    secrets: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverIdentity:
    """Who the receiver is and whom it believes.

    `name` stands in receipts, which `key` signs; a request must carry a signature of one of `stations`, made at most `tolerance_s` from
    now. `log_keys` are the keys of the audit logs whose checkpoints it signs as their witness.
    """

    name: str
    key: Ed25519PrivateKey
    stations: tuple[TrustedStation, ...]
    tolerance_s: float = 300.0
    log_keys: tuple[VerifierKey, ...] = ()


class RefusedRequestError(Exception):
    """A request that is answered with a problem."""

    def __init__(self, status: int, kind: str, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.kind = kind
        self.title = title


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request whose signature holds, with the stations whose it may be."""

    request_id: str
    body: bytes
    stations: tuple[TrustedStation, ...]

    def refuse_foreign(self, source: str) -> None:
        """Raise `RefusedRequestError` unless one of the signers may speak for `source`."""
        if not any(station.source in {None, source} for station in self.stations):
            raise RefusedRequestError(403, "kt1:source-foreign", "This key is another site's")


async def signed_request(request: Request, identity: ReceiverIdentity, now: datetime) -> SignedRequest:
    """The request with its body; raises `RefusedRequestError` for a signature that does not hold, or one that was made long ago."""
    body = await limited_body(request, _LARGEST_BODY)
    request_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    signatures = request.headers.get("webhook-signature", "")
    signers = tuple(
        station
        for station in identity.stations
        if webhook_holds(
            event_id=request_id,
            timestamp=timestamp,
            signatures=signatures,
            body=body,
            keys=station.keys,
            secrets=station.secrets,
        )
    )
    if not signers:
        raise RefusedRequestError(401, "kt1:signature-wrong", "No signature of a known station")
    readable = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MOST_DIGITS
    if not readable or abs(now.timestamp() - int(timestamp)) > identity.tolerance_s:
        raise RefusedRequestError(401, "kt1:timestamp-stale", "The attempt is too old or from the future; check both clocks")
    return SignedRequest(request_id=request_id, body=body, stations=signers)


async def question_about(request: Request, identity: ReceiverIdentity, now: datetime) -> tuple[str, dict[str, Any]]:
    """The source that a signed question (JSON) is about, and all its members; raises `RefusedRequestError`, also for another site's."""
    signed = await signed_request(request, identity, now)
    try:
        members = json.loads(signed.body)
        source = str(members["source"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RefusedRequestError(400, "kt1:request-malformed", f"source is wanted: {error}") from error
    signed.refuse_foreign(source)
    return source, members


def number_in(members: dict[str, Any], name: str, default: int, *, least: int, most: int) -> int:
    """A whole number of a question, within its bounds; raises `RefusedRequestError`."""
    found = members.get(name, default)
    if type(found) is not int or not least <= found <= most:
        raise RefusedRequestError(400, "kt1:request-malformed", f"{name} must be a number from {least} to {most}")
    return found


def refused_answer(_: Request, refused: Exception) -> Response:
    """The problem that tells of a `RefusedRequestError`."""
    if not isinstance(refused, RefusedRequestError):
        raise refused
    return problem(refused.status, refused.kind, refused.title)


def problem(status: int, kind: str, title: str, **members: str | int) -> Response:
    """An RFC 9457 problem."""
    return JSONResponse({"type": kind, "title": title, "status": status, **members}, status, media_type="application/problem+json")


async def limited_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request; raises `RefusedRequestError` for a larger one, and for one that ends early."""
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most_bytes:
                raise RefusedRequestError(413, "kt1:request-too-large", "The request is too large")
    except ClientDisconnect as error:
        # Nobody hears it; whoever was cut off comes again.
        raise RefusedRequestError(400, "kt1:request-malformed", "The request ended early") from error
    return bytes(body)
