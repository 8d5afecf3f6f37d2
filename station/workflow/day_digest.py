"""A day's events of a site in two figures, count and Merkle root, and what differs when those do. Pure.

Both sides reckon by the event's own time, in UTC, so that neither clock nor when it was delivered matters. The root is that of RFC 6962
section 2.1 over one leaf for each event, by piece and sequence: `kt1:event:v1`, NUL, then piece, sequence, the event's id and the SHA-256
of its body in hex, with LF between.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from station.audit.merkle import MemoryTree, leaf_hash
from station.ports.outbox import EventDigest

LEAF_DOMAIN = b"kt1:event:v1\0"


class Difference(StrEnum):
    """What differs about an event."""

    MISSING = "missing"
    """The station has a receipt, the receiver has no such event."""
    UNKNOWN = "unknown"
    """The receiver has an event that the station never wrote."""
    DIFFERS = "differs"
    """Both have it, with other bodies."""
    TWICE = "twice"
    """The receiver let it take effect more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, by piece and sequence."""

    difference: Difference
    piece_id: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """How a day stands. `waiting` events have no receipt yet and are not at the receiver: nothing contradicts them."""

    day: date
    ours: int
    theirs: int
    our_root: str
    their_root: str
    waiting: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def holds(self) -> bool:
        """True when nothing that one side has contradicts the other."""
        return not self.findings


def day_root(digests: Iterable[EventDigest]) -> str:
    """The root over a day's events, in hex."""
    ordered = sorted(digests, key=lambda one: (one.piece_id, one.sequence))
    return MemoryTree(leaf_hash(LEAF_DOMAIN + _content(one)) for one in ordered).root().hex()


def _content(one: EventDigest) -> bytes:
    return f"{one.piece_id}\n{one.sequence}\n{one.event_id}\n{one.body_sha256}".encode()


def compare(receipted: Iterable[EventDigest], written: Sequence[EventDigest], theirs: Sequence[EventDigest]) -> tuple[Finding, ...]:
    """Every difference.

    Args:
        receipted: what had its receipt before the receiver was asked.
        written: what was written when the receiver had answered.
        theirs: what the receiver has.
    """
    known = {_place(one): one for one in written}
    counts = Counter(map(_place, theirs))
    found = [_finding(Difference.MISSING, place) for one in receipted if (place := _place(one)) not in counts]
    found += [_finding(Difference.TWICE, place) for place, count in counts.items() if count > 1]
    for one in theirs:
        own = known.get(_place(one))
        if own is None:
            found.append(_finding(Difference.UNKNOWN, _place(one)))
        elif (own.event_id, own.body_sha256) != (one.event_id, one.body_sha256):
            found.append(_finding(Difference.DIFFERS, _place(one)))
    return tuple(sorted(set(found), key=lambda one: (one.piece_id, one.sequence, one.difference)))


def _place(one: EventDigest) -> tuple[str, int]:
    return one.piece_id, one.sequence


def _finding(difference: Difference, place: tuple[str, int]) -> Finding:
    return Finding(difference=difference, piece_id=place[0], sequence=place[1])
