"""Keeps the image vault to the policy while the station runs: each image under the key of its level, and no key past its time.

Nothing of it is on the way of a piece. Images of pieces that are not done with stay, however old: they are moved to a later key before
theirs is destroyed.
"""

import contextlib
from collections.abc import Awaitable
from datetime import datetime, timedelta
from functools import partial

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError, StoreError
from station.domain.piece import PieceState
from station.domain.policy import Policy
from station.domain.vault import (
    VAULT_SUBJECT,
    DestructionCause,
    DestructionOrder,
    ImageKey,
    ImagesDestroyed,
    due,
    level_name,
    needs_images,
    strictest,
)
from station.ports.clock import Clock
from station.ports.store import ReadView, ScanOwner, Store, UnitOfWork
from station.ports.vault import ImageVault, Shredded
from station.workflow.equipment import RunBlocking

ROUND_S = 60.0
LOOKED_AT = "images.looked-at"
LEAP = timedelta(days=2)
"""More than this between two rounds means that the clock was set, or that the station was off; which of them it does not know."""
LEAP_WAIT_S = 86_400.0
LOOK_BACK = timedelta(days=2)
"""Pieces that got their outcome since then are looked at too: their level may have changed just before."""

UNDECIDED = frozenset(state for state in PieceState if needs_images(state))
_log = structlog.get_logger()


def destructions(view: ReadView) -> list[ImagesDestroyed]:
    """Every destruction record, the oldest first."""
    return [row.evidence for row in view.evidence(VAULT_SUBJECT) if isinstance(row.evidence, ImagesDestroyed)]


def needed_images(view: ReadView) -> frozenset[str]:
    """The scans of every visit of the pieces that are not done with."""
    return frozenset(owner.sha256 for owner in view.scans(states=UNDECIDED))


def record(uow: UnitOfWork, key: ImageKey, done: Shredded, at: datetime) -> ImagesDestroyed:
    """Append the record of a destruction, once for each key."""
    for known in destructions(uow):
        if known.key_id == key.key_id:
            return known
    fact = ImagesDestroyed(
        piece_id=VAULT_SUBJECT,
        visit=uow.next_number("images.destroyed"),
        at=at,
        key_id=key.key_id,
        level=key.level,
        images=done.images,
        roll_sha256=done.roll_sha256,
        order=done.order,
    )
    uow.append(fact)
    return fact


class ImageKeeper:
    """The vault's keeper.

    Args:
        store: the system of record; tells the pieces' states and levels, and takes the records.
        images: the vault.
        clock: station time.
        policy: says for how long images are kept.
        site: what its alarms are about.
        run_blocking: runs the vault's blocking work.
    """

    def __init__(self, *, store: Store, images: ImageVault, clock: Clock, policy: Policy, site: str, run_blocking: RunBlocking) -> None:
        self._store = store
        self._images = images
        self._clock = clock
        self._policy = policy
        self._site = site
        self._run = run_blocking
        # What an earlier run said is taken back with the first round that goes well.
        self._overdue = True
        self._waits_until_s: float | None = None

    async def run(self) -> None:
        """Do what is due every minute, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a defect, too, must not end it in silence
                _log.warning("the image vault is not as the policy wants it; it is tried again", error=repr(error))
                await self._say_overdue(str(error))
            else:
                await self._say_well()
            await self._clock.sleep(ROUND_S)

    async def look(self) -> None:
        """Finish what was interrupted, bring every image under the key of its level, destroy the keys whose time is over.

        Raises:
            StoreError: the first thing that failed; everything else was done all the same.
        """
        troubles: list[StoreError] = []
        recorded = {one.key_id for one in self._store.read(destructions)}
        for key in await self._run(self._images.begun):
            if key.key_id not in recorded:
                await self._try(troubles, self._finish(key))
        for sha256 in sorted({one.sha256 for one in self._store.read(self._recent)}):
            await self._try(troubles, self._relevel(sha256))
        if await self._clock_is_believed():
            for key in due(await self._run(self._images.existing_keys), self._policy.retention, self._clock.utc_now().date()):
                await self._try(troubles, self._destroy(key))
        if troubles:
            raise troubles[0]

    async def _try(self, troubles: list[StoreError], step: Awaitable[None]) -> None:
        # One damaged image must not keep all others past their time.
        try:
            await step
        except StoreError as error:
            troubles.append(error)

    async def _finish(self, key: ImageKey) -> None:
        await self._record(key, await self._run(partial(self._images.finish, key)))

    async def _destroy(self, key: ImageKey) -> None:
        # Asked for each key anew: it takes a while to destroy one.
        needed = self._store.read(needed_images)
        order = DestructionOrder(cause=DestructionCause.RETENTION, person="", note="", policy_sha256=self._policy.sha256)
        done = await self._run(partial(self._images.destroy, key, needed, order))
        await self._record(key, done)
        _log.info("images were destroyed with their key", key=key.key_id, images=done.images, kept=done.kept)

    async def _clock_is_believed(self) -> bool:
        """False for a day of work after the date has leapt: a wrong clock must not destroy what nothing brings back."""
        now = self._clock.utc_now()
        before = self._store.read(lambda view: view.value(LOOKED_AT))
        if before is not None and now - datetime.fromisoformat(before) > LEAP:
            if self._waits_until_s is None:
                self._waits_until_s = self._clock.monotonic_s() + LEAP_WAIT_S
                _log.warning("the date has leapt, or the station was off; no image is destroyed for a day", before=before)
            if self._clock.monotonic_s() < self._waits_until_s:
                return False
        self._waits_until_s = None
        # Not while it waits: a restart must not cut that short.
        await self._store.write(lambda uow: uow.set_value(LOOKED_AT, now.isoformat()))
        return True

    async def _relevel(self, sha256: str) -> None:
        """Late announcements: an image follows the level of its pieces, the strictest if they differ."""
        level = strictest(owner.level for owner in self._store.read(partial(_owners, sha256)))
        # An image that is gone, or was never stored, has no level.
        with contextlib.suppress(NotFoundError):
            if await self._run(partial(self._images.relevel, sha256, level)):
                _log.info("an image was moved to the key of another level", level=level_name(level))

    def _recent(self, view: ReadView) -> list[ScanOwner]:
        return view.scans(states=UNDECIDED, since=self._clock.utc_now() - LOOK_BACK)

    async def _record(self, key: ImageKey, done: Shredded) -> None:
        at = self._clock.utc_now()
        await self._store.write(lambda uow: record(uow, key, done, at))

    async def _say_overdue(self, detail: str) -> None:
        now = self._clock.utc_now()
        with contextlib.suppress(StoreError):
            await self._store.write(lambda uow: uow.raise_alarm(AlarmCode.IMAGES_OVERDUE, AlarmPriority.MEDIUM, self._site, detail, now))
            self._overdue = True

    async def _say_well(self) -> None:
        if self._overdue:
            now = self._clock.utc_now()
            with contextlib.suppress(StoreError):
                await self._store.write(lambda uow: uow.clear_alarm(AlarmCode.IMAGES_OVERDUE, self._site, now))
                self._overdue = False


def _owners(sha256: str, view: ReadView) -> list[ScanOwner]:
    return view.owners(sha256)
