"""Signed notes: text that one or more Ed25519 keys signed. Pure.

Sources: C2SP signed-note v1.0.0 (format, key ids, type 0x01); C2SP tlog-cosignature (type 0x04, the timestamped signature of a witness).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from station.domain.errors import ConfigurationError

LOG, WITNESS = 0x01, 0x04
"""Signature types: of the log itself, and of a witness, who says when."""

_DASH = "\u2014 "
_ID_BYTES = 4
_TIME_BYTES = 8
_KEY_BYTES = 32
_LARGEST_TIME = 2**63 - 1
_MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class MalformedNoteError(ValueError):
    """The text is no signed note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key that is believed, under a name, for one type of signature (`LOG` or `WITNESS`).

    A witness's name may be empty: it then signs under whatever name it gives itself, because its signature does not cover the name.
    """

    name: str
    kind: int
    public: bytes

    def key_id(self, name: str | None = None) -> bytes:
        """The four bytes that its signatures begin with."""
        under = self.name if name is None else name
        return hashlib.sha256(under.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id().hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line as it stands; `raw` follows the key id."""

    name: str
    key_id: bytes
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note that was taken apart; nothing of it is believed yet. `text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A signature that holds. `time` is when a witness says that it signed, in seconds since 1970; None of a log's own."""

    key: VerifierKey
    name: str
    time: int | None


def raw_public(key: Ed25519PrivateKey | Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def read_verifier_key(text: str) -> VerifierKey:
    """Read `<name>+<key id>+<base64 of type and key>`. Raises `ConfigurationError`."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
        given_id = bytes.fromhex(key_id)
    except ValueError:
        material, given_id = b"", b""
    if _NAME.fullmatch(name) and len(material) == _KEY_BYTES + 1 and material[0] in {LOG, WITNESS}:
        key = VerifierKey(name=name, kind=material[0], public=material[1:])
        if key.key_id() == given_id:
            return key
    raise ConfigurationError(
        f"{text.strip()[:60]!r} is no key of an audit log",
        consequence="Nothing that it signed can be believed",
        remedy="Give <name>+<key id>+<base64> as the station or the receiver wrote it",
    )


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The signature line of the log's own key under a note's text."""
    own = VerifierKey(name=name, kind=LOG, public=raw_public(key))
    return _line(name, own.key_id() + key.sign(text.encode()))


def cosign(text: str, name: str, key: Ed25519PrivateKey, time: int) -> str:
    """The signature line of a witness, signed at `time` (seconds since 1970)."""
    own = VerifierKey(name=name, kind=WITNESS, public=raw_public(key))
    return _line(name, own.key_id() + time.to_bytes(_TIME_BYTES, "big") + key.sign(_witnessed(text, time)))


def join(text: str, lines: Iterable[str]) -> str:
    """The note of a text and its signature lines."""
    return f"{text}\n{''.join(lines)}"


def split(note: str) -> Note:
    """Take a note apart. Raises `MalformedNoteError`."""
    text, found, rest = note.rpartition("\n\n")
    if not found or not rest.endswith("\n") or _CONTROL.search(note):
        raise MalformedNoteError("a text, an empty line and signature lines are wanted")
    return Note(text=text + "\n", signatures=read_signatures(rest))


def read_signatures(lines: str) -> tuple[Signature, ...]:
    """Read signature lines. Raises `MalformedNoteError`."""
    one_by_one = lines.removesuffix("\n").split("\n")
    if len(one_by_one) > _MOST_SIGNATURES:
        raise MalformedNoteError(f"more than {_MOST_SIGNATURES} signatures")
    return tuple(map(_signature, one_by_one))


def verify(note: Note, keys: Iterable[VerifierKey]) -> tuple[Verified, ...]:
    """The signatures of known keys, in the note's order.

    Raises:
        MalformedNoteError: a signature of a known key does not hold; then nothing of the note is to be believed.
    """
    believed = tuple(keys)
    return tuple(
        _verified(note.text, signature, key)
        for signature in note.signatures
        for key in believed
        if (key.name == signature.name or (not key.name and key.kind == WITNESS)) and key.key_id(signature.name) == signature.key_id
    )


def signed_lines(text: str, lines: str, keys: Iterable[VerifierKey]) -> list[str]:
    """Those of some lines (of the first 64) that are signatures of known keys on a text; whatever else stands there is passed over."""
    believed = tuple(keys)

    def holds(line: str) -> bool:
        try:
            return bool(verify(split(join(text, [line])), believed))
        except MalformedNoteError:
            return False

    return [line for line in lines.splitlines(keepends=True)[:_MOST_SIGNATURES] if holds(line)]


def _verified(text: str, signature: Signature, key: VerifierKey) -> Verified:
    time, signed, message = None, signature.raw, text.encode()
    if key.kind == WITNESS:
        time, signed = int.from_bytes(signed[:_TIME_BYTES], "big"), signed[_TIME_BYTES:]
        message = _witnessed(text, time)
        if time > _LARGEST_TIME:
            raise MalformedNoteError(f"the time of {signature.name[:40]!r} is not possible")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signed, message)
    except (InvalidSignature, ValueError) as error:
        raise MalformedNoteError(f"the signature of {signature.name[:40]!r} does not hold") from error
    return Verified(key=key, name=signature.name, time=time)


def _witnessed(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _line(name: str, content: bytes) -> str:
    return f"{_DASH}{name} {base64.b64encode(content).decode()}\n"


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    # One text for one signature: base64 whose unused bits are set would be a second one.
    canonical = base64.b64encode(content).decode() == encoded
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or len(content) <= _ID_BYTES or not canonical:
        raise MalformedNoteError(f"{line[:40]!r} is no signature line")
    return Signature(name=name, key_id=content[:_ID_BYTES], raw=content[_ID_BYTES:])
