"""Each request has its effect once: the answer is stored with the change and given again for the same key."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from station.ports.store import UnitOfWork
from station.workflow.refusals import KeyReusedError

Answer = dict[str, object]
"""A small JSON document: what the caller is told and, for the same key, told again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The identity of one request: the caller's key, and a hash over everything that the request asks."""

    key: str
    fingerprint: str


def earlier_answer(uow: UnitOfWork, once: Once) -> Answer | None:
    """What was answered to this request before.

    Raises:
        KeyReusedError: the key was used for another request.
    """
    earlier = uow.answer_for(once.key)
    if earlier is None:
        return None
    fingerprint, stored = earlier
    if fingerprint != once.fingerprint:
        raise KeyReusedError(
            "This idempotency key was used for another request",
            consequence="Nothing was changed",
            remedy="Send a new key with each new request",
        )
    answer: Answer = json.loads(stored)
    return answer


def remember(uow: UnitOfWork, once: Once, answer: Answer) -> None:
    """Store the answer in the transaction of the change."""
    uow.remember_request(once.key, once.fingerprint, json.dumps(answer, ensure_ascii=False))


def do_once(uow: UnitOfWork, once: Once, work: Callable[[UnitOfWork], Answer]) -> tuple[Answer, bool]:
    """Do the work and remember its answer, or return the earlier answer; the flag tells whether anything was done now."""
    earlier = earlier_answer(uow, once)
    if earlier is not None:
        return earlier, False
    answer = work(uow)
    remember(uow, once, answer)
    return answer, True
