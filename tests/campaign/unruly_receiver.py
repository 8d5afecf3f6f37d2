"""The reference receiver as a process of its own behind a bad line, which kills itself between an effect and its receipt.

`python -m tests.campaign.unruly_receiver DIR PORT SEED EFFECTS SITE=KEY …`: after that many effects (0: never) it is dead by SIGKILL.
It says its port on standard output, and keeps in `DIR/mishaps.log` what it did.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from station.api.receiver import create_receiver, serve_receiver
from station.api.receiver_trust import TrustedStation
from station.storage.receiver_store import SqliteReceiverLedger
from station.tracking.reconciliation import source_of
from station.tracking.signatures import public_from_text
from tests.support.tracking_wire import Unruly, identity, utc_now

KINDS = {
    "good": 650,
    "refuse": 50,
    "busy": 20,
    "effect-then-500": 50,
    "effect-then-nothing": 50,
    "twice": 50,
    "echo": 60,
    "answers-late": 60,
    "slow-effect": 2,
    "nonsense": 10,
    "gone": 1,
}
"""What becomes of an attempt, and how often of about a thousand. Up to `effect-then-nothing` nothing helpful comes back.

`twice`, `echo`: the line delivers it again at once, or when later ones have come. `answers-late`: its answer is overtaken by others.
"""
LATE_S, SLOW_S = 0.05, 4.0
KEPT = 64


class Line:
    """The app behind the bad line. Seeded."""

    def __init__(self, app: Any, chance: random.Random, effects: int, log: Callable[[str], None]) -> None:
        self._app = app
        self._chance = chance
        self._left = effects
        self._log = log
        self._earlier: list[tuple[Any, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/events":
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            part = await receive()
            if part["type"] == "http.disconnect":
                return
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        await self._do(self._chance.choices([*KINDS], [*KINDS.values()])[0], scope, body, send)

    async def _do(self, kind: str, scope: Any, body: bytes, send: Any) -> None:
        if kind != "good":
            self._log(kind)
        if kind in {"refuse", "busy", "gone", "nonsense"}:
            status = {"refuse": 500, "busy": 429, "gone": 410, "nonsense": 200}[kind]
            await Unruly._plain(send, status, b'{"id": "made up"}', [(b"retry-after", b"1")] if kind == "busy" else None)
            return
        if kind == "slow-effect":
            await asyncio.sleep(SLOW_S)
        if kind == "echo" and self._earlier:
            await self._take(*self._chance.choice(self._earlier), nowhere)
        if kind in {"twice", "effect-then-500", "effect-then-nothing"}:
            await self._take(scope, body, nowhere)
        self._earlier = [*self._earlier[-KEPT:], (scope, body)]
        if kind == "effect-then-500":
            await Unruly._plain(send, 500, b"")
        elif kind == "effect-then-nothing":
            # Ended without an answer: the server hangs up.
            return
        else:
            await self._take(scope, body, self._late(send) if kind == "answers-late" else send)

    async def _take(self, scope: Any, body: bytes, send: Any) -> None:
        """Let the receiver have it; when it was the last effect of this process, nobody hears of it."""

        async def last_words(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._left -= 1
                if self._left == 0:
                    self._log("killed")
                    os.kill(os.getpid(), signal.SIGKILL)
            await send(message)

        await self._app(scope, Unruly._again(body), last_words)

    def _late(self, send: Any) -> Any:
        async def later(message: Any) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(self._chance.uniform(0.0, LATE_S))
            await send(message)

        return later


async def nowhere(_: Any) -> None:
    """An answer that nobody hears."""


def main() -> None:
    directory, port, seed, effects = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    stations = []
    for told in sys.argv[5:]:
        site, _, key = told.partition("=")
        stations.append(TrustedStation(source=source_of(site), keys=(public_from_text(key),)))
    ledger = SqliteReceiverLedger(directory)
    log = os.open(directory / "mishaps.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    app = create_receiver(ledger, identity(stations=tuple(stations)), utc_now)

    def note(kind: str) -> None:
        os.write(log, f"{kind}\n".encode())

    line = Line(app, random.Random(seed), effects, note)

    def ready(_: str, bound: int) -> None:
        sys.stdout.write(f"{bound}\n")
        sys.stdout.flush()

    asyncio.run(serve_receiver(line, "127.0.0.1", port, ready))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
