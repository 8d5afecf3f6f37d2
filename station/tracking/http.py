"""To the tracking system over HTTP: events as signed webhooks, and checkpoints of the audit log for its witness."""

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import httpx

from station.domain.errors import ConfigurationError
from station.ports.outbox import OutboxEvent
from station.ports.tracking import Answer, Link, ReceiverUnreachableError, Reply, WitnessAnswer
from station.tracking.answers import answer_of
from station.tracking.message import CONTENT_TYPE
from station.tracking.signatures import Signing, webhook_headers

_LARGEST_ANSWER = 1 << 20
_STEPS = 3
_MOST_DIGITS = 20
SIZE_TYPE = "text/x.tlog.size"


class HttpLink:
    """`station.ports.tracking.Link` over HTTP.

    Args:
        url: where the server is; paths are added to it.
        timeout_s: wall-clock limit of each step of a request (connect, send, wait for bytes); a whole one takes at most thrice that.
        connections: most requests at a time.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, connections: int = 16) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        # No proxy from the environment: events go where the configuration says and nowhere else.
        self._client = httpx.AsyncClient(
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # Unpacked, a few hundred bytes may fill the memory that relay, witness and lanes share.
            headers={"accept-encoding": "identity"},
            trust_env=False,
            follow_redirects=False,
        )

    async def request(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Ask once. Raises `ReceiverUnreachableError`."""
        url = self._url + path
        try:
            async with (
                asyncio.timeout(_STEPS * self._timeout_s),
                self._client.stream(method, url, content=content, headers=dict(headers)) as response,
            ):
                text = (await _limited(response)).decode(errors="replace")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ReceiverUnreachableError(
                f"{url} did not answer: {str(error) or type(error).__name__}",
                consequence="What was to be sent is kept",
                remedy="Check the receiver and the network between",
            ) from error
        return Reply(status=response.status_code, text=text, headers=dict(response.headers))

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()


class HttpSender:
    """`station.ports.tracking.EventSender` for `POST <receiver>/events` (contract: tracking events).

    Args:
        link: to the receiver.
        utc_now: true time; each attempt carries its own.
        signing: Ed25519 keys for `v1a` signatures, shared secrets for `v1` ones. At least one of both.
    """

    def __init__(self, link: Link, *, utc_now: Callable[[], datetime], signing: Signing) -> None:
        if not signing.keys and not signing.secrets:
            raise ConfigurationError("Events would go out unsigned", remedy="Configure a signing key or a shared secret for the receiver")
        self._link = link
        self._utc_now = utc_now
        self._signing = signing

    async def send(self, event: OutboxEvent) -> Answer:
        """Make one attempt. Raises `ReceiverUnreachableError`."""
        body = event.body.encode()
        headers = {"content-type": CONTENT_TYPE, **webhook_headers(event.event_id, body, self._utc_now(), self._signing)}
        return answer_of(await self._link.request("POST", "/events", body, headers))

    async def close(self) -> None:
        """Drop the connections."""
        await self._link.close()


class HttpWitness:
    """`station.ports.tracking.Witness` for `POST <receiver>/add-checkpoint` (C2SP tlog-witness)."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
        """Ask once. Raises `ReceiverUnreachableError`."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
        reply = await self._link.request("POST", "/add-checkpoint", f"old {old_size}\n{hashes}\n{note}".encode(), {})
        size = reply.text.removesuffix("\n") if reply.headers.get("content-type", "").startswith(SIZE_TYPE) else ""
        known = int(size) if size.isascii() and size.isdigit() and len(size) < _MOST_DIGITS else None
        return WitnessAnswer(status=reply.status, body=reply.text, known_size=known)

    async def close(self) -> None:
        """Drop the connections."""
        await self._link.close()


async def _limited(response: httpx.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise httpx.DecodingError("the answer is packed, though it was asked not to be", request=response.request)
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > _LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is too large", request=response.request)
    return bytes(content)
