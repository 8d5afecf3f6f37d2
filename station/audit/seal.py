"""What a check of the audit log that found nothing leaves behind, signed: the next one needs only read that every row is as it was. Pure.

A seal says: the rows of the first `size` facts, written as `AuditFact.row` has them, have this SHA-256; their leaves have this root; and
the checkpoints of up to `size` leaves have that SHA-256. Whoever changes a byte of any of them changes a hash, exactly as in the tree;
only that each leaf commits to its fact in parts need not be reckoned again.
"""

import base64
from dataclasses import dataclass
from typing import Protocol

from station.audit import note
from station.audit.checkpoint import LogKey, read_hash, read_number
from station.audit.merkle import MemoryTree
from station.audit.note import MalformedNoteError, VerifierKey

TYPE = "kt1:audit-seal:v1"
"""A check that looks at more must seal under another name: what was not looked at is not sealed."""
_LINES = 6


class Hash(Protocol):
    """A hash that goes on."""

    def update(self, content: bytes, /) -> None:
        """Take in more."""
        ...

    def digest(self) -> bytes:
        """The hash of what was taken in so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The log `origin` holds in its first `size` leaves, which have the RFC 6962 root `root`."""

    origin: str
    size: int
    root: bytes
    rows: bytes
    notes: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        hashes = "\n".join(base64.b64encode(one).decode() for one in (self.root, self.rows, self.notes))
        return f"{TYPE}\n{self.origin}\n{self.size}\n{hashes}\n"

    def signed(self, key: LogKey) -> str:
        """The signed note, by the log's own key."""
        return note.join(self.text, [note.sign(self.text, key.origin, key.key)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """What was read again and is as the seal says: the tree, the hashes as far as they go, and what was found of checkpoints."""

    seal: Seal
    tree: MemoryTree
    rows: Hash
    notes: Hash
    checkpoints: int
    witnessed: int


def read_seal(signed: str, key: VerifierKey) -> Seal:
    """A seal by this very key, of the log under its name. Raises `MalformedNoteError` when it is none."""
    parts = note.split(signed)
    if not note.verify(parts, (key,)):
        raise MalformedNoteError("no signature of the station's own key")
    lines = parts.text.removesuffix("\n").split("\n")
    if len(lines) != _LINES or lines[0] != TYPE or lines[1] != key.name:
        raise MalformedNoteError("not a seal of this log")
    root, rows, notes = map(read_hash, lines[3:])
    return Seal(origin=lines[1], size=read_number(lines[2]), root=root, rows=rows, notes=notes)


def written_note(size: int, signed: str) -> bytes:
    """A stored checkpoint as it goes into a seal's `notes`."""
    return repr((size, signed)).encode()
