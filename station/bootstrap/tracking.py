"""The way to the central tracking system, and the reference receiver."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from station.api.receiver import ReceiverIdentity, run_receiver
from station.bootstrap.audit import read_keys
from station.domain.errors import ConfigurationError
from station.ports.clock import Clock
from station.settings import Configuration
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.http import HttpSender
from station.tracking.relay import Relay, RelaySettings
from station.tracking.signatures import load_or_create_key, public_from_text, public_text
from station.tracking.verdict import ReceiptRule

RELAY_POLL_S = 0.2


async def open_relay(configuration: Configuration, store: SqliteStore, clock: Clock) -> Relay:
    """The outbox's way to the receiver; built in the loop that it will run in."""
    tracking = configuration.station.tracking
    configuration.signing_key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = load_or_create_key(configuration.signing_key_file)
    # For the receiver: a person copies it there.
    configuration.signing_key_file.with_suffix(".pub").write_text(public_text(key), encoding="ascii")
    receiver_key = None
    if tracking.receipts == "signed":
        try:
            receiver_key = public_from_text(configuration.receiver_key_file.read_text(encoding="ascii"))
        except OSError as error:
            raise ConfigurationError(
                f"The receiver's public key {configuration.receiver_key_file} cannot be read: {error.strerror}",
                consequence="Receipts could not be proved, so no event would ever count as delivered",
                remedy='Copy the receiver\'s key there, or set tracking.receipts = "none"',
            ) from error
    sender = HttpSender(tracking.receiver, utc_now=clock.utc_now, key=key, timeout_s=tracking.timeout_s)
    settings = RelaySettings(poll_s=RELAY_POLL_S)
    return Relay(store, sender, clock, random.SystemRandom(), ReceiptRule(receiver_key=receiver_key), settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverServer:
    """The reference receiver, ready to serve. `public_key` proves its receipts."""

    ledger: SqliteReceiverLedger
    identity: ReceiverIdentity
    public_key: str

    def run(self, host: str, port: int, utc_now: Callable[[], datetime], on_ready: Callable[[str, int], None]) -> None:
        """Serve in this thread until stopped by a signal."""
        run_receiver(self.ledger, self.identity, utc_now, host=host, port=port, on_ready=on_ready)


def open_receiver(directory: Path, station_keys: Sequence[Path], audit_keys: Sequence[Path] = ()) -> ReceiverServer:
    """Open the reference receiver's log and key. It is the witness of the audit logs whose public keys are given.

    Raises:
        ConfigurationError: no station key was given, or one cannot be read.
    """
    if not station_keys:
        raise ConfigurationError(
            "No station's public key was given", consequence="No event could be believed", remedy="Give --station-key FILE"
        )
    log_keys = tuple(one for path in audit_keys for one in read_keys(path))
    ledger = SqliteReceiverLedger(directory)
    key = load_or_create_key(directory / "receiver.key")
    try:
        believed = tuple(public_from_text(path.read_text(encoding="ascii")) for path in station_keys)
    except OSError as error:
        raise ConfigurationError(f"A station key cannot be read: {error}", remedy="Name the station's public key file") from error
    identity = ReceiverIdentity(name="reference", key=key, station_keys=believed, log_keys=log_keys)
    return ReceiverServer(ledger=ledger, identity=identity, public_key=public_text(key))
