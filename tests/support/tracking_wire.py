"""A receiver on a real port, in this process or one of its own, well-behaved or not."""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.api.receiver import create_receiver, run_receiver, serve_receiver
from station.api.receiver_trust import ReceiverIdentity, TrustedStation
from station.ports.tracking import EventSender
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.http import HttpLink, HttpSender
from station.tracking.relay import Relay, RelaySettings
from station.tracking.replay import ReplayBox
from station.tracking.signatures import Signing, load_or_create_key, public_from_text, public_text, webhook_headers
from station.tracking.trust import TrustedKey
from station.tracking.verdict import ReceiptRule

STATION_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RECEIVER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
SIGNING = Signing(keys=(STATION_KEY,))
STATION = TrustedStation(keys=(STATION_KEY.public_key(),))


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the wall clock of a test


class QuickClock:
    """Station time that runs faster than the wall, dates included, so that minutes of back-off pass in a test."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start = utc_now()
        self._origin_s = time.monotonic()  # noqa: TID251 - the wall clock of a test

    def monotonic_s(self) -> float:
        return (time.monotonic() - self._origin_s) * self._speed  # noqa: TID251 - the wall clock of a test

    def utc_now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic_s())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def identity(**changes: Any) -> ReceiverIdentity:
    return ReceiverIdentity(**{"name": "test", "key": RECEIVER_KEY, "stations": (STATION,), **changes})


class Asking:
    """Whoever asks a receiver about a source in a signed way, in the calling thread."""

    def __init__(self, url: str, source: str, signing: Signing = SIGNING) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=20, trust_env=False)
        self._source = source
        self._signing = signing

    def ask(self, what: str, **members: Any) -> httpx.Response:
        body = json.dumps({"asks": what, "source": self._source, **members}).encode()
        return self._client.post(f"/{what}", content=body, headers=webhook_headers(what, body, utc_now(), self._signing))

    def get(self, what: str, **members: Any) -> dict[str, Any]:
        return self.ask(what, **members).raise_for_status().json()

    def close(self) -> None:
        self._client.close()


Wrap = Callable[[Any], Any]


@asynccontextmanager
async def serving(ledger: SqliteReceiverLedger, *, wrap: Wrap = lambda app: app, port: int = 0, **changes: Any) -> AsyncIterator[str]:
    """Serve in this loop; gives the base URL."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = wrap(create_receiver(ledger, identity(**changes), utc_now))
    task = asyncio.create_task(serve_receiver(app, "127.0.0.1", port, lambda host, bound: ready.set_result(f"http://{host}:{bound}")))
    try:
        yield await ready
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def relaying(
    store: SqliteStore,
    url: str,
    *,
    speed: float = 200.0,
    timeout_s: float = 2.0,
    seed: int = 1,
    settings: RelaySettings | None = None,
    receipts: bool = True,
    sender: EventSender | None = None,
    signing: Signing = SIGNING,
    trusted: tuple[TrustedKey, ...] = (TrustedKey(public=RECEIVER_KEY.public_key()),),
    clock: Any = None,
    box: ReplayBox | None = None,
) -> AsyncIterator[Relay]:
    sender = sender or HttpSender(HttpLink(url, timeout_s=timeout_s), utc_now=utc_now, signing=signing)
    rule = ReceiptRule(trusted=trusted if receipts else None)
    chance = random.Random(seed)
    relay = Relay(store, sender, clock or QuickClock(speed), chance, rule, settings or RelaySettings(poll_s=10.0), box)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await sender.close()


class Unruly:
    """A receiver behind a bad line: refuses, fails before and after the effect, doubles, delays, hangs up. Seeded."""

    def __init__(self, app: Any, chance: random.Random, *, slow_s: float) -> None:
        self._app = app
        self._chance = chance
        self._slow_s = slow_s
        self.seen: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return None
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        kind = self._chance.choices(
            ["good", "refuse", "busy", "effect-then-500", "effect-then-nothing", "twice", "slow-effect", "nonsense"],
            [60, 8, 4, 8, 8, 8, 1, 3],
        )[0]
        self.seen[kind] = self.seen.get(kind, 0) + 1
        if kind == "refuse":
            return await self._plain(send, 500, b"")
        if kind == "busy":
            return await self._plain(send, 429, b"", [(b"retry-after", b"1")])
        if kind == "nonsense":
            return await self._plain(send, 200, b'{"id": "made up"}')
        if kind == "slow-effect":
            await asyncio.sleep(self._slow_s)
        if kind in {"twice", "effect-then-500", "effect-then-nothing"}:
            await self._app(scope, self._again(body), _nowhere)
        if kind == "effect-then-500":
            return await self._plain(send, 500, b"")
        if kind == "effect-then-nothing":
            raise ConnectionResetError
        return await self._app(scope, self._again(body), send)

    @staticmethod
    def _again(body: bytes) -> Any:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    @staticmethod
    async def _plain(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        told = [(b"content-length", str(len(body)).encode()), *(headers or [])]
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body})


async def _nowhere(_: Any) -> None:
    return None


class DiesBeforeItsReceipt:
    """Kills its own process after an event took effect and before anything of the answer is sent, on the n-th event."""

    def __init__(self, app: Any, after: int) -> None:
        self._app = app
        self._left = after

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def last_words(message: Any) -> None:
            if scope.get("method") == "POST" and message["type"] == "http.response.start":
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), 9)
            await send(message)

        await self._app(scope, receive, last_words)


class ReceiverProcess:
    """The receiver as a process of its own."""

    def __init__(self, directory: Path, *, port: int = 0, dies_after: int = 0) -> None:
        arguments = [
            sys.executable,
            "-m",
            "tests.support.tracking_wire",
            str(directory),
            str(port),
            str(dies_after),
            public_text(STATION_KEY),
        ]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().split()
        self.port = int(line[0])
        self.url = f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> None:
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


def main() -> None:
    directory, port, dies_after, station_key = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    ledger = SqliteReceiverLedger(directory)
    key_file = directory / "receiver.pem"
    if not key_file.exists():
        load_or_create_key(key_file)
    who = ReceiverIdentity(name="test", key=RECEIVER_KEY, stations=(TrustedStation(keys=(public_from_text(station_key),)),))

    def ready(_: str, bound: int) -> None:
        sys.stdout.write(f"{bound}\n")
        sys.stdout.flush()

    if dies_after:
        app = DiesBeforeItsReceipt(create_receiver(ledger, who, utc_now), dies_after)
        asyncio.run(serve_receiver(app, "127.0.0.1", port, ready))
    else:
        run_receiver(ledger, who, utc_now, port=port, on_ready=ready)


if __name__ == "__main__":
    main()
