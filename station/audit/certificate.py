"""A clearance certificate: the facts of one released piece, shown in parts, each with its proof that it stands in a signed log. Pure.

One certificate has one form as a file: RFC 8785 JSON and a newline. Reading accepts nothing else, and no member that it does not know.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from station.audit import note
from station.audit.checkpoint import ROOT_BYTES, LogKey
from station.audit.note import LOG, MalformedNoteError, VerifierKey
from station.domain.canonical import canonical
from station.domain.commitment import SALT_BYTES, SPLITS, Part, parted_commitment

TYPE = "kt1:certificate:v1"
UNMARKED, MARKED = "unmarked", "marked"
RELEASED = "released"

MOST_BYTES = 1 << 20
_MOST_FACTS = 64
_MOST_LEVELS = 64
_SAFE_INTEGER = 2**53 - 1
_MEMBERS = frozenset({"checkpoint", "facts", "form", "id", "outcome", "piece_id", "signature", "type", "visit"})
_OF_A_FACT = frozenset({"at", "closed", "guarded", "kind", "leaf", "open", "piece_id", "proof", "visit"})
_HASH = re.compile(f"[0-9a-f]{{{2 * ROOT_BYTES}}}")
_SALT = re.compile(f"[0-9a-f]{{{2 * SALT_BYTES}}}")


class MalformedCertificateError(ValueError):
    """The file is no certificate, or is written another way than the one in which certificates are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFact:
    """An audited fact as a certificate shows it: its open members, its guarded ones or their digest, the digest of the closed ones.

    `proof` is the RFC 6962 audit path of its leaf, from the leaf upwards.
    """

    leaf: int
    kind: str
    at: str
    piece_id: str
    visit: int
    open: Mapping[str, Any]
    guarded: Part | str
    closed: str
    proof: tuple[bytes, ...]

    @property
    def commitment(self) -> bytes:
        """The entry of its leaf, from what is shown."""
        guarded = self.guarded if isinstance(self.guarded, str) else self.guarded.digest
        row = {"at": self.at, "kind": self.kind, "piece_id": self.piece_id, "visit": self.visit}
        return parted_commitment({**row, "open": self.open, "guarded": guarded, "closed": self.closed})

    @property
    def told(self) -> Mapping[str, Any] | None:
        """The guarded members; None where they are kept back."""
        return None if isinstance(self.guarded, str) else self.guarded.members


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What stands in the file. `checkpoint` is a signed note, `signature` the line of the log's key under all other members."""

    checkpoint: str
    facts: tuple[ShownFact, ...]
    form: str
    certificate_id: str
    outcome: str
    piece_id: str
    visit: int
    signature: str = ""

    @property
    def signed_text(self) -> str:
        """What is signed: no checkpoint's text begins with this line."""
        members = _members(self)
        del members["signature"]
        return f"{TYPE}\n{canonical(members)}\n"

    @property
    def content(self) -> bytes:
        """The file."""
        return f"{canonical(_members(self))}\n".encode()

    def signed_by(self, keys: Iterable[VerifierKey], origin: str) -> bool:
        """True when a key of the log with this name signed it."""
        believed = [key for key in keys if key.kind == LOG and key.name == origin]
        try:
            parts = note.split(note.join(self.signed_text, [f"{self.signature}\n"]))
            return len(parts.signatures) == 1 and bool(note.verify(parts, believed))
        except MalformedNoteError:
            return False


def signature_of(certificate: Certificate, key: LogKey) -> str:
    """The line by which the log's key signs a certificate."""
    return note.sign(certificate.signed_text, key.origin, key.key).removesuffix("\n")


def _members(certificate: Certificate) -> dict[str, Any]:
    return {
        "type": TYPE,
        "id": certificate.certificate_id,
        "piece_id": certificate.piece_id,
        "visit": certificate.visit,
        "form": certificate.form,
        "outcome": certificate.outcome,
        "facts": [_shown(fact) for fact in certificate.facts],
        "checkpoint": certificate.checkpoint,
        "signature": certificate.signature,
    }


def _shown(fact: ShownFact) -> dict[str, Any]:
    guarded = fact.guarded if isinstance(fact.guarded, str) else {"salt": fact.guarded.salt.hex(), "members": fact.guarded.members}
    return {
        "leaf": fact.leaf,
        "kind": fact.kind,
        "at": fact.at,
        "piece_id": fact.piece_id,
        "visit": fact.visit,
        "open": fact.open,
        "guarded": guarded,
        "closed": fact.closed,
        "proof": [each.hex() for each in fact.proof],
    }


def read_certificate(content: bytes) -> Certificate:
    """Read a file, strictly; nothing of it is believed yet. Raises `MalformedCertificateError`."""
    if len(content) > MOST_BYTES:
        raise MalformedCertificateError(f"more than {MOST_BYTES >> 10} KiB")
    try:
        members = json.loads(content, parse_float=_refuse, parse_constant=_refuse)
        if f"{canonical(members)}\n".encode() != content:
            raise MalformedCertificateError("it is not written in its one form: RFC 8785 JSON and a newline")
        return _certificate(members)
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedCertificateError(str(error)) from error


def _refuse(text: str) -> NoReturn:
    raise MalformedCertificateError(f"{text[:20]!r} is no whole number")


def _certificate(members: Any) -> Certificate:
    _exactly(members, _MEMBERS, "the certificate")
    if members["type"] != TYPE:
        raise MalformedCertificateError(f"its type is not {TYPE}")
    if members["form"] not in {UNMARKED, MARKED}:
        raise MalformedCertificateError("its form is none that there is")
    facts = _list(members["facts"], _MOST_FACTS, "facts")
    return Certificate(
        checkpoint=_text(members["checkpoint"]),
        facts=tuple(_fact(fact, marked=members["form"] == MARKED) for fact in facts),
        form=members["form"],
        certificate_id=_text(members["id"]),
        outcome=_text(members["outcome"]),
        piece_id=_text(members["piece_id"]),
        visit=_number(members["visit"]),
        signature=_text(members["signature"]),
    )


def _fact(members: Any, *, marked: bool) -> ShownFact:
    _exactly(members, _OF_A_FACT, "a fact")
    kind = _text(members["kind"])
    split = SPLITS.get(kind)
    if split is None:
        raise MalformedCertificateError(f"{kind[:40]!r} is no kind of fact that certificates show")
    _exactly(members["open"], split.open | split.tokens, f"open of {kind}")
    guarded: Part | str
    if marked:
        guarded = _matching(members["guarded"], _HASH)
    else:
        _exactly(members["guarded"], frozenset({"members", "salt"}), f"guarded of {kind}")
        _exactly(members["guarded"]["members"], split.guarded, f"guarded of {kind}")
        guarded = Part(salt=bytes.fromhex(_matching(members["guarded"]["salt"], _SALT)), members=members["guarded"]["members"])
    return ShownFact(
        leaf=_number(members["leaf"]),
        kind=kind,
        at=_text(members["at"]),
        piece_id=_text(members["piece_id"]),
        visit=_number(members["visit"]),
        open=members["open"],
        guarded=guarded,
        closed=_matching(members["closed"], _HASH),
        proof=tuple(bytes.fromhex(_matching(each, _HASH)) for each in _list(members["proof"], _MOST_LEVELS, "proof")),
    )


def _exactly(value: Any, names: frozenset[str], where: str) -> None:
    if not isinstance(value, dict) or value.keys() != names:
        raise MalformedCertificateError(f"{where} has other members than it must have")


def _list(value: Any, most: int, where: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise MalformedCertificateError(f"{where} is no list of at most {most}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MalformedCertificateError(f"{str(value)[:40]!r} is no text")
    return value


def _matching(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MalformedCertificateError(f"{str(value)[:40]!r} is no hash or salt")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _SAFE_INTEGER:
        raise MalformedCertificateError(f"{str(value)[:40]!r} is no number")
    return value
