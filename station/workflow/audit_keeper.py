"""Watches over the audit log while the station runs: checks what it gains, signs it, and has the signature witnessed.

Nothing of it is on the way of a piece: it works beside the lanes, and no lane waits for it. What it finds broken holds every piece until
a start at which the whole log holds; what it cannot look at or sign holds every piece until it can.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import structlog

from station.audit.checkpoint import LogKey, read_remembered
from station.audit.findings import Report
from station.audit.log_check import LogCheck
from station.audit.merkle import NodeAt, consistency_proof
from station.audit.note import WITNESS, MalformedNoteError, VerifierKey, signed_lines, split
from station.audit.reading import Progress, StoredNodes, check_log, take_sealed
from station.audit.seal import Seal, read_seal
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.ports.clock import Clock
from station.ports.store import ReadView, Store, StoredCheckpoint, UnitOfWork
from station.ports.tracking import Witness, WitnessAnswer
from station.workflow.keeper_alarm import KeeperAlarm
from station.workflow.witness_watch import WitnessWatch

_OK, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 403, 404, 409, 422
_REFUSALS = frozenset({_FORBIDDEN, _CONFLICT, _UNPROCESSABLE})
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSettings:
    """Seconds between checkpoints of a log that grows, between those that the witness is shown, and after one that it did not sign.

    A log that was not looked at and signed for more than `stale_s` is one of which nothing is known. After so many more
    leaves what was checked is sealed anew: a start after a crash has about `reseal_leaves` to check one by one. A witness that
    answers nothing for longer than `silent` is told to a person.
    """

    seal_s: float = 1.0
    witness_s: float = 10.0
    retry_s: float = 30.0
    stale_s: float = 30.0
    reseal_leaves: int = 5000
    silent: timedelta = timedelta(days=1)


class AuditKeeper:
    """The audit log's keeper.

    Args:
        store: the system of record.
        clock: station time.
        key: signs the checkpoints.
        keys: every key that is believed: the log's own, earlier ones, the witness's.
        site: what its alarms are about.
        witness: who signs besides the station; None: nobody does.
        remembered: the last checkpoint that `remember` was given, kept where nobody writes who has not the key; None: there is none yet.
        remember: keeps a checkpoint outside of the store. Raises `StoreError`.
        sealed: the last seal that `keep_seal` was given, kept where nobody writes who has not the key; None: there is none.
        keep_seal: keeps a seal outside of the store. Raises `StoreError`.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        key: LogKey,
        keys: tuple[VerifierKey, ...],
        site: str,
        witness: Witness | None = None,
        remembered: str | None = None,
        remember: Callable[[str], None] = lambda _note: None,
        sealed: str | None = None,
        keep_seal: Callable[[str], None] = lambda _seal: None,
        settings: KeeperSettings | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._key = key
        self._witness = witness
        self._witness_keys = tuple(one for one in keys if one.kind == WITNESS)
        self._site = site
        self._settings = settings or KeeperSettings()
        self._watch = WitnessWatch(store, clock, site, self._settings.silent)
        believed = (*keys, key.verifier())
        self._check = LogCheck(believed, None if remembered is None else read_remembered(remembered, believed))
        self._remember = remember
        self._seal = self._own_seal(sealed)
        self._keep_seal = keep_seal
        self._signed = 0
        self._witnessed = 0
        self._refused = False
        self._intact = False
        self._sealed_s = 0.0
        self._stalled = KeeperAlarm(
            store=store, clock=clock, code=AlarmCode.AUDIT_STALLED, priority=AlarmPriority.HIGH, subject=site, stands=True
        )
        self._unsaid = ""

    @property
    def intact(self) -> bool:
        """True while the log holds, as far as it was looked at, and that was not long ago. False before the first look."""
        return self._intact and not self._stale()

    async def start(self, progress: Progress = lambda _done, _all: None) -> Report:
        """Check the whole log and its checkpoints, alarm about what does not hold, and sign what does. Raises `StoreError`."""
        with ThreadPoolExecutor(1, "audit") as beside:
            # SQLite's own check takes half as long as the rest, and a core of its own.
            damage = beside.submit(self._store.audit_damage)
            self._store.read(lambda view: self._look_at_all(view, progress))
            self._check.file_damaged(damage.result())
        alarms = self._store.read(lambda view: view.alarms())
        self._refused = any(alarm.code is AlarmCode.WITNESS_REFUSED and alarm.cleared_at is None for alarm in alarms)
        if self._witness is None:
            # Nobody waits any more for a witness that is no longer configured.
            await self._watch.answered()
        report = self._check.report()
        self._signed, self._witnessed = report.signed, report.witnessed
        if not report.holds:
            await self._broken(report)
            return report
        await self._whole_again()
        await self._stalled.over()
        await self._sign()
        self._seal_anew(after=1)
        self._intact, self._sealed_s = True, self._clock.monotonic_s()
        return report

    async def end(self) -> None:
        """Seal for the last time, so that the next start has nothing to check one by one. Raises `StoreError` like `seal`."""
        await self.seal()
        if self._intact:
            self._seal_anew(after=1)

    async def seal(self) -> None:
        """Check what the log gained and sign it. Raises `StoreError`; what was not signed is signed next time."""
        if self._unsaid:
            await self._say_broken()
        if not self._intact:
            return
        self._store.read(lambda view: check_log(view, self._check, signed=False))
        report = self._check.report()
        if not report.holds:
            await self._broken(report)
            return
        await self._sign()
        self._seal_anew(after=self._settings.reseal_leaves)
        await self._stalled.over()
        self._sealed_s = self._clock.monotonic_s()

    async def run(self) -> None:
        """Seal, and have sealed what the witness has not seen, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._seal_forever())
                if self._witness is not None:
                    tasks.create_task(self._show_forever(self._witness))
        finally:
            if self._witness is not None:
                await self._witness.close()

    async def show(self, witness: Witness) -> bool:
        """Show the newest checkpoint to the witness, if it has not seen it. False when that did not lead to a signature."""
        if not self._intact:
            return False
        newest = self._store.read(lambda view: view.newest_checkpoint())
        if newest is None or newest.size <= self._witnessed:
            await self._watch.answered()
            return True
        answer = await self._ask(witness, newest)
        if answer.known_size is not None and answer.known_size <= newest.size:
            # It knows an earlier one than this station remembers, or a later one: go on from there.
            self._witnessed = answer.known_size
            answer = await self._ask(witness, newest)
        # One is enough, and nobody can fill the store with more than a note may carry.
        line = next(iter(signed_lines(split(newest.note).text, answer.body, self._witness_keys)), None) if answer.status == _OK else None
        if line is not None:
            await self._keep(newest.size, line)
            await self._watch.answered()
            return True
        if answer.status in _REFUSALS or answer.status == _OK:
            await self._refuse(newest.size, answer)
            await self._watch.answered()
        elif answer.status == _NOT_FOUND:
            _log.info("the audit log has no witness", status=answer.status, body=answer.body[:200])
            await self._watch.answered()
        else:
            _log.info("the audit log's witness does not say whether it signs", status=answer.status, body=answer.body[:200])
            await self._watch.silent()
        return False

    def nodes(self, view: ReadView, size: int) -> NodeAt:
        """The nodes of the tree of the first `size` leaves; may be asked in any thread. Raises `StoreError` unless the log holds so far."""
        if not self._intact or size > self._check.size:
            raise StoreError(
                "The audit log does not hold, or was not looked at so far",
                consequence="Nothing can be proved by it",
                remedy="Run `station audit verify`",
            )
        return StoredNodes(view, self._check.tree)

    def _look_at_all(self, view: ReadView, progress: Progress) -> None:
        if self._seal is not None and not take_sealed(view, self._check, self._seal, progress):
            _log.warning("the audit log is not as it was sealed: every leaf is checked", sealed=self._seal.size)
            self._seal = None
        check_log(view, self._check, progress=progress)

    def _own_seal(self, sealed: str | None) -> Seal | None:
        """A seal by the key that signs now; what is none only costs time."""
        if sealed is not None:
            with contextlib.suppress(MalformedNoteError):
                return read_seal(sealed, self._key.verifier())
            _log.warning("what lies in place of the audit log's seal is none by this station's key: every leaf is checked")
        return None

    def _seal_anew(self, *, after: int) -> None:
        """Keep a seal of what was checked when it has so many more leaves than the last one; without it the next start takes longer."""
        new = self._check.seal(self._key.origin)
        if new is None or new.size < (self._seal.size if self._seal is not None else 0) + after:
            return
        try:
            self._keep_seal(new.signed(self._key))
        except StoreError as error:
            _log.warning("the audit log's seal cannot be kept; the next start checks every leaf behind the last one", error=str(error))
        self._seal = new

    async def _seal_forever(self) -> None:
        while True:
            await self._clock.sleep(self._settings.seal_s)
            try:
                await self.seal()
            except Exception as error:  # noqa: BLE001 - a defect, too, must not look like a log that holds
                _log.warning("the audit log could not be looked at or signed; it will be", error=repr(error))
                if self._intact and self._stale() and not self._stalled.stands:
                    await self._stalled.call(str(error))

    async def _show_forever(self, witness: Witness) -> None:
        while True:
            try:
                shown = await self.show(witness)
            except Exception as error:  # noqa: BLE001 - whatever a witness answers, the log goes on being signed
                _log.info("the audit log's witness could not be asked", error=repr(error))
                await self._watch.silent()
                shown = False
            await self._clock.sleep(self._settings.witness_s if shown else self._settings.retry_s)

    async def _sign(self) -> None:
        """Sign exactly what was checked, once per size; never what the head alone says."""
        size = self._check.size
        if size <= self._signed:
            return
        note = self._key.checkpoint(size, self._check.tree.root())
        await self._store.write(lambda unit: unit.add_checkpoint(size, note))
        self._check.signed(size, note)
        # Only now: what is remembered must be in the store, or the next start would take it for cut off.
        self._remember(note)
        self._signed = size

    async def _broken(self, report: Report) -> None:
        self._intact = False
        first = report.findings[0]
        self._unsaid = f"{first.fault.value} {'' if first.leaf is None else first.leaf} {first.detail}".strip()
        _log.error("the audit log does not hold: every piece will be held", fault=first.fault.value, leaf=first.leaf, detail=first.detail)
        await self._say_broken()

    async def _say_broken(self) -> None:
        detail, now = self._unsaid, self._clock.utc_now()
        await self._store.write(lambda unit: unit.raise_alarm(AlarmCode.AUDIT_BROKEN, AlarmPriority.CRITICAL, self._site, detail, now))
        self._unsaid = ""

    def _stale(self) -> bool:
        return self._clock.monotonic_s() - self._sealed_s > self._settings.stale_s

    async def _whole_again(self) -> None:
        now = self._clock.utc_now()
        await self._store.write(lambda unit: unit.clear_alarm(AlarmCode.AUDIT_BROKEN, self._site, now))

    async def _ask(self, witness: Witness, checkpoint: StoredCheckpoint) -> WitnessAnswer:
        old = self._witnessed
        proof: tuple[bytes, ...] = ()
        if old:
            proof = self._store.read(lambda view: consistency_proof(old, checkpoint.size, StoredNodes(view, self._check.tree)))
        return await witness.add_checkpoint(old, proof, checkpoint.note)

    async def _keep(self, size: int, line: str) -> None:
        over, now = self._refused, self._clock.utc_now()

        def work(unit: UnitOfWork) -> None:
            unit.add_cosignature(size, line)
            if over:
                unit.clear_alarm(AlarmCode.WITNESS_REFUSED, self._site, now)

        await self._store.write(work)
        self._witnessed, self._refused = size, False

    async def _refuse(self, size: int, answer: WitnessAnswer) -> None:
        detail = f"{size}: {answer.status} {answer.body.strip()[:200]}"
        _log.error("the witness does not sign the audit log", size=size, status=answer.status, body=answer.body[:200])
        now = self._clock.utc_now()
        await self._store.write(lambda unit: unit.raise_alarm(AlarmCode.WITNESS_REFUSED, AlarmPriority.HIGH, self._site, detail, now))
        self._refused = True
