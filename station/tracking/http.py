"""To the tracking system over HTTP: events as signed webhooks, and checkpoints of the audit log for its witness."""

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.errors import ConfigurationError
from station.ports.store import OutboxEvent
from station.ports.tracking import Answer, ReceiverUnreachableError, WitnessAnswer
from station.tracking.message import CONTENT_TYPE
from station.tracking.signatures import webhook_headers

_LARGEST_ANSWER = 64 << 10
_STEPS = 3
_MOST_DIGITS = 20
SIZE_TYPE = "text/x.tlog.size"


class HttpSender:
    """`station.ports.tracking.EventSender` for `POST <receiver>/events` (contract: tracking events).

    Args:
        receiver_url: base URL of the receiver, without `/events`.
        utc_now: true time; each attempt carries its own.
        key: Ed25519 key for `v1a` signatures.
        secret: shared secret for `v1` signatures, for receivers that want them. At least one of both.
        timeout_s: wall-clock limit of each step of an attempt (connect, send, wait for bytes); a whole attempt takes at most thrice that.
    """

    def __init__(
        self,
        receiver_url: str,
        *,
        utc_now: Callable[[], datetime],
        key: Ed25519PrivateKey | None = None,
        secret: bytes | None = None,
        timeout_s: float = 10.0,
        connections: int = 16,
    ) -> None:
        if key is None and not secret:
            raise ConfigurationError("Events would go out unsigned", remedy="Configure a signing key or a shared secret for the receiver")
        self._url = receiver_url.rstrip("/") + "/events"
        self._utc_now = utc_now
        self._key = key
        self._secret = secret
        self._timeout_s = timeout_s
        # No proxy from the environment: events go where the configuration says and nowhere else.
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
            follow_redirects=False,
        )

    async def send(self, event: OutboxEvent) -> Answer:
        """Make one attempt. Raises `ReceiverUnreachableError`."""
        body = event.body.encode()
        headers = {
            "content-type": CONTENT_TYPE,
            **webhook_headers(event.event_id, body, self._utc_now(), key=self._key, secret=self._secret),
        }
        try:
            async with (
                asyncio.timeout(_STEPS * self._timeout_s),
                self._client.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                return _answer(response, await _limited(response))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ReceiverUnreachableError(
                f"{self._url} did not answer: {str(error) or type(error).__name__}",
                consequence="The event is kept and sent again",
                remedy="Check the receiver and the network between",
            ) from error

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()


class HttpWitness:
    """`station.ports.tracking.Witness` for `POST <receiver>/add-checkpoint` (C2SP tlog-witness). Arguments as for `HttpSender`."""

    def __init__(self, receiver_url: str, *, timeout_s: float = 10.0) -> None:
        self._url = receiver_url.rstrip("/") + "/add-checkpoint"
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(timeout=timeout_s, trust_env=False, follow_redirects=False)

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
        """Ask once. Raises `ReceiverUnreachableError`."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
        try:
            async with (
                asyncio.timeout(_STEPS * self._timeout_s),
                self._client.stream("POST", self._url, content=f"old {old_size}\n{hashes}\n{note}".encode()) as response,
            ):
                body = (await _limited(response)).decode(errors="replace")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ReceiverUnreachableError(
                f"{self._url} did not answer: {str(error) or type(error).__name__}",
                consequence="The checkpoint stays without its witness for now",
                remedy="Check the receiver and the network between",
            ) from error
        size = body.removesuffix("\n") if response.headers.get("content-type", "").startswith(SIZE_TYPE) else ""
        known = int(size) if size.isascii() and size.isdigit() and len(size) < _MOST_DIGITS else None
        return WitnessAnswer(status=response.status_code, body=body, known_size=known)

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()


async def _limited(response: httpx.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > _LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is too large", request=response.request)
    return bytes(content)


def _answer(response: httpx.Response, content: bytes) -> Answer:
    text = content.decode(errors="replace")
    problem, expected = None, None
    if response.status_code >= httpx.codes.BAD_REQUEST:
        try:
            members = json.loads(text)
        except ValueError:
            members = None
        if isinstance(members, dict):
            problem = members["type"] if isinstance(members.get("type"), str) else None
            expected = members["expected_sequence"] if type(members.get("expected_sequence")) is int else None
    retry_after = response.headers.get("retry-after", "")
    return Answer(
        status=response.status_code,
        body=text,
        problem=problem,
        expected_sequence=expected,
        retry_after_s=float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None,
    )
