"""Facts survive storage exactly, and their bytes are RFC 8785."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import StoreError
from station.domain.gate import Refusal
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
