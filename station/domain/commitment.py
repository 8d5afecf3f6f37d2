r"""What a leaf of the audit log commits to: its fact in three parts, each of which can be shown or kept back. Pure.

`open` may be told of every piece, `guarded` tells what is in a piece and may be told only of an unmarked one, `closed` is told of none:
names of people, free text, and whatever no list here names. In `open` a person, and the hash of a scan, are tokens: within one piece the
same token is the same person or scan, and between pieces tokens say nothing.

    entry of the leaf = SHA-256("kt1:evidence:v2\0" + canonical JSON of {at, closed, guarded, kind, open, piece_id, visit})
    guarded, closed   = SHA-256("kt1:part:v2\0" + the part's salt + canonical JSON of its members), in hexadecimal
    their salts       = first and second half of SHA-256("kt1:salts:v2\0" + the fact's own salt + the piece's salt)
    token             = SHA-256("kt1:person:v2\0" + the piece's salt + the person's key), in hexadecimal
                        or SHA-256("kt1:scan:v2\0" + the piece's salt + the hash)

So an entry binds both salts, whatever its fact has in it.

Facts from before there were parts have a salt of 16 bytes, and their leaf commits to them whole.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from station.domain.canonical import canonical
from station.domain.people import person_key

SALT_BYTES = 16
"""Of a fact's own salt, of the salt that all facts of one piece share, and of a part's."""

MODEL = "model"
"""Stands among those who cleared a piece where the model did; it is nobody, so it is no token."""

_WHOLE, _PARTED, _PART = b"kt1:evidence:v1\0", b"kt1:evidence:v2\0", b"kt1:part:v2\0"
_PART_SALTS, _PERSON, _SCAN = b"kt1:salts:v2\0", b"kt1:person:v2\0", b"kt1:scan:v2\0"
_SCANS = frozenset({"sha256", "scan_sha256", "cleared_scan_sha256", "new_scan_sha256"})


@dataclass(frozen=True, slots=True)
class Split:
    """Which members of a kind of fact are open and guarded; every other one is closed. Names that are tokens in `open` are in `tokens`."""

    open: frozenset[str]
    guarded: frozenset[str]
    tokens: frozenset[str]


def _split(*, is_open: str, guarded: str = "", tokens: str = "") -> Split:
    return Split(frozenset(is_open.split()), frozenset(guarded.split()), frozenset(tokens.split()))


SPLITS: MappingProxyType[str, Split] = MappingProxyType(
    {
        "announcement.v1": _split(is_open="", guarded="secrecy"),
        "clearance.v1": _split(
            is_open="authority model_sha256 outcome policy_sha256", guarded="reasons scan_sha256", tokens="by scan_sha256"
        ),
        "disinfection.v1": _split(
            is_open="dose_mj_per_cm2 ended_at max_irradiance_uw_per_cm2 min_irradiance_uw_per_cm2 nonce reasons recipe_sha256 "
            "samples_sha256 started_at target_mj_per_cm2 unit_dose_mj_per_cm2 unit_id"
        ),
        "gate_action.v1": _split(is_open="challenge exit_seen ring_seq tag"),
        "identification.v1": _split(is_open="barcode lane_id reasons tag", guarded="secrecy weight_g"),
        "image_match.v1": _split(
            is_open="",
            guarded="bound cleared_scan_sha256 distance new_findings new_scan_sha256",
            tokens="cleared_scan_sha256 new_scan_sha256",
        ),
        "model_reading.v1": _split(
            is_open="model_sha256",
            guarded="calibration_n duration_ms findings kind p_value projected_sha256 scan_sha256 score threshold",
            tokens="scan_sha256",
        ),
        "operator_reading.v1": _split(is_open="blind decision", guarded="projected_sha256 scan_sha256", tokens="person scan_sha256"),
        "permit.v1": _split(is_open="challenge nonce policy_sha256 tag valid_ms", guarded="scan_sha256", tokens="scan_sha256"),
        "review_decision.v1": _split(is_open="outcome", guarded="scan_sha256", tokens="person scan_sha256"),
        "scan.v1": _split(is_open="lane_id", guarded="acquisition findings kv length_mm lines ma pixels sha256 width_mm", tokens="sha256"),
        "state_change.v1": _split(is_open="after before lane_id", guarded="reasons"),
    }
)
"""The parts of each kind of fact; of any other kind everything is closed. It belongs to the log's format: a kind's parts never change."""

_ALL_CLOSED = _split(is_open="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a fact that can be shown: its members, and the salt that its digest is made with."""

    salt: bytes
    members: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """What stands for it where it is kept back."""
        return part_digest(self.salt, self.members)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartedFact:
    """A fact as its leaf commits to it. `row` has `at`, `kind`, `piece_id`, `visit` and the members of `open`."""

    row: Mapping[str, Any]
    guarded: Part
    closed: Part

    @property
    def commitment(self) -> bytes:
        """The entry of its leaf."""
        return parted_commitment({**self.row, "guarded": self.guarded.digest, "closed": self.closed.digest})


def part_digest(salt: bytes, members: Mapping[str, Any]) -> str:
    """The digest of a part."""
    return hashlib.sha256(_PART + salt + canonical(members).encode()).hexdigest()


def parted_commitment(row: Mapping[str, Any]) -> bytes:
    """The entry of a leaf, from the fact's open members and the digests of its other parts."""
    return hashlib.sha256(_PARTED + canonical(row).encode()).digest()


def commitment_of(salt: bytes, content: bytes) -> bytes:
    """What the leaf of a fact must commit to. `content` is the RFC 8785 form of the whole stored row.

    Raises:
        ValueError: a salt of a strange length, or content that is not what the station writes.
    """
    if len(salt) == SALT_BYTES:
        return hashlib.sha256(_WHOLE + salt + content).digest()
    return parted(salt, content).commitment


def parted(salt: bytes, content: bytes) -> PartedFact:
    """Take a stored fact apart. Raises `ValueError` like `commitment_of`, also for a fact from before there were parts."""
    try:
        row = json.loads(content)
        # Only the bytes that the station writes: what reads the same may not be written another way.
        if canonical(row).encode() != content:
            raise ValueError("this fact is not written in canonical form")
        return part(salt, row, row.pop("payload"))
    except (AttributeError, KeyError, RecursionError, TypeError) as error:
        raise ValueError(f"this is no fact: {error!r}") from error


def part(salt: bytes, row: Mapping[str, Any], members: Mapping[str, Any]) -> PartedFact:
    """Take a fact apart: `row` has `at`, `kind`, `piece_id`, `visit`, `members` is its payload, and `salt` its own salt and its piece's.

    Raises:
        ValueError: a salt of a strange length.
        KeyError: a member that this kind has is missing.
    """
    if len(salt) != 2 * SALT_BYTES:
        raise ValueError("this fact has no parts")
    split = SPLITS.get(row["kind"], _ALL_CLOSED)
    shown = {name: members[name] for name in split.open}
    for name in split.tokens:
        shown[name] = _token(salt[SALT_BYTES:], name, members[name])
    closed = {name: member for name, member in members.items() if name not in split.open and name not in split.guarded}
    salts = hashlib.sha256(_PART_SALTS + salt).digest()
    return PartedFact(
        row={**row, "open": shown},
        guarded=Part(salt=salts[:SALT_BYTES], members={name: members[name] for name in split.guarded}),
        closed=Part(salt=salts[SALT_BYTES:], members=closed),
    )


def _token(of_piece: bytes, name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _SCANS:
        return hashlib.sha256(_SCAN + of_piece + value.encode()).hexdigest()
    if isinstance(value, list):
        return [each if each == MODEL else _token(of_piece, name, each) for each in value]
    return hashlib.sha256(_PERSON + of_piece + person_key(value).encode()).hexdigest()
