"""The way to the central tracking system, and the reference receiver."""

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from station.api.receiver import run_receiver
from station.api.receiver_trust import ReceiverIdentity, TrustedStation
from station.bootstrap.audit import read_keys
from station.bootstrap.stores import DataInUseError, open_store, refuse_used_data
from station.clock import SystemClock
from station.domain.errors import ConfigurationError
from station.durable_file import write_durably
from station.ports.clock import Clock
from station.ports.store import Store
from station.ports.tracking import Counterpart, EventSender
from station.settings import SITE_PATTERN, Configuration
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteReader, SqliteStore
from station.tracking.epcis import EpcisSender
from station.tracking.http import HttpLink, HttpSender
from station.tracking.questions import Questions
from station.tracking.reconciliation import HttpCounterpart, source_of
from station.tracking.relay import Relay, RelaySettings
from station.tracking.replay import Replay, ReplayBox, replay
from station.tracking.signatures import Signing, load_or_create_key, public_text
from station.tracking.trust import TrustedKey, read_secret, read_token, read_trusted_keys
from station.tracking.verdict import ReceiptRule
from station.workflow.day_digest import DayReport
from station.workflow.reconciling import Reconciler, reconcile_day

RELAY_POLL_S = 0.2
ANSWER_S = 10.0


def signing_of(configuration: Configuration) -> Signing:
    """What the station signs its events with. Keys that are not there are made, each with its public half beside it, for the receiver.

    Raises:
        ConfigurationError: a key or secret cannot be used.
    """
    keys = []
    for path in (configuration.signing_key_file, *configuration.further_signing_key_files):
        key = load_or_create_key(path)
        _show_public(path.with_suffix(".pub"), public_text(key).encode())
        keys.append(key)
    return Signing(keys=tuple(keys), secrets=tuple(map(read_secret, configuration.secret_files)))


def _show_public(path: Path, content: bytes) -> None:
    try:
        # Not written anew each time: a start on a full disk must not empty it.
        if not path.is_file() or path.read_bytes() != content:
            write_durably({path: content}, mode=0o644)
    except OSError as error:
        raise ConfigurationError(
            f"The public key {path} cannot be written: {error.strerror}", remedy="Make room, and let the station's user write there"
        ) from error


def receiver_keys(configuration: Configuration) -> tuple[TrustedKey, ...] | None:
    """Whose receipts are believed; None where none are asked for. Raises `ConfigurationError` when there should be a key."""
    if configuration.station.tracking.receipts == "none":
        return None
    try:
        return read_trusted_keys(configuration.receiver_key_file)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"The receiver's public key is wanted: {error.what}",
            consequence="Receipts could not be proved, so no event would ever count as delivered",
            remedy='Copy the receiver\'s key there, or set tracking.receipts = "none"',
        ) from error


def replay_box(configuration: Configuration) -> ReplayBox:
    """Where replays for a running station are left."""
    return ReplayBox(configuration.data_dir / "replays")


async def open_relay(configuration: Configuration, store: SqliteStore, clock: Clock) -> Relay:
    """The outbox's way to the receiver; built in the loop that it will run in."""
    tracking = configuration.station.tracking
    rule = ReceiptRule(trusted=receiver_keys(configuration))
    link = HttpLink(tracking.receiver, timeout_s=tracking.timeout_s)
    sender: EventSender
    if tracking.transport == "epcis":
        sender = EpcisSender(link, token=read_token(configuration.token_file) if configuration.token_file is not None else None)
    else:
        sender = HttpSender(link, utc_now=clock.utc_now, signing=signing_of(configuration))
    settings, box = RelaySettings(poll_s=RELAY_POLL_S), replay_box(configuration)
    box.open()
    return Relay(store, sender, clock, random.SystemRandom(), rule, settings, box)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverServer:
    """The reference receiver, ready to serve. The first of `public_keys` proves its receipts, a second one will."""

    ledger: SqliteReceiverLedger
    identity: ReceiverIdentity
    public_keys: tuple[str, ...]

    def run(self, host: str, port: int, utc_now: Callable[[], datetime], on_ready: Callable[[str, int], None]) -> None:
        """Serve in this thread until stopped by a signal, then close. Raises `AddressError`."""
        try:
            run_receiver(self.ledger, self.identity, utc_now, host=host, port=port, on_ready=on_ready)
        finally:
            self.ledger.close()


def open_reconciler(configuration: Configuration, store: Store, clock: Clock) -> Reconciler | None:
    """What compares each day with the receiver; None where the receiver keeps no side of it."""
    counterpart = open_counterpart(configuration, clock.utc_now)
    return None if counterpart is None else Reconciler(store, counterpart, clock)


def open_counterpart(configuration: Configuration, utc_now: Callable[[], datetime]) -> Counterpart | None:
    """The receiver's side of a reconciliation; None where nothing could prove what it says, or a repository is the receiver."""
    tracking = configuration.station.tracking
    trusted = receiver_keys(configuration)
    if trusted is None or tracking.transport != "webhook":
        return None
    return HttpCounterpart(open_questions(configuration, utc_now), trusted)


def open_questions(configuration: Configuration, utc_now: Callable[[], datetime]) -> Questions:
    """What the site may ask of the reference receiver."""
    tracking = configuration.station.tracking
    link = HttpLink(tracking.receiver, timeout_s=tracking.timeout_s)
    source, signing = source_of(configuration.station.site), signing_of(configuration)
    return Questions(link=link, source=source, signing=signing, utc_now=utc_now)


async def reconcile(configuration: Configuration, day: date | None) -> DayReport:
    """Compare a day (None: yesterday) with the receiver, beside a running station.

    Raises:
        ConfigurationError: no receiver is configured that keeps its side.
        ReceiverUnreachableError: it does not answer, or not in a way that proves anything.
        StoreError: there is no database yet, or it cannot be read.
    """
    clock = SystemClock()
    counterpart = open_counterpart(configuration, clock.utc_now) if configuration.station.tracking.receiver else None
    if counterpart is None:
        raise ConfigurationError(
            "There is no receiver that keeps its side of a reconciliation",
            remedy='Configure tracking.receiver with transport = "webhook" and receipts = "signed"',
        )
    reader = SqliteReader(configuration.data_dir)
    try:
        return await reconcile_day(reader.read, counterpart, day or clock.utc_now().date() - timedelta(days=1))
    finally:
        reader.close()
        await counterpart.close()


def send_again(configuration: Configuration, wanted: Replay) -> int | None:
    """Replay: by the running station, or in its store while none runs. Returns how many events became due.

    None: a station has the store and did not answer in time; it does it when it can.

    Raises:
        ConfigurationError: no receiver is configured.
        StoreError: there is no database yet, or it cannot be used.
    """
    if not configuration.station.tracking.receiver:
        raise ConfigurationError("No receiver is configured: events are only kept", remedy="Set tracking.receiver")
    box, clock = replay_box(configuration), SystemClock()
    SqliteReader(configuration.data_dir).close()
    try:
        refuse_used_data(configuration.data_dir)
    except DataInUseError:
        return asyncio.run(_answered(box, box.put(wanted), clock))
    store = open_store(configuration)
    try:
        return asyncio.run(replay(store, wanted, clock.utc_now()))
    finally:
        store.close()


async def _answered(box: ReplayBox, name: str, clock: Clock) -> int | None:
    until_s = clock.monotonic_s() + ANSWER_S
    while (count := box.answer_to(name)) is None and clock.monotonic_s() < until_s:
        await clock.sleep(RELAY_POLL_S)
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverFiles:
    """What a receiver is given. Each of `station_keys` and `station_secrets` is `FILE`, or `SITE=FILE` to be believed for that site alone.

    `key` signs its receipts; a missing one is made, and so is `next_key`, which signs nothing yet: stations may learn it beforehand.
    """

    directory: Path
    name: str = "reference"
    station_keys: Sequence[str] = ()
    station_secrets: Sequence[str] = ()
    audit_keys: Sequence[Path] = ()
    key: Path | None = None
    next_key: Path | None = None


def open_receiver(files: ReceiverFiles) -> ReceiverServer:
    """Open the reference receiver's log and keys. It is the witness of the audit logs whose public keys are given.

    Raises:
        ConfigurationError: no station was given, or a key cannot be read.
    """
    if not files.station_keys and not files.station_secrets:
        raise ConfigurationError(
            "No station's public key was given", consequence="No event could be believed", remedy="Give --station-key FILE"
        )
    stations = [
        TrustedStation(source=source, keys=tuple(one.public for one in read_trusted_keys(path)))
        for source, path in map(_site_and_file, files.station_keys)
    ]
    stations += [TrustedStation(source=source, secrets=(read_secret(path),)) for source, path in map(_site_and_file, files.station_secrets)]
    log_keys = tuple(one for path in files.audit_keys for one in read_keys(path))
    ledger = SqliteReceiverLedger(files.directory)
    key = load_or_create_key(files.key or files.directory / "receiver.key")
    keys = [key] if files.next_key is None else [key, load_or_create_key(files.next_key)]
    identity = ReceiverIdentity(name=files.name, key=key, stations=tuple(stations), log_keys=log_keys)
    return ReceiverServer(ledger=ledger, identity=identity, public_keys=tuple(map(public_text, keys)))


def _site_and_file(text: str) -> tuple[str | None, Path]:
    site, is_named, path = text.partition("=")
    # The path of a file may have such a sign in it, too.
    return (source_of(site), Path(path)) if is_named and re.fullmatch(SITE_PATTERN, site) else (None, Path(text))
