"""The vault's keeper: levels follow the pieces, time is up when the policy says so, and what is destroyed is on record."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from station.domain.alarm import AlarmCode
from station.domain.errors import TOLD_AT_ONCE, ImageDestroyedError, StoreError
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.policy import Policy
from station.domain.vault import DestructionCause, Retention
from station.ports.store import UnitOfWork
from station.storage.image_store import FileImageStore
from station.storage.store import SqliteStore
from station.workflow import image_keeper
from station.workflow.image_keeper import ImageKeeper, destructions
from tests.support.clocks import SetClock
from tests.support.damaged_files import cut
from tests.support.images import raw_scan, same
from tests.support.store_facts import announcement, check_audit, opened, scan
from tests.support.vaults import DAY, level_of, vault

T = TypeVar("T")
POLICY = Policy(sha256="cd" * 32, retention=Retention(days_a=1, days_b=2, days_c=3, days_unmarked=4))
RELEASED = (
    PieceState.ARRIVED,
    PieceState.SCANNING,
    PieceState.SCANNED,
    PieceState.CLEARED,
    PieceState.DISINFECTING,
    PieceState.DISINFECTED,
    PieceState.RELEASED,
)
HELD = (*RELEASED[:3], PieceState.HELD)


async def inline(work: Callable[[], T]) -> T:
    return work()


class Site:
    """A store, a vault and its keeper on a clock that is set."""

    def __init__(self, directory: Path, store: SqliteStore) -> None:
        self.clock = SetClock(DAY)
        self.store = store
        self.images = vault(directory / "images", self.clock)
        self.keeper = self.new_keeper()

    def new_keeper(self) -> ImageKeeper:
        return ImageKeeper(store=self.store, images=self.images, clock=self.clock, policy=POLICY, site="site-1", run_blocking=inline)

    def piece(self, number: int, states: tuple[PieceState, ...], level: Secrecy | None = None, *, seed: int | None = None) -> str:
        """A piece with its scan, on its way through these states; the scan's hash."""
        piece_id, at = f"P{number}", self.clock.utc_now()
        sha256 = self.images.put(raw_scan(12, 8, seed=number if seed is None else seed), level)

        def work(uow: UnitOfWork) -> None:
            uow.announce(announcement(piece_id, secrecy=level), at)
            for state in states:
                uow.change_state(piece_id, state, at, lane_id="1", visit=1)
            uow.append(dataclasses.replace(scan(piece_id, sha256), at=at))

        self.store.write(work).result(10)
        return sha256

    def days_later(self, days: int) -> None:
        self.clock.forward(timedelta(days=days).total_seconds())

    def keys(self) -> list[str]:
        return [key.key_id[:-9] for key in self.images.existing_keys()]


@pytest.fixture
def site(tmp_path: Path):
    with opened(tmp_path / "data", group_commit=False) as store:
        yield Site(tmp_path, store)


async def rounds(site: Site, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """So many rounds of the keeper."""
    slept = 0

    async def sleep(_: float) -> None:
        nonlocal slept
        slept += 1
        if slept == number:
            raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(site.clock, "sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await site.keeper.run()


async def test_what_is_over_its_days_is_destroyed_and_recorded(site: Site):
    secret, plain, held = site.piece(1, RELEASED, Secrecy.A), site.piece(2, RELEASED), site.piece(3, HELD, Secrecy.A)
    site.days_later(1)
    await site.keeper.look()
    assert site.keys() == ["2026-11-20-A", "2026-11-20-unmarked"]
    site.days_later(1)
    await site.keeper.look()
    assert site.keys() == ["2026-11-20-unmarked", "2026-11-22-A"]
    with pytest.raises(ImageDestroyedError):
        site.images.scan(secret)
    assert same(site.images.scan(plain), raw_scan(12, 8, seed=2))
    assert same(site.images.scan(held), raw_scan(12, 8, seed=3))
    (fact,) = site.store.read(destructions)
    assert (fact.key_id[:-9], fact.level, fact.images, fact.visit) == ("2026-11-20-A", Secrecy.A, 1, 1)
    assert (fact.order.cause, fact.order.person, fact.order.policy_sha256) == (DestructionCause.RETENTION, "", POLICY.sha256)
    assert check_audit(site.store)
    # Decided for good: from then on its days count.
    site.store.write(lambda uow: uow.change_state("P3", PieceState.IN_REVIEW, site.clock.utc_now())).result()
    site.store.write(lambda uow: uow.change_state("P3", PieceState.REJECTED, site.clock.utc_now())).result()
    site.store.write(lambda uow: uow.change_state("P3", PieceState.RETURNED, site.clock.utc_now())).result()
    site.days_later(2)
    await site.keeper.look()
    with pytest.raises(ImageDestroyedError):
        site.images.scan(held)


async def test_a_late_announcement_moves_the_image_and_the_strictest_piece_counts(site: Site):
    sha256 = site.images.put(raw_scan(12, 8, seed=1), Secrecy.A)
    at = site.clock.utc_now()
    unknown = Piece(
        piece_id="P1",
        state=PieceState.ARRIVED,
        visit=1,
        state_since=at,
        announcement=Announcement(piece_id="P1"),
        announced=False,
        lane_id="1",
    )
    site.store.write(lambda uow: (uow.add_piece(unknown), uow.append(scan("P1", sha256)))).result()
    await site.keeper.look()
    assert level_of(site.images, sha256) is Secrecy.A
    site.store.write(lambda uow: uow.announce(announcement("P1", secrecy=Secrecy.C), at)).result()
    await site.keeper.look()
    assert level_of(site.images, sha256) is Secrecy.C
    assert site.piece(2, HELD, Secrecy.B, seed=1) == sha256
    assert site.piece(3, HELD, seed=1) == sha256
    await site.keeper.look()
    assert level_of(site.images, sha256) is Secrecy.B


async def test_one_damaged_image_keeps_no_other_past_its_time(site: Site):
    damaged, gone = site.piece(1, HELD, Secrecy.A), site.piece(2, RELEASED)
    cut(site.images._path(damaged, ".key"))
    for _ in range(3):
        site.days_later(2)
        with contextlib.suppress(StoreError):
            await site.keeper.look()
    with pytest.raises(ImageDestroyedError):
        site.images.scan(gone)
    # Somebody may still restore the file.
    assert site.keys() == ["2026-11-20-A"]
    with pytest.raises(StoreError):
        await site.keeper.look()


async def test_after_the_date_has_leapt_a_day_of_work_passes_before_anything_is_destroyed(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(image_keeper, "LEAP_WAIT_ROUNDS", 4)
    sha256 = site.piece(1, RELEASED, Secrecy.A)
    await site.keeper.look()
    site.days_later(3000)
    # Switched off every night, it comes to its end all the same; and somebody is told, for the date may be wrong.
    for _ in range(4):
        with pytest.raises(StoreError, match=r"leapt .* 1 image keys"):
            await site.new_keeper().look()
        assert same(site.images.scan(sha256), raw_scan(12, 8, seed=1))
    await site.new_keeper().look()
    with pytest.raises(ImageDestroyedError):
        site.images.scan(sha256)


async def test_images_of_days_to_come_are_told_of(site: Site):
    site.days_later(3000)
    site.piece(1, RELEASED, Secrecy.A)
    site.days_later(-2999)
    with pytest.raises(StoreError, match=r"days to come.*2035-02-06-A"):
        await site.keeper.look()


async def test_an_image_whose_level_is_as_it_was_is_left_alone(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.piece(1, HELD, Secrecy.A), site.piece(2, RELEASED)
    asked: list[str] = []
    real = site.images.relevel
    monkeypatch.setattr(site.images, "relevel", lambda sha256, level: asked.append(sha256) or real(sha256, level))
    await site.keeper.look()
    assert len(asked) == 2
    await site.keeper.look()
    assert len(asked) == 2


async def test_what_was_interrupted_is_finished_and_recorded_at_the_next_start_once(site: Site, monkeypatch: pytest.MonkeyPatch):
    sha256 = site.piece(1, RELEASED, Secrecy.A)
    site.days_later(2)

    def dies(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(image_keeper, "record", dies)
        with pytest.raises(SystemExit):
            await site.keeper.look()
    assert not site.store.read(destructions)
    for _ in range(2):
        await site.new_keeper().look()
    (fact,) = site.store.read(destructions)
    assert (fact.images, fact.order.cause) == (1, DestructionCause.RETENTION)
    with pytest.raises(ImageDestroyedError):
        site.images.scan(sha256)


async def test_what_cannot_be_destroyed_is_an_alarm_until_it_is(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.piece(1, RELEASED, Secrecy.A)
    site.days_later(2)

    def fails(*_: object) -> None:
        raise StoreError("the disk is broken")

    with monkeypatch.context() as patch:
        patch.setattr(FileImageStore, "destroy", fails)
        await rounds(site, monkeypatch, 2)
    (alarm,) = site.store.read(lambda view: view.alarms())
    assert (alarm.code, alarm.detail) == (AlarmCode.IMAGES_OVERDUE, "the disk is broken")
    await rounds(site, monkeypatch, 1)
    assert site.store.read(lambda view: view.alarms())[0].cleared_at is not None
    assert site.store.read(destructions)


async def test_all_that_is_wrong_at_once_is_told_and_each_logged_once(site: Site, monkeypatch: pytest.MonkeyPatch):
    damaged = [site.piece(number, HELD, level) for number, level in enumerate((Secrecy.A, Secrecy.A, Secrecy.B))]
    for sha256 in damaged:
        path = site.images._path(sha256, ".key")
        path.write_bytes(path.read_bytes()[:-1])
    gone = site.piece(4, RELEASED, Secrecy.C)
    site.days_later(4)

    def defect(*_: object) -> None:
        raise IndexError("a defect")

    monkeypatch.setattr(image_keeper, "_unrecorded", defect)
    with capture_logs() as log:
        await rounds(site, monkeypatch, 3)
    with pytest.raises(ImageDestroyedError):
        site.images.scan(gone)
    (alarm,) = site.store.read(lambda view: view.alarms())
    told = [line["error"] for line in log if line["event"].startswith("something in the image vault")]
    assert len(told) == len(set(told)) == 4
    assert all(one in alarm.detail for one in told)
    for one in (*damaged, "IndexError('a defect')"):
        assert any(one in line for line in told)


async def test_of_very_many_troubles_the_alarm_tells_some_and_how_many_more(site: Site):
    count = TOLD_AT_ONCE + 3
    for number in range(count):
        path = site.images._path(site.piece(number, HELD, Secrecy.A), ".key")
        path.write_bytes(path.read_bytes()[:-1])
    site.days_later(2)
    with capture_logs() as log, pytest.raises(StoreError, match=r"; 3 more$"):
        await site.keeper.look()
    assert len(log) == count


async def test_a_defect_in_telling_does_not_end_the_keeper(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.piece(1, RELEASED, Secrecy.A)
    await site.keeper.look()
    real, failing = site.store.write, True

    def write(work: object) -> object:
        if failing:
            raise IndexError("a defect")
        return real(work)

    monkeypatch.setattr(site.store, "write", write)
    with capture_logs() as log:
        await rounds(site, monkeypatch, 2)
    assert [line["code"] for line in log if line["event"].startswith("an alarm could not be written")] == [AlarmCode.IMAGES_OVERDUE] * 2
    failing = False
    site.days_later(2)
    await rounds(site, monkeypatch, 1)
    assert site.store.read(destructions)
