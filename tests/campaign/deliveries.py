"""Events of two sites to one receiver that is down, slow, doubling, reordering, failing, and often killed between an effect and its
receipt; the stations end in the middle, too. Every event must take effect once, in order, without gaps: `make deliveries`."""

import argparse
import asyncio
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.events import PieceStatus
from station.ports.outbox import EventDigest
from station.ports.store import UnitOfWork
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.http import HttpLink, HttpSender
from station.tracking.message import MessageRules
from station.tracking.reconciliation import source_of
from station.tracking.relay import Relay, RelaySettings
from station.tracking.signatures import Signing, public_text, read_receipt, receipt_holds
from station.tracking.trust import TrustedKey
from station.tracking.verdict import ReceiptRule
from station.workflow.day_digest import compare, day_root
from tests.support.store_facts import event
from tests.support.tracking_wire import RECEIVER_KEY, QuickClock, utc_now

SITES = ("HN1", "HCM2")
SPEED = 600.0
"""Back-off and pauses of minutes pass in a fraction of a second."""
TIMEOUT_S = 1.0
LIVE_PIECES = 40
BATCH = 200
MOST_OPEN = 1500
DOWN_S = 0.5
SAY_S = 10.0
LOOK_S = 0.25
STUCK_S = 300.0
STATUSES = tuple(PieceStatus)


class Site:
    """A station's store with its relay, and what it has to tell: pieces of different lengths of life, many at a time."""

    def __init__(self, name: str, directory: Path, events: int, seed: int) -> None:
        self.name = name
        self.chance = random.Random(seed)
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed] * 32))
        self.store = SqliteStore(directory / name, render=MessageRules(site=name).render, floor_bytes=0, warn_bytes=0)
        self.left = events
        # One for all its relays: a new one would begin far behind the times that the old one has written.
        self._clock = QuickClock(SPEED)
        self._pieces = [[number, self._life()] for number in range(LIVE_PIECES)]
        self._next = LIVE_PIECES

    def _life(self) -> int:
        return self.chance.choice([1, 4, 5, 9, 14, 30])

    async def tell(self) -> None:
        """Publish the next events, unless enough wait."""
        written, receipted, _ = self.store.read(lambda view: view.outbox_depth())
        count = min(BATCH, self.left) if written - receipted < MOST_OPEN else 0
        if count:
            told = [(self._piece(), self.chance.choice(STATUSES)) for _ in range(count)]
            await self.store.write(lambda unit: self._publish(unit, told))
            self.left -= count

    def _publish(self, unit: UnitOfWork, told: list[tuple[str, PieceStatus]]) -> None:
        now = utc_now()
        for piece_id, status in told:
            unit.publish(replace(event(piece_id, status), at=now))

    def _piece(self) -> str:
        place = self.chance.randrange(LIVE_PIECES)
        number, left = self._pieces[place]
        self._pieces[place][1] = left - 1
        if left == 1:
            self._pieces[place] = [self._next, self._life()]
            self._next += 1
        return f"P{number}"

    async def relay(self, url: str, seed: int) -> None:
        """What the station's tracking does, until it ends."""
        sender = HttpSender(HttpLink(url, timeout_s=TIMEOUT_S), utc_now=utc_now, signing=Signing(keys=(self.key,)))
        rule = ReceiptRule(trusted=(TrustedKey(public=RECEIVER_KEY.public_key(), name="test"),))
        relay = Relay(self.store, sender, self._clock, random.Random(seed), rule, RelaySettings(poll_s=60.0, watch_s=600.0))
        await relay.run()

    def done(self) -> bool:
        """True when all was told and has its receipt."""
        written, receipted, _ = self.store.read(lambda view: view.outbox_depth())
        return self.left == 0 and written == receipted


@dataclass(slots=True, kw_only=True)
class Receiver:
    """The receiver's processes one after another, on one port."""

    directory: Path
    sites: list[Site]
    chance: random.Random
    kills: int
    events: int
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0
    killed: int = 0

    def start(self) -> None:
        """Start one; the last one lives."""
        left = self.kills - self.killed
        effects = self.chance.randint(1, max(1, 2 * (self.events - self._done()) // (left + 2))) if left else 0
        known = [f"{site.name}={public_text(site.key)}" for site in self.sites]
        arguments = [str(self.directory), str(self.port), str(self.chance.randrange(2**31)), str(effects), *known]
        log = (self.directory.parent / "receiver.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.unruly_receiver", *arguments], stdout=subprocess.PIPE, stderr=log
        )
        log.close()
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def _done(self) -> int:
        return sum(site.store.read(lambda view: view.outbox_depth())[1] for site in self.sites)

    async def live(self) -> None:
        """Bring it back each time it was killed."""
        while True:
            assert self.process is not None
            await asyncio.to_thread(self.process.wait)
            assert self.process.returncode == -9, f"the receiver ended by itself: {self.process.returncode}"
            self.stop()
            self.killed += 1
            await asyncio.sleep(self.chance.uniform(0.0, DOWN_S))
            await asyncio.to_thread(self.start)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()


async def run(sites: list[Site], receiver: Receiver, *, restarts: int, chance: random.Random) -> int:
    """Deliver everything; returns how often a station ended in the middle."""
    await asyncio.to_thread(receiver.start)
    url = f"http://127.0.0.1:{receiver.port}"
    alive = asyncio.create_task(receiver.live())
    relays = [asyncio.create_task(site.relay(url, number)) for number, site in enumerate(sites)]
    total, began_s, said_s, ended = receiver.events, time.monotonic(), 0.0, 0  # noqa: TID251 - wall time
    last, moved_s = -1, began_s
    try:
        while not all(site.done() for site in sites) or receiver.killed < receiver.kills:
            if alive.done():
                alive.result()
            for site in sites:
                await site.tell()
            done, now_s = receiver._done(), time.monotonic()  # noqa: TID251 - wall time
            moved_s = now_s if done != last else moved_s
            last = done
            assert now_s - moved_s < STUCK_S, f"nothing moves at {done} of {total}"
            assert done < total or receiver.killed == receiver.kills, f"all was delivered after {receiver.killed} kills"
            if done >= total * (ended + 1) // (restarts + 1) and ended < restarts:
                which = chance.randrange(len(sites))
                relays[which].cancel()
                await asyncio.gather(relays[which], return_exceptions=True)
                ended += 1
                relays[which] = asyncio.create_task(sites[which].relay(url, 100 + ended))
            if now_s - said_s > SAY_S:
                said_s = now_s
                say(f"{done} of {total} receipted, {receiver.killed} kills, {done / (now_s - began_s):.0f}/s")
            await asyncio.sleep(LOOK_S)
    finally:
        for task in (alive, *relays):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(alive, *relays, return_exceptions=True)
        receiver.stop()
    return ended


def check(sites: list[Site], directory: Path, events: int) -> None:
    """Every event once in effect, in order, no gap, with a receipt that holds; both sides the same by count and root."""
    ledger = SqliteReceiverLedger(directory)
    counts = ledger.counts()
    assert (counts.events, counts.receipted, counts.out_of_order, counts.gaps, counts.double_effects) == (events, events, 0, 0, 0), counts
    for site in sites:
        began = utc_now() - timedelta(days=3)
        ours = site.store.read(lambda view, began=began: view.event_digests(began, utc_now() + timedelta(days=1)))
        theirs: list[EventDigest] = []
        for number in range(4):
            theirs += ledger.digests_of(source_of(site.name), (began + timedelta(days=number)).date(), after=0, limit=10**9)[0]
        assert compare(ours, ours, theirs) == ()
        assert day_root(ours) == day_root(theirs)
        for piece_id, _ in site.store.read(lambda view: view.first_events()):
            for one in site.store.read(lambda view, p=piece_id: view.events_of(p)):
                receipt = read_receipt(one.receipt or "")
                assert receipt is not None
                assert (receipt.id, receipt.sequence) == (one.event_id, one.sequence)
                assert receipt_holds(receipt, RECEIVER_KEY.public_key())
    ledger.close()


def say(what: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    """Run it; what does not hold is an assertion error."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.deliveries", description=__doc__)
    parser.add_argument("--events", type=int, default=100_000, help="of both sites together")
    parser.add_argument("--kills", type=int, default=200, help="of the receiver between an effect and its receipt")
    parser.add_argument("--restarts", type=int, default=20, help="of a station in the middle of its attempts")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    chance, began_s = random.Random(given.seed), time.monotonic()  # noqa: TID251 - wall time
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        share = given.events // len(SITES)
        sites = [Site(site, directory, share, 1 + number + given.seed) for number, site in enumerate(SITES)]
        events = share * len(SITES)
        (directory / "receiver").mkdir(mode=0o700)
        receiver = Receiver(directory=directory / "receiver", sites=sites, chance=chance, kills=given.kills, events=events)
        ended = asyncio.run(run(sites, receiver, restarts=given.restarts, chance=chance))
        wall_s = time.monotonic() - began_s  # noqa: TID251 - wall time
        check(sites, directory / "receiver", events)
        mishaps = Counter((directory / "receiver" / "mishaps.log").read_text(encoding="ascii").split())
        for site in sites:
            site.store.close()
    say(f"{events} events of {len(SITES)} sites, seed {given.seed}: once in effect, in order, no gap, every receipt holds")
    say(f"{mishaps.pop('killed', 0)} kills, {ended} ends of a station, {dict(sorted(mishaps.items()))}; {wall_s:.0f} s")


if __name__ == "__main__":
    main()
