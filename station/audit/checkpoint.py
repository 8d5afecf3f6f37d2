"""Checkpoints: size and root of a log in three lines, signed as a note. Pure. Source: C2SP tlog-checkpoint v1.0.0."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit import note
from station.audit.note import LOG, WITNESS, MalformedNoteError, Verified, VerifierKey

ROOT_BYTES = 32
_LINES = 3
_ORIGIN = "urn:kt1:audit:"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says of itself: its name, how many leaves it has, and their RFC 6962 root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint with the signatures on it that hold."""

    checkpoint: Checkpoint
    signatures: tuple[Verified, ...]

    @property
    def by_log(self) -> bool:
        """True when a key of the log that it names signed it."""
        return any(one.key.kind == LOG and one.key.name == self.checkpoint.origin for one in self.signatures)

    @property
    def witnessed_at(self) -> int | None:
        """When a witness first signed it, in seconds since 1970; None when none did."""
        return min((one.time for one in self.signatures if one.key.kind == WITNESS and one.time is not None), default=None)


@dataclass(frozen=True, slots=True)
class LogKey:
    """The key that signs a log's checkpoints, under the log's name."""

    origin: str
    key: Ed25519PrivateKey

    def checkpoint(self, size: int, root: bytes) -> str:
        """The signed note of a checkpoint."""
        text = Checkpoint(origin=self.origin, size=size, root=root).text
        return note.join(text, [note.sign(text, self.origin, self.key)])

    def verifier(self) -> VerifierKey:
        """What others need to check it."""
        return VerifierKey(name=self.origin, kind=LOG, public=note.raw_public(self.key))


def origin_of(site: str) -> str:
    """The name of a site's audit log."""
    return f"{_ORIGIN}{site}"


def site_of(origin: str) -> str:
    """The site whose audit log has that name; empty when it is none of a site's."""
    return origin.removeprefix(_ORIGIN) if origin.startswith(_ORIGIN) else ""


def read_number(text: str) -> int:
    """A decimal number without leading zeroes, below 10^19. Raises `MalformedNoteError`."""
    if not _NUMBER.fullmatch(text):
        raise MalformedNoteError(f"{text[:20]!r} is no size")
    return int(text)


def read_hash(text: str) -> bytes:
    """A hash in base64, in its one canonical form. Raises `MalformedNoteError`."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != ROOT_BYTES or base64.b64encode(found).decode() != text:
        raise MalformedNoteError(f"{text[:60]!r} is no hash")
    return found


def read_checkpoint(text: str) -> Checkpoint:
    """Read a note's text; extension lines are passed over. Raises `MalformedNoteError`."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < _LINES or not all(lines):
        raise MalformedNoteError("origin, size and root are wanted, a line each")
    return Checkpoint(origin=lines[0], size=read_number(lines[1]), root=read_hash(lines[2]))


def open_checkpoint(signed: str, keys: Iterable[VerifierKey]) -> SignedCheckpoint:
    """Take a signed checkpoint apart and say who signed it; perhaps nobody who is known.

    Raises:
        MalformedNoteError: it is no checkpoint, or a signature of a known key does not hold.
    """
    parts = note.split(signed)
    return SignedCheckpoint(checkpoint=read_checkpoint(parts.text), signatures=note.verify(parts, keys))


def read_remembered(signed: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """A checkpoint that the log itself signed and that was kept outside. Raises `MalformedNoteError` when it is none."""
    opened = open_checkpoint(signed, keys)
    if not opened.by_log:
        raise MalformedNoteError(f"no signature of the log {opened.checkpoint.origin[:60]!r} by a known key")
    return opened.checkpoint
