"""Nothing but a receipt ends an event; everything that is not understood is tried again."""

import hashlib
import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from station.ports.outbox import OutboxEvent
from station.ports.tracking import Answer
from station.tracking.signatures import sign_receipt
from station.tracking.trust import TrustedKey
from station.tracking.verdict import Again, Block, Pause, Receipted, ReceiptRule, ResendFrom, delay_s, judge
from tests.support.store_facts import at

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SIGNED = ReceiptRule(trusted=(TrustedKey(public=KEY.public_key()),))
PLAIN = ReceiptRule(trusted=None)
EVENT = OutboxEvent(
    piece_id="P1",
    sequence=4,
    event_id="HN1:P1:4",
    body='{"thư": 1}',
    created_at=at(),
    state="pending",
    attempts=0,
    next_attempt_at=at(),
    last_error="",
    receipt=None,
)


def receipt(key: Ed25519PrivateKey = KEY, **changes: Any) -> str:
    members: dict[str, Any] = {
        "event_id": EVENT.event_id,
        "subject": "P1",
        "sequence": 4,
        "body_sha256": hashlib.sha256(EVENT.body.encode()).hexdigest(),
        "receiver": "centre",
        "received_at": at(),
    }
    return sign_receipt(key, **{**members, **changes})


def test_a_good_receipt_ends_the_event():
    assert judge(Answer(status=200, body=receipt()), EVENT, SIGNED) == Receipted(receipt=receipt())


def test_of_an_answer_only_what_was_signed_is_kept():
    padded = json.dumps({**json.loads(receipt()), "padding": "x" * 1000}) + " " * 1000
    assert judge(Answer(status=200, body=padded), EVENT, SIGNED) == Receipted(receipt=receipt())


@pytest.mark.parametrize(
    "changes",
    [{"event_id": "HN1:P1:5"}, {"subject": "P2"}, {"sequence": 5}, {"body_sha256": "00" * 32}],
)
def test_a_receipt_for_something_else_ends_nothing(changes: dict[str, Any]):
    verdict = judge(Answer(status=200, body=receipt(**changes)), EVENT, SIGNED)
    assert isinstance(verdict, Again)
    assert verdict.alarm


@pytest.mark.parametrize("member", ["id", "subject", "sequence", "body_sha256", "receiver", "received_at", "signature"])
def test_a_receipt_with_a_changed_member_ends_nothing(member: str):
    members = json.loads(receipt())
    for value in ("x", "é", 5, None, True, []):
        verdict = judge(Answer(status=200, body=json.dumps({**members, member: value})), EVENT, SIGNED)
        assert isinstance(verdict, Again), (member, value)
        assert verdict.whole_receiver
    del members[member]
    assert isinstance(judge(Answer(status=200, body=json.dumps(members)), EVENT, SIGNED), Again)


def test_a_strangers_receipt_ends_nothing():
    verdict = judge(Answer(status=200, body=receipt(Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))), EVENT, SIGNED)
    assert verdict == Again(error="the receipt's signature is not the receiver's", alarm=True, whole_receiver=True)


@pytest.mark.parametrize("body", ["", "[" * 5000, "null", "[]", "7", "<html>", '{"id":1}', "\ud800"])
def test_any_other_answer_is_no_receipt(body: str):
    assert isinstance(judge(Answer(status=200, body=body), EVENT, SIGNED), Again)
    assert judge(Answer(status=204, body=body), EVENT, PLAIN) == Receipted(receipt=body[:1000])


def test_gaps():
    def gap(expected: int | None) -> Any:
        return judge(Answer(status=409, problem="kt1:sequence-gap", expected_sequence=expected), EVENT, SIGNED)

    assert gap(1) == ResendFrom(sequence=1)
    assert gap(3) == ResendFrom(sequence=3)
    for nonsense in (4, 5, 0, -1, None):
        assert isinstance(gap(nonsense), Again)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(status=409, problem="kt1:body-differs"), Block(error="the receiver has another event under this id")),
        (Answer(status=410), Pause(error="the receiver says that it is gone (410)")),
        (Answer(status=429, retry_after_s=7.0), Again(error="the receiver answered 429", retry_after_s=7.0)),
        (Answer(status=500), Again(error="the receiver answered 500")),
        (Answer(status=503, problem="kt1:store-failing"), Again(error="the receiver answered 503 kt1:store-failing")),
        (Answer(status=302), Again(error="the receiver answered 302")),
        (Answer(status=408), Again(error="the receiver answered 408")),
        (Answer(status=400, problem="kt1:event-malformed"), Again(error="the receiver answered 400 kt1:event-malformed", alarm=True)),
        (Answer(status=409), Again(error="the receiver answered 409", alarm=True)),
        (Answer(status=401), Again(error="the receiver answered 401", alarm=True, whole_receiver=True)),
        (Answer(status=404), Again(error="the receiver answered 404", alarm=True, whole_receiver=True)),
    ],
)
def test_other_answers(answer: Answer, expected: Any):
    assert judge(answer, EVENT, SIGNED) == judge(answer, EVENT, PLAIN) == expected


@given(st.integers(100, 599), st.text(), st.none() | st.text(), st.none() | st.integers())
def test_no_answer_without_a_receipt_ends_an_event(status: int, body: str, problem: str | None, expected: int | None):
    answer = Answer(status=status, body=body, problem=problem, expected_sequence=expected)
    assert not isinstance(judge(answer, EVENT, SIGNED), Receipted)


@given(st.integers(0, 10**9), st.integers(0, 2**32), st.floats(0, 1e12))
def test_the_wait_is_jittered_and_bounded(attempts: int, seed: int, asked_s: float):
    wait_s = delay_s(attempts, random.Random(seed), at_least_s=asked_s)
    assert 0 <= wait_s <= 300
    assert wait_s >= min(asked_s, 300)
    if asked_s == 0 and attempts < 8:
        assert wait_s <= 2**attempts


def test_waits_spread_over_the_whole_range():
    chance = random.Random(1)
    waits = [delay_s(20, chance) for _ in range(2000)]
    assert min(waits) < 5
    assert max(waits) > 295
    assert 140 < sum(waits) / len(waits) < 160
