"""Keeps the image vault to the policy while the station runs: each image under the key of its level, and no key past its time.

Nothing of it is on the way of a piece. Images of pieces that are not done with stay, however old: they are moved to a later key before
theirs is destroyed.
"""

import contextlib
from collections.abc import Awaitable, Collection, Iterable
from datetime import date, datetime, timedelta
from functools import partial

import structlog

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import NotFoundError, SeveralFailuresError, StationError, StoreError
from station.domain.piece import PieceState, Secrecy
from station.domain.policy import Policy
from station.domain.vault import (
    VAULT_SUBJECT,
    DestructionCause,
    DestructionOrder,
    ImageKey,
    ImagesDestroyed,
    ahead,
    due,
    level_name,
    needs_images,
    strictest,
)
from station.ports.clock import Clock
from station.ports.store import ReadView, ScanOwner, Store, UnitOfWork
from station.ports.vault import ImageVault, Shredded
from station.workflow.equipment import RunBlocking
from station.workflow.keeper_alarm import KeeperAlarm

ROUND_S = 60.0
LOOKED_AT = "images.looked-at"
ROUNDS_TO_WAIT = "images.rounds-to-wait"
RECORDED = "images.recorded."
LEAP = timedelta(days=2)
"""More than this between two rounds means that the clock was set, or that the station was off; which of them it does not know."""
LEAP_WAIT_ROUNDS = 1440
"""A day of work, whether it is one without a break or three shifts."""
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
    # Marked by name: the writer has no time to read the records of years.
    if uow.value(f"{RECORDED}{key.key_id}") is not None:
        return next(known for known in destructions(uow) if known.key_id == key.key_id)
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
    uow.set_value(f"{RECORDED}{key.key_id}", str(fact.visit))
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
        self._run = run_blocking
        self._overdue = KeeperAlarm(
            store=store, clock=clock, code=AlarmCode.IMAGES_OVERDUE, priority=AlarmPriority.MEDIUM, subject=site, stands=True
        )
        # What need not be asked again: most of it is as it was a minute ago.
        self._recorded: frozenset[ImageKey] = frozenset()
        self._followed: frozenset[tuple[str, Secrecy | None]] = frozenset()
        # What the log has already: most troubles are the same a minute later.
        self._logged: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Do what is due every minute, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a defect, too, must not end it in silence
                _log.warning("the image vault is not as the policy wants it; it is tried again", error=repr(error))
                await self._overdue.call(str(error) or repr(error))
            else:
                await self._overdue.over()
            await self._clock.sleep(ROUND_S)

    async def look(self) -> None:
        """Finish what was interrupted, bring every image under the key of its level, destroy the keys whose time is over.

        Raises:
            StoreError: everything that failed; the rest was done all the same.
        """
        troubles: list[Exception] = []
        for step in (self._finish_begun, self._follow_levels, self._destroy_due):
            await self._try(troubles, step(troubles))
        told = frozenset(words for trouble in troubles for words in _words(trouble))
        for one in sorted(told - self._logged):
            _log.warning("something in the image vault is not as the policy wants it", error=one)
        self._logged = told
        if troubles:
            raise SeveralFailuresError(words for trouble in troubles for words in _words(trouble))

    async def _finish_begun(self, troubles: list[Exception]) -> None:
        begun = frozenset(await self._run(self._images.begun))
        missing = await self._run(partial(self._store.read, partial(_unrecorded, begun - self._recorded)))
        for key in sorted(missing, key=lambda key: key.key_id):
            await self._try(troubles, self._finish(key))
        self._recorded = begun - missing

    async def _follow_levels(self, troubles: list[Exception]) -> None:
        owners = await self._run(partial(self._store.read, self._recent))
        there = frozenset((owner.sha256, owner.level) for owner in owners)
        new = {sha256 for sha256, _ in there - self._followed}
        failed = {sha256 for sha256 in sorted(new) if not await self._try(troubles, self._relevel(sha256))}
        self._followed = frozenset(one for one in there if one[0] not in failed)

    async def _destroy_due(self, troubles: list[Exception]) -> None:
        believed, today = await self._clock_is_believed(), self._clock.utc_now().date()
        keys = await self._run(self._images.existing_keys)
        over = due(keys, self._policy.retention, today)
        if believed:
            for key in over:
                await self._try(troubles, self._destroy(key))
        elif over:
            troubles.append(_leapt(today, len(over)))
        early = ahead(keys, today)
        if early:
            troubles.append(_of_days_to_come(early, today))

    async def _try(self, troubles: list[Exception], step: Awaitable[None]) -> bool:
        # One damaged image, or a defect, must not keep all others past their time, nor hide what is told of them.
        try:
            await step
        except Exception as error:  # noqa: BLE001 - as said, a defect too
            if not isinstance(error, StoreError):
                _log.exception("a defect met the image vault's keeper")
            troubles.append(error)
            return False
        return True

    async def _finish(self, key: ImageKey) -> None:
        await self._record(key, await self._run(partial(self._images.finish, key)))

    async def _destroy(self, key: ImageKey) -> None:
        # Asked for each key anew: it takes a while to destroy one.
        needed = await self._run(partial(self._store.read, needed_images))
        order = DestructionOrder(cause=DestructionCause.RETENTION, person="", note="", policy_sha256=self._policy.sha256)
        done = await self._run(partial(self._images.destroy, key, needed, order))
        await self._record(key, done)
        _log.info("images were destroyed with their key", key=key.key_id, images=done.images, kept=done.kept)

    async def _clock_is_believed(self) -> bool:
        """False for a day of work after the date has leapt: a wrong clock must not destroy what nothing brings back."""
        now = self._clock.utc_now()
        before, left = self._store.read(lambda view: (view.value(LOOKED_AT), int(view.value(ROUNDS_TO_WAIT) or 0)))
        leapt = before is not None and now - datetime.fromisoformat(before) > LEAP
        # Counted in the store: a restart neither cuts the wait short nor begins it anew.
        wait = LEAP_WAIT_ROUNDS if leapt else max(0, left - 1)

        def keep(uow: UnitOfWork) -> None:
            uow.set_value(LOOKED_AT, now.isoformat())
            uow.set_value(ROUNDS_TO_WAIT, str(wait))

        await self._store.write(keep)
        return wait == 0

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


def _words(error: Exception) -> tuple[str, ...]:
    if isinstance(error, SeveralFailuresError):
        return error.each
    return (str(error) if isinstance(error, StationError) else repr(error),)


def _owners(sha256: str, view: ReadView) -> list[ScanOwner]:
    return view.owners(sha256)


def _unrecorded(keys: Collection[ImageKey], view: ReadView) -> frozenset[ImageKey]:
    return frozenset(key for key in keys if view.value(f"{RECORDED}{key.key_id}") is None)


def _leapt(today: date, over: int) -> StoreError:
    return StoreError(
        f"The date leapt by more than two days, to {today.isoformat()}, or the station was off; {over} image keys are past their time",
        consequence="Their images are destroyed after a day of work",
        remedy="If the date is wrong, set the clock before that",
    )


def _of_days_to_come(keys: Iterable[ImageKey], today: date) -> StoreError:
    return StoreError(
        f"There are image keys of days to come, and today is {today.isoformat()}: {', '.join(key.key_id for key in keys)}",
        consequence="The date is wrong now, or was when their images were put: these are kept for too long",
        remedy="Set the clock, or destroy them when their time is over: `station vault destroy`",
    )
