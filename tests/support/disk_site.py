"""What a station keeps on its disk, at work in one directory: store, image vault, keys, audit log; and what must be found there later.

Each acknowledged fact is told the moment the store answers. Facts are lists: kind, then what identifies it.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pysqlite3.dbapi2

from station.bootstrap.audit import AuditFiles, believed_keys, open_keeper, remembered_file, verify_log
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ImageDestroyedError, NotFoundError, StationError, StoreError, TransitionError
from station.domain.events import PieceStatus
from station.domain.piece import PieceState, Secrecy
from station.domain.vault import Retention
from station.ports.screening import RawScan
from station.ports.store import Claim, UnitOfWork
from station.storage.image_store import FileImageStore
from station.storage.key_files import FileKeyStore
from station.storage.store import DATABASE_NAME, SqliteStore
from station.workflow.image_keeper import ImageKeeper, destructions
from tests.support.clocks import SetClock
from tests.support.images import raw_scan, result
from tests.support.store_facts import announcement, at, event, permit, render, scan, unannounced
from tests.support.vaults import DAY

Fact = list[Any]
Tell = Callable[[Fact], None]
DAY_S = 86_400.0
LEVELS = (None, Secrecy.C, Secrecy.A)
AFTERWARDS = 900_003
LANE_DAYS = 4
"""With two lanes: a picture must not be past its time before its piece is written down."""
AFTER_SCAN = (PieceState.CLEARED, PieceState.DISINFECTING, PieceState.DISINFECTED, PieceState.RELEASED)


class Site:
    """Opened as a station opens it at its start.

    Args:
        root: where everything lies.
        clock: the site's day.
        days: for how long images are kept.
        retry_s: seconds between the store's tries while the medium fails.

    Raises:
        StationError: the station would not start.
    """

    def __init__(self, root: Path, clock: SetClock, *, days: int = 1, retry_s: float | None = None) -> None:
        self.configuration: Any = SimpleNamespace(
            audit_key_file=root / "keys" / "audit.pem",
            receiver_key_file=root / "keys" / "receiver.pub",
            station=SimpleNamespace(site="HN-01", tracking=SimpleNamespace(receiver="", transport="webhook", timeout_s=1.0)),
        )
        self.clock, self.data, self.beside = clock, root / "data", threading.Lock()
        self.store = SqliteStore(self.data, render=render, reserve_bytes=1 << 16, floor_bytes=0, warn_bytes=0)
        try:
            if retry_s is not None:
                self.store._writer._retry_s = retry_s
            self.images = FileImageStore(self.data / "images", keys=FileKeyStore(root / "keys" / "images"), clock=clock)
            self.images.tidy()
            self.audit = open_keeper(self.configuration, self.store, clock)
            self.report = asyncio.run(self.audit.start())
            policy: Any = SimpleNamespace(retention=Retention(days_a=days, days_b=days, days_c=days, days_unmarked=days), sha256="ab" * 32)
            self.keeper = ImageKeeper(
                store=self.store, images=self.images, clock=clock, policy=policy, site="HN-01", run_blocking=_in_this_thread
            )
        except BaseException:
            self.store.close()
            raise

    def close(self) -> None:
        self.store.close()

    def files(self) -> AuditFiles:
        """For the check of the audit log from outside, against the remembered checkpoint."""
        kept = remembered_file(self.configuration.audit_key_file)
        return AuditFiles(database=self.data / DATABASE_NAME, keys=believed_keys(self.configuration), saved=kept if kept.exists() else None)


async def _in_this_thread(call: Callable[[], Any]) -> Any:
    return call()


@dataclass(slots=True)
class Work:
    """A lane's and the keepers' writing. What fails is counted, and the piece goes no further.

    Args:
        site: where.
        tell: hears each fact when it is acknowledged, in whichever thread.
        name: of the lane, in its pieces' names.
    """

    site: Site
    tell: Tell
    name: str = "L"
    failed: int = 0
    unnoticed: int = 0
    """Changes that failed while the store went on calling itself healthy."""

    def round(self, number: int) -> None:
        """One piece from the infeed to its outcome, and now and then what is done beside the lanes."""
        for step in (self._piece, self._seal, self._keep_images):
            try:
                step(number)
            except StoreError:
                self.failed += 1
            except (NotFoundError, TransitionError):
                # What should be there was not stored before.
                assert self.failed, "a fact that was acknowledged is not there"

    def write(self, work: Callable[[UnitOfWork], list[Fact]]) -> "Future[list[Fact]]":
        """Have it done; its facts are told, and the store's health looked at, in the very thread that resolves the future."""
        future = self.site.store.write(work)._future
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future: "Future[list[Fact]]") -> None:
        error = future.exception()
        if error is None:
            for fact in future.result():
                self.tell(fact)
        elif isinstance(error, StoreError) and self.site.store.healthy():
            self.unnoticed += 1

    def _piece(self, number: int) -> None:
        piece_id, level = f"{self.name}{number:05d}", LEVELS[number % 3]
        late = number % 4 == 1
        self.write(lambda unit: _arrives(unit, piece_id, None if late else level, late=late)).result(60)
        sha256 = self._put(raw_scan(12, 8, seed=number), None if late else level)
        self.tell(["image", sha256, piece_id])
        self.site.images.put_views(sha256, result(number))
        self.tell(["views", sha256, piece_id])
        together = [
            self.write(lambda unit: _scanned(unit, piece_id, sha256)),
            self.write(lambda unit: _claimed(unit, piece_id)),
            self.write(lambda unit: _alarmed(unit, piece_id)),
            self.write(lambda unit: _counted(unit, self.name, number)),
            *(self.write(lambda unit, tag=tag: _permitted(unit, piece_id, tag)) for tag in range(4)),
        ]
        for one in together:
            one.result(60)
        if late:
            self.write(lambda unit: _announced(unit, piece_id, level)).result(60)
        elif number % 3 != 2:
            self.tell(["releasing", piece_id])
            self.write(lambda unit: _released(unit, piece_id)).result(60)

    def _put(self, picture: RawScan, level: Secrecy | None) -> str:
        try:
            return self.site.images.put(picture, level)
        except StoreError:
            # The very same counts may come again, after whatever the first try left.
            self.failed += 1
            return self.site.images.put(picture, level)

    def _seal(self, _number: int) -> None:
        with self.site.beside:
            asyncio.run(self.site.audit.seal())
        newest = self.site.store.read(lambda view: view.newest_checkpoint())
        if newest is not None:
            self.tell(["checkpoint", newest.size])

    def _keep_images(self, number: int) -> None:
        if number % 4 != 3:
            return
        with self.site.beside:
            self.tell(["day", (self.site.clock.now + timedelta(days=1)).isoformat()])
            self.site.clock.forward(DAY_S)
            asyncio.run(self.site.keeper.look())
        for one in self.site.store.read(destructions):
            self.tell(["destroyed", one.key_id])


def _arrives(unit: UnitOfWork, piece_id: str, level: Secrecy | None, *, late: bool) -> list[Fact]:
    if late:
        unit.add_piece(unannounced(piece_id, at()))
    else:
        unit.announce(announcement(piece_id, secrecy=level), at())
        unit.change_state(piece_id, PieceState.ARRIVED, at(1), lane_id="1", visit=1)
    return [["piece", piece_id, "arrived"], *_published(unit, piece_id, PieceStatus.ARRIVED)]


def _announced(unit: UnitOfWork, piece_id: str, level: Secrecy | None) -> list[Fact]:
    unit.announce(announcement(piece_id, secrecy=level), at(5))
    return [["level", piece_id, level]]


def _scanned(unit: UnitOfWork, piece_id: str, sha256: str) -> list[Fact]:
    unit.change_state(piece_id, PieceState.SCANNING, at(2), lane_id="1", visit=1)
    unit.append(scan(piece_id, sha256))
    unit.change_state(piece_id, PieceState.SCANNED, at(3), lane_id="1", visit=1)
    return [["piece", piece_id, "scanned"], *_published(unit, piece_id, PieceStatus.SCREENED)]


def _released(unit: UnitOfWork, piece_id: str) -> list[Fact]:
    for state in AFTER_SCAN:
        unit.change_state(piece_id, state, at(6), lane_id="1", visit=1)
    return [["piece", piece_id, "released"], *_published(unit, piece_id, PieceStatus.RELEASED)]


def _permitted(unit: UnitOfWork, piece_id: str, tag: int) -> list[Fact]:
    unit.append(permit(piece_id, tag))
    return [["permit", piece_id, tag]]


def _claimed(unit: UnitOfWork, piece_id: str) -> list[Fact]:
    unit.set_claim(Claim(piece_id=piece_id, person="lan", expires_at=at(600)), piece_id)
    return [["claim", piece_id]]


def _alarmed(unit: UnitOfWork, piece_id: str) -> list[Fact]:
    alarm = unit.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.HIGH, piece_id, "seen", at())
    return [["alarm", alarm.alarm_id]]


def _counted(unit: UnitOfWork, name: str, number: int) -> list[Fact]:
    unit.set_value(f"newest.{name}", str(number))
    return [["value", f"newest.{name}", number], ["number", unit.next_number("tag")]]


def _published(unit: UnitOfWork, piece_id: str, status: PieceStatus) -> list[Fact]:
    unit.publish(event(piece_id, status))
    newest = unit.events_of(piece_id)[-1]
    return [["event", piece_id, newest.sequence, newest.body]]


def losses(root: Path, facts: Iterable[Fact], *, days: int = 1) -> list[str]:
    """Start a station on what lies in `root`, and say what of these facts is not there, or what is there by half. Then it must work on.

    `facts` are those that were told before; with them what was only begun ("releasing", "day").
    """
    told = [tuple(fact) for fact in facts]
    clock = SetClock(max([DAY, *(datetime.fromisoformat(fact[1]) for fact in told if fact[0] == "day")]))
    try:
        site = Site(root, clock, days=days)
    except (StationError, OSError) as error:
        return [f"the station does not start: {error}"]
    with closing(site):
        found = [f"the audit log does not hold: {one}" for one in site.report.findings]
        found += [f"damaged: {line}" for line in site.store.audit_damage()]
        found += _missing(site, told) + _half(site)
        fresh: list[Fact] = []
        work = Work(site, fresh.append, name="after")
        work.round(AFTERWARDS)
        if work.failed or not fresh:
            found.append("the station does not work on")
        found += [f"not there afterwards: {line}" for line in _missing(site, [*told, *map(tuple, fresh)])]
    if not found:
        outside = verify_log(site.files())
        found += [f"checked from outside: {one}" for one in outside.findings]
        with closing(pysqlite3.dbapi2.connect(str(site.data / DATABASE_NAME))) as connection:
            found += [line for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
            found += [str(line) for line in connection.execute("PRAGMA foreign_key_check")]
    return found


@dataclass(slots=True)
class _Look:
    """What is asked of a site, once for each piece."""

    site: Site
    pieces: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def of(self, piece_id: str) -> tuple[Any, ...]:
        if piece_id not in self.pieces:
            self.pieces[piece_id] = self.site.store.read(
                lambda view: (
                    {step.after.value for step in view.history(piece_id)},
                    {one.sequence: one.body for one in view.events_of(piece_id)},
                    {row.evidence.tag for row in view.evidence(piece_id) if hasattr(row.evidence, "tag")},
                    view.claim(piece_id),
                    view.piece(piece_id),
                )
            )
        return self.pieces[piece_id]


def _missing(site: Site, told: list[tuple[Any, ...]]) -> list[str]:
    look = _Look(site)
    # Pictures of these are needed: they are in evidence, and nothing is decided for good.
    needed = {fact[1] for fact in told if fact[0] == "piece" and fact[2] == "scanned"}
    needed -= {fact[1] for fact in told if fact[0] == "releasing"}
    newest, alarms = site.store.read(
        lambda view: (view.newest_checkpoint(), {one.alarm_id for one in view.alarms(active_only=False, limit=10**6)})
    )
    keys = {key.key_id for key in site.images.existing_keys()}
    number = site.store.write(lambda unit: unit.next_number("tag")).result(60)

    def there(fact: tuple[Any, ...]) -> bool:  # noqa: PLR0911 - one for each kind
        match fact:
            case ("piece", piece_id, state):
                return state in look.of(piece_id)[0]
            case ("event", piece_id, sequence, body):
                return bool(look.of(piece_id)[1].get(sequence) == body)
            case ("permit", piece_id, tag):
                return tag in look.of(piece_id)[2]
            case ("claim", piece_id):
                return look.of(piece_id)[3] is not None
            case ("level", piece_id, level):
                piece = look.of(piece_id)[4]
                return piece is not None and piece.level == level
            case ("alarm", alarm_id):
                return alarm_id in alarms
            case ("value", key, value):
                return int(site.store.read(lambda view: view.value(key)) or -1) >= value
            case ("number", value):
                return bool(number > value)
            case ("checkpoint", size):
                return newest is not None and newest.size >= size
            case ("image" | "views" as what, sha256, piece_id):
                try:
                    (site.images.scan if what == "image" else site.images.views)(sha256)
                except ImageDestroyedError:
                    return piece_id not in needed
                except StationError:
                    return False
                return True
            case ("destroyed", key_id):
                return key_id not in keys
            case ("releasing" | "day", _):
                return True
        raise ValueError(fact)

    return [f"lost: {fact}" for fact in told if not there(fact)]


def _half(site: Site) -> list[str]:
    found = [f"{path.name} is half of something" for path in site.data.rglob("*.tmp")]
    for sha256, _ in site.images.each():
        try:
            site.images.scan(sha256)
        except ImageDestroyedError:
            continue
        except StationError as error:
            found.append(f"half: {error}")
    return found


def work_in_lanes(site: Site, tell: Tell, rounds: int, *, first: int = 0) -> None:
    """Two lanes at once, the second a few images and days behind."""
    lanes = [
        threading.Thread(target=lambda name=name, start=start: [Work(site, tell, name).round(first + start + n) for n in range(rounds)])
        for name, start in (("A", 0), ("B", 50_000))
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
