"""What an answer of the receiver means for an event of the outbox, and when to try again. Pure."""

import hashlib
import random
from dataclasses import dataclass
from http import HTTPStatus

from station.ports.outbox import LONGEST_WAIT, OutboxEvent
from station.ports.tracking import Answer
from station.tracking.signatures import read_receipt, receipt_holds, receipt_text
from station.tracking.trust import TrustedKey

SEQUENCE_GAP = "kt1:sequence-gap"
BODY_DIFFERS = "kt1:body-differs"
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = LONGEST_WAIT.total_seconds()
_LARGEST_EXPONENT = 16
_LONGEST_PLAIN = 1000
_WAIT_AND_TRY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipted:
    """Done; `receipt` is what the receiver signed (the beginning of its plain answer where receipts are not asked for)."""

    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Not done; try again later. `alarm`: trying alone will hardly help, a person should look. `whole_receiver`: not this event alone."""

    error: str
    alarm: bool = False
    whole_receiver: bool = False
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendFrom:
    """The receiver lacks earlier events of the piece."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The event can never be delivered; it blocks its own piece."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The receiver wants nothing more; everything is kept."""

    error: str


Verdict = Receipted | Again | ResendFrom | Block | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptRule:
    """What proves a delivery: a receipt signed by one of the keys (several while they change), or, with None, a plain 2xx."""

    trusted: tuple[TrustedKey, ...] | None


def judge(answer: Answer, event: OutboxEvent, rule: ReceiptRule) -> Verdict:
    """Judge one answer. Whatever is not understood is tried again: nothing but a receipt ends an event."""
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _judge_receipt(answer.body, event, rule)
    if status == HTTPStatus.CONFLICT and answer.problem == SEQUENCE_GAP:
        expected = answer.expected_sequence
        if expected is not None and 1 <= expected < event.sequence:
            return ResendFrom(sequence=expected)
        return Again(error=f"the receiver expects event {expected}, which does not come before {event.sequence}", alarm=True)
    if status == HTTPStatus.CONFLICT and answer.problem == BODY_DIFFERS:
        return Block(error="the receiver has another event under this id")
    if status == HTTPStatus.GONE:
        return Pause(error="the receiver says that it is gone (410)")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _WAIT_AND_TRY
    whole_receiver = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
    detail = f" {answer.problem}" if answer.problem else ""
    return Again(
        error=f"the receiver answered {status}{detail}",
        alarm=refused,
        whole_receiver=whole_receiver,
        retry_after_s=answer.retry_after_s or 0.0,
    )


def delay_s(attempts: int, chance: random.Random, *, at_least_s: float = 0.0) -> float:
    """Seconds to wait after that many failed attempts: full jitter between 0 and 1 s × 2^attempts, at most five minutes.

    `at_least_s` is what the receiver asked for; it counts up to five minutes too.
    """
    longest_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempts, _LARGEST_EXPONENT))
    return max(chance.uniform(0.0, longest_s), min(at_least_s, LONGEST_DELAY_S))


def _judge_receipt(text: str, event: OutboxEvent, rule: ReceiptRule) -> Verdict:
    if rule.trusted is None:
        # It is kept for good, one for each event.
        return Receipted(receipt=text[:_LONGEST_PLAIN])
    receipt = read_receipt(text)
    if receipt is None:
        return Again(error="the receiver's answer is no receipt", alarm=True, whole_receiver=True)
    if not any(key.speaks_for(receipt.receiver) and receipt_holds(receipt, key.public) for key in rule.trusted):
        return Again(error="the receipt's signature is not the receiver's", alarm=True, whole_receiver=True)
    body_sha256 = hashlib.sha256(event.body.encode()).hexdigest()
    if (receipt.id, receipt.subject, receipt.sequence, receipt.body_sha256) != (
        event.event_id,
        event.piece_id,
        event.sequence,
        body_sha256,
    ):
        return Again(error="the receipt is for something else", alarm=True, whole_receiver=True)
    return Receipted(receipt=receipt_text(receipt))
