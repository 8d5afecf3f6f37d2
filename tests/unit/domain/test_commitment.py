"""What a leaf commits to, held against the format as the audit log's page has it."""

import hashlib
import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from station.domain.canonical import canonical
from station.domain.commitment import SPLITS, commitment_of, part, part_digest, parted

OWN, OF_PIECE = bytes(range(16)), bytes(range(16, 32))
SALT = OWN + OF_PIECE
SALTS = hashlib.sha256(b"kt1:salts:v2\0" + SALT).digest()
ROW = {"at": "2026-06-01T08:00:00.000000Z", "piece_id": "EE473124829VN", "visit": 2}
EVERY = {kind: dict.fromkeys(sorted(split.open | split.guarded | split.tokens)) for kind, split in SPLITS.items()}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=3),
    max_leaves=8,
)
members_of_any_kind = st.dictionaries(st.text("abc_", min_size=1), values, max_size=4)


def sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def person(key: str, of_piece: bytes = OF_PIECE) -> str:
    return sha256(b"kt1:person:v2\0", of_piece, key.encode())


def scan(name: str, of_piece: bytes = OF_PIECE) -> str:
    return sha256(b"kt1:scan:v2\0", of_piece, name.encode())


def opened(kind: str, salt: bytes = SALT, **members: Any) -> Any:
    return part(salt, {**ROW, "kind": kind}, {**EVERY[kind], **members}).row["open"]


@given(values)
def test_canonical_text_is_the_bytes_of_rfc_8785(value: Any):
    assert canonical(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_what_has_no_json_has_no_canonical_text(value: Any):
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


def test_a_fact_is_taken_apart_as_its_kind_says():
    members = {
        "blind": True,
        "decision": "clear",
        "note": "có dao",
        "person": " LAN  Anh",
        "projected_sha256": None,
        "scan_sha256": "ab",
    }
    whole = {**ROW, "kind": "operator_reading.v1", "payload": members}
    fact = parted(SALT, rfc8785.dumps(whole))
    shown = {"blind": True, "decision": "clear", "person": person("lan anh"), "scan_sha256": scan("ab")}
    guarded = '{"projected_sha256":null,"scan_sha256":"ab"}'
    closed = '{"note":"có dao","person":" LAN  Anh"}'
    assert fact.row == {**ROW, "kind": "operator_reading.v1", "open": shown}
    assert (fact.guarded.salt, canonical(fact.guarded.members)) == (SALTS[:16], guarded)
    assert (fact.closed.salt, canonical(fact.closed.members)) == (SALTS[16:], closed)
    assert fact.guarded.digest == sha256(b"kt1:part:v2\0", SALTS[:16], guarded.encode())
    assert fact.closed.digest == part_digest(SALTS[16:], members={"person": " LAN  Anh", "note": "có dao"})
    entry = {**ROW, "closed": fact.closed.digest, "guarded": fact.guarded.digest, "kind": "operator_reading.v1", "open": shown}
    expected = hashlib.sha256(b"kt1:evidence:v2\0" + rfc8785.dumps(entry)).digest()
    assert fact.commitment == commitment_of(SALT, rfc8785.dumps(whole)) == expected


def test_of_a_kind_that_no_list_names_everything_is_closed():
    fact = part(SALT, {**ROW, "kind": "new.v1"}, {"person": "Lan", "outcome": "clear"})
    assert fact.row == {**ROW, "kind": "new.v1", "open": {}}
    assert (fact.guarded.members, fact.closed.members) == ({}, {"person": "Lan", "outcome": "clear"})


def test_a_token_is_one_person_or_scan_within_a_piece_and_says_nothing_elsewhere():
    cleared = opened("clearance.v1", by=["model", "Trần  Bình", "An"], scan_sha256="ab")
    assert cleared["by"] == ["model", person("trần bình"), person("an")]
    assert cleared["scan_sha256"] == scan("ab") == opened("scan.v1", sha256="ab")["sha256"]
    other_piece = OWN + bytes(16)
    assert opened("clearance.v1", other_piece, by=["An"], scan_sha256="ab") == {
        **cleared,
        "by": [person("an", bytes(16))],
        "scan_sha256": scan("ab", bytes(16)),
    }
    assert len({person("an"), person("an", bytes(16)), scan("an")}) == 3


def test_the_model_alone_reads_as_itself_only_where_people_and_the_model_stand_together():
    assert opened("clearance.v1", by=["model"])["by"] == ["model"]
    # A person may be called so.
    assert opened("operator_reading.v1", person="model")["person"] == person("model")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, split in SPLITS.items() for name in sorted(split.tokens)])
def test_nobody_is_no_token_and_scans_and_people_are_told_apart(kind: str, name: str):
    assert opened(kind)[name] is None
    assert opened(kind, **{name: "ab"})[name] == (person("ab") if name in {"by", "person"} else scan("ab"))


@pytest.mark.parametrize("kind", list(SPLITS))
def test_each_member_of_a_kind_must_be_there(kind: str):
    for name in EVERY[kind]:
        fewer = {one: value for one, value in EVERY[kind].items() if one != name}
        with pytest.raises(KeyError, match=name):
            part(SALT, {**ROW, "kind": kind}, fewer)
        with pytest.raises(ValueError, match=f"no fact.*{name}"):
            commitment_of(SALT, rfc8785.dumps({**ROW, "kind": kind, "payload": fewer}))


@given(st.sampled_from([*SPLITS, "new.v1"]), members_of_any_kind)
def test_every_member_but_the_open_and_guarded_ones_is_closed(kind: str, more: dict[str, Any]):
    members = {**EVERY.get(kind, {}), **more}
    fact = parted(SALT, rfc8785.dumps({**ROW, "kind": kind, "payload": members}))
    split = SPLITS.get(kind)
    told = split.open | split.guarded if split else frozenset()
    assert fact.closed.members == {name: value for name, value in members.items() if name not in told}
    assert fact.guarded.members.keys() == (split.guarded if split else set())
    assert fact.row["open"].keys() == (split.open | split.tokens if split else set())


def test_an_entry_binds_every_member_and_every_byte_of_the_salt():
    kind = "operator_reading.v1"
    members = {"blind": True, "decision": "clear", "note": "", "person": "an", "projected_sha256": "cd", "scan_sha256": "ab"}
    changed = [members, *({**members, name: "other"} for name in members)]
    facts = [{**ROW, "kind": kind, "payload": one} for one in changed]
    facts += [{**facts[0], name: "other"} for name in ROW]
    salts = [bytes(place == at for place in range(32)) for at in range(33)]
    entries = {commitment_of(SALT, rfc8785.dumps(fact)) for fact in facts} | {
        commitment_of(salt, rfc8785.dumps(facts[0])) for salt in salts
    }
    assert len(entries) == len(facts) + len(salts)


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=80))
def test_a_fact_from_before_there_were_parts_is_committed_to_whole(salt: bytes, content: bytes):
    assert commitment_of(salt, content) == hashlib.sha256(b"kt1:evidence:v1\0" + salt + content).digest()


@pytest.mark.parametrize("length", [0, 15, 16, 17, 31, 33])
def test_only_the_salts_of_a_fact_and_of_its_piece_take_it_apart(length: int):
    with pytest.raises(ValueError, match="no parts"):
        parted(bytes(length), b'{"kind":"x","payload":{}}')


@pytest.mark.parametrize(
    "content",
    [b"1", b"[]", b"{}", b'{"payload":{}}', b'{"kind":"x","payload":1}', b'{"kind":[],"payload":{}}', b"[" * 10**5],
)
def test_what_is_no_fact_commits_to_nothing(content: bytes):
    with pytest.raises(ValueError, match="this is no fact"):
        commitment_of(SALT, content)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"kind":"x","payload":"\\ud800"}', b'{"kind":"x","payload":NaN}'])
def test_what_is_no_text_commits_to_nothing(content: bytes):
    with pytest.raises(ValueError):
        commitment_of(SALT, content)


CANONICAL = b'{"at":"2026","kind":"x","payload":{"a":"\xc3\xa1","b":1},"piece_id":"P","visit":1}'


@pytest.mark.parametrize(
    "content",
    [
        CANONICAL + b"\n",
        CANONICAL.replace(b":1}", b": 1}"),
        CANONICAL.replace(b"\xc3\xa1", b"\\u00e1"),
        CANONICAL.replace(b'"a":"\xc3\xa1","b":1', b'"b":1,"a":"\xc3\xa1"'),
        CANONICAL.replace(b'"b":1', b'"b":2,"b":1'),
    ],
)
def test_what_reads_the_same_may_not_be_written_another_way(content: bytes):
    assert json.loads(content) == json.loads(CANONICAL)
    assert commitment_of(SALT, CANONICAL)
    with pytest.raises(ValueError, match="canonical form"):
        commitment_of(SALT, content)
