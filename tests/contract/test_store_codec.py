"""Facts survive storage exactly, and their bytes are RFC 8785."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from station.domain.commitment import SPLITS, commitment_of, part
from station.domain.errors import StoreError
from station.domain.gate import Refusal
from station.domain.people import person_key
from station.domain.reasons import Reason
from station.storage import codec
from station.storage.audit_log import fact_content
from tests.support.store_facts import at, permit

st.register_type_strategy(datetime, st.integers(0, 2**60).map(lambda us: at() + timedelta(microseconds=us // 1000)))
facts = st.one_of([st.from_type(kind) for kind in codec.KINDS.values()])


@given(facts)
def test_every_fact_comes_back(fact: Any):
    payload = codec.to_json(fact)
    back = codec.from_json(codec.kind_of(fact), payload)
    # Compared as text: a stored NaN must come back as NaN, which equals nothing.
    assert repr(back) == repr(fact)
    assert type(back) is type(fact)


@given(facts)
def test_payloads_are_canonical_and_without_floats(fact: Any):
    payload = codec.to_json(fact)
    assert rfc8785.dumps(json.loads(payload, parse_float=_refuse)) == payload.encode()


@given(st.text(), st.integers(0, 99), facts)
def test_leaf_contents_are_canonical(piece_id: str, visit: int, fact: Any):
    kind, payload = codec.kind_of(fact), codec.to_json(fact)
    content = fact_content(piece_id=piece_id, visit=visit, at_text="2026", kind=kind, payload=payload)
    whole = {"piece_id": piece_id, "visit": visit, "at": "2026", "kind": kind, "payload": json.loads(payload)}
    assert content == rfc8785.dumps(whole)


def entry_of(salt: bytes, row: dict[str, Any]) -> bytes:
    """The entry of a fact's leaf, written down as docs/reference/audit-log.md has it."""
    row = dict(row)
    members, split = row.pop("payload"), SPLITS.get(row["kind"])
    opened, guarded, tokens = (split.open, split.guarded, split.tokens) if split else ((), (), ())
    keys = hashlib.sha256(b"kt1:salts:v2\0" + salt).digest()

    def token(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [one if one == "model" else token(name, one) for one in value]
        is_person = name in {"person", "by"}
        domain, key = (b"kt1:person:v2\0", person_key(value)) if is_person else (b"kt1:scan:v2\0", value)
        return value if value is None else hashlib.sha256(domain + salt[16:] + key.encode()).hexdigest()

    def digest(key: bytes, names: Iterable[str]) -> str:
        return hashlib.sha256(b"kt1:part:v2\0" + key + rfc8785.dumps({name: members[name] for name in names})).hexdigest()

    row["open"] = {name: members[name] for name in opened} | {name: token(name, members[name]) for name in tokens}
    row["guarded"] = digest(keys[:16], guarded)
    row["closed"] = digest(keys[16:], set(members) - set(opened) - set(guarded))
    return hashlib.sha256(b"kt1:evidence:v2\0" + rfc8785.dumps(row)).digest()


@given(facts, st.binary(min_size=32, max_size=32))
def test_the_entry_of_a_leaf_is_what_the_page_about_the_log_says(fact: Any, salt: bytes):
    kind, payload = codec.kind_of(fact), codec.to_json(fact)
    content = fact_content(piece_id="P1", visit=1, at_text="2026", kind=kind, payload=payload)
    expected = entry_of(salt, json.loads(content))
    assert commitment_of(salt, content) == expected
    row = {"at": "2026", "kind": kind, "piece_id": "P1", "visit": 1}
    assert part(salt, row, codec.to_members(fact)).commitment == expected


@pytest.mark.parametrize("kind", sorted(codec.KINDS))
def test_an_entry_binds_every_byte_of_its_salt(kind: str):
    split = SPLITS.get(kind)
    members: dict[str, Any] = dict.fromkeys(split.open | split.guarded | split.tokens) if split else {"note": ""}
    salts = [bytes(place == at for place in range(32)) for at in range(33)]
    assert len({part(salt, {"kind": kind}, members).commitment for salt in salts}) == len(salts)


def test_tokens_tell_people_and_scans_apart_within_a_piece_and_nowhere_else():
    def opened(kind: str, salt: bytes, **members: Any) -> Any:
        split = SPLITS[kind]
        every = dict.fromkeys(split.open | split.guarded | split.tokens)
        return part(salt, {"kind": kind}, {**every, **members}).row["open"]

    one, other = bytes(16) + b"1" * 16, b"x" * 16 + b"1" * 16
    by = opened("clearance.v1", one, by=["model", "Trần  Bình", "An"], scan_sha256="ab")
    read = opened("operator_reading.v1", other, person="trần bình", scan_sha256="ab")
    assert by["by"][0] == "model"
    assert by["by"][1] == read["person"] != by["by"][2]
    assert by["scan_sha256"] == read["scan_sha256"] == opened("scan.v1", other, sha256="ab")["sha256"] != "ab"
    assert opened("operator_reading.v1", bytes(32), person="trần bình")["person"] != read["person"]
    # A name is no scan, and who is nobody is no token.
    assert opened("operator_reading.v1", one, person="ab")["person"] != by["scan_sha256"]
    assert opened("clearance.v1", one, by=[], scan_sha256=None) == {**by, "by": [], "scan_sha256": None}


def test_a_kind_that_has_no_parts_of_its_own_is_closed():
    taken = part(bytes(32), {"kind": "new.v1"}, {"person": "An", "note": "thư"})
    assert (taken.row, taken.guarded.members, taken.closed.members) == ({"kind": "new.v1", "open": {}}, {}, {"person": "An", "note": "thư"})


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b'{"payload":1}', b'{"a": 1}', b"\xff", b"[" * 10**5, b'{"kind":"permit.v1","payload":{}}']
)
def test_what_is_no_fact_commits_to_nothing(content: bytes):
    with pytest.raises(ValueError):
        commitment_of(bytes(32), content)
    with pytest.raises(ValueError, match="no parts"):
        commitment_of(bytes(20), b'{"kind":"x","payload":{}}')


def _refuse(text: str) -> float:
    raise AssertionError(f"{text} would depend on how a program writes floats")


def test_times_are_stored_as_utc():
    hanoi = permit("P1", 1).at.astimezone(timezone(timedelta(hours=7)))
    refusal = Refusal(piece_id="P1", visit=1, at=hanoi, reasons=(Reason.FROZEN,))
    assert json.loads(codec.to_json(refusal))["at"] == at(1).isoformat(timespec="microseconds")
    assert codec.from_json("refusal.v1", codec.to_json(refusal)) == refusal


@pytest.mark.parametrize(
    "change",
    [
        {"tag": "x"},
        {"tag": True},
        {"tag": 1.5},
        {"tag": None},
        {"at": "2026-11-20T05:00:00"},
        {"at": 7},
        {"piece_id": 7},
        {"extra": 1},
    ],
)
def test_a_stored_fact_that_is_not_exact_is_refused(change: dict[str, Any]):
    stored = {**json.loads(codec.to_json(permit("P1", 1))), **change}
    with pytest.raises(StoreError, match=r"permit\.v1"):
        codec.from_json("permit.v1", json.dumps(stored))


def test_missing_members_and_unknown_kinds_are_refused():
    with pytest.raises(StoreError):
        codec.from_json("permit.v1", "{}")
    with pytest.raises(StoreError):
        codec.from_json("refusal.v1", json.dumps({**json.loads(codec.to_json(permit("P", 1))), "reasons": ["no-such-reason"]}))
    with pytest.raises(StoreError, match="unknown kind"):
        codec.from_json("permit.v9", "{}")
    with pytest.raises(StoreError, match="not a kind of evidence"):
        codec.kind_of("a text")
