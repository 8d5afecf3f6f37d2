"""The way to the central tracking system, and what its receiver must keep."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from station.domain.errors import StationError
from station.ports.outbox import EventDigest, OutboxEvent


class ReceiverUnreachableError(StationError):
    """The receiver did not answer, or not in time; whether it took the event is unknown."""

    code = "receiver-unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The receiver's word that an event took effect. `signature` is base64 Ed25519 over the RFC 8785 form of the other members."""

    id: str
    subject: str
    sequence: int
    body_sha256: str
    receiver: str
    received_at: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the receiver answered to one attempt.

    `body` is its text as it came. `problem` is the RFC 9457 type of an error, `expected_sequence` comes with a sequence gap,
    `retry_after_s` with a refusal for load.
    """

    status: int
    body: str = ""
    problem: str | None = None
    expected_sequence: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered to one request; names of `headers` are in lower case."""

    status: int
    text: str
    headers: Mapping[str, str]


class Link(Protocol):
    """Requests to one server."""

    async def request(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Ask once; `path` follows the server's address. Raises `ReceiverUnreachableError`."""
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


class EventSender(Protocol):
    """One transport to one receiver."""

    async def send(self, event: OutboxEvent) -> Answer:
        """Make one attempt. Raises `ReceiverUnreachableError`."""
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DayStatement:
    """What the receiver says of a site's day: how many events took effect, and their Merkle root in hex."""

    events: int
    root: str


class Counterpart(Protocol):
    """The receiver's side of a reconciliation."""

    async def statement(self, day: date) -> DayStatement:
        """What it says of a day. Raises `ReceiverUnreachableError`, also when that is not proved to be its word."""
        ...

    async def events(self, day: date, *, said: int) -> list[EventDigest]:
        """All that it has of a day, in the order of the effects; not asked for more once there are more than the `said` ones.

        Raises:
            ReceiverUnreachableError: it does not answer, or not with a list of events.
        """
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessAnswer:
    """What a witness answered. `body` is its text as it came: signature lines with 200.

    `known_size` comes with a 409 of a witness that knows a checkpoint of another size than was said.
    """

    status: int
    body: str = ""
    known_size: int | None = None


class Witness(Protocol):
    """Somebody outside who signs the audit log's checkpoints as long as each continues the one before (C2SP tlog-witness)."""

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
        """Ask for a signature on a checkpoint that continues that of `old_size` leaves. Raises `ReceiverUnreachableError`."""
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedLog:
    """The newest checkpoint of a log that a receiver signed as its witness; `note` carries both signatures."""

    origin: str
    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingEvent:
    """An event as it reached the receiver, its signature already checked. `key` = (source, subject, sequence).

    `day` is that of its own time, in UTC.
    """

    event_id: str
    source: str
    subject: str
    sequence: int
    event_type: str
    day: date
    body: str
    body_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The event took effect now (`duplicate`: had taken effect before); `receipt` is its receipt as JSON text, always the same."""

    receipt: str
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events before this one are missing."""

    expected_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyDiffers:
    """The same id or place in the sequence came before with other content."""

    known_body_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect in the receiver's log. `number` rises by one with each."""

    number: int
    source: str
    subject: str
    sequence: int
    event_id: str
    event_type: str
    body: str
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverCounts:
    """What the receiver's own log of effects shows."""

    events: int
    receipted: int
    out_of_order: int
    gaps: int
    double_effects: int


class ReceiverLedger(Protocol):
    """The receiver's memory: ids and effects, kept in one transaction."""

    async def take(self, event: IncomingEvent, make_receipt: Callable[[datetime], str], now: datetime) -> Taken | Gap | BodyDiffers:
        """Let an event take effect once, in order; durable when this returns."""
        ...

    def counts(self, source: str | None = None) -> ReceiverCounts:
        """Counters computed from the log of effects, of one source or of all."""
        ...

    def effects(self, source: str, *, after: int, limit: int) -> list[Effect]:
        """Effects of a source with a number above `after`, in order."""
        ...

    def digests_of(self, source: str, day: date, *, after: int, limit: int) -> tuple[list[EventDigest], int]:
        """What took effect of a source's day, from effects with a number above `after`, in order; and the number of the last one."""
        ...

    def witnessed(self, origin: str) -> WitnessedLog | None:
        """The newest checkpoint of a log that was signed here."""
        ...

    async def witness(self, log: WitnessedLog, *, old_size: int) -> int | None:
        """Remember a checkpoint that continues that of `old_size` leaves (0: the first one); durable when this returns.

        Returns None, or, when the newest one is of another size, that size, and nothing is remembered.
        """
        ...
