"""Rules of review: who may decide about a held piece, and when one person is not enough. Pure."""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from station.domain.clearance import Identification
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.scan import ModelReading, Scan
from station.ports.store import Claim, Evidence

ONE_PERSON_REASONS = frozenset(
    {
        Reason.NO_MODEL_READING,
        Reason.MODEL_FAILED,
        Reason.MODEL_STALE,
        Reason.MODEL_NOT_PROVED,
        Reason.MODEL_ALARM,
        Reason.ATTENTION_SCORE,
        Reason.PROJECTED_IMAGE,
        Reason.AWAITING_OPERATOR,
        Reason.AWAITING_SECOND_PERSON,
        Reason.OPERATOR_HOLDS,
        Reason.DECISION_TIMEOUT,
        Reason.REVIEW_HOLDS,
    }
)
"""Reasons that come from the model or from people. Every other one is a finding of a device or an alarm: two people override it."""


def same_person(one: str, other: str) -> bool:
    """True when both names mean the same person: letter case, spacing and Unicode form do not tell people apart."""

    def key(name: str) -> str:
        return " ".join(unicodedata.normalize("NFKC", name).casefold().split())

    return key(one) == key(other)


def holds_lease(claim: Claim | None, person: str, now: datetime) -> bool:
    """True when that person's lease is running at `now`."""
    return claim is not None and same_person(claim.person, person) and now < claim.expires_at


def newest_scan(evidence: Iterable[Evidence]) -> Scan | None:
    """The last scan among the facts of one visit."""
    return next((fact for fact in reversed(list(evidence)) if isinstance(fact, Scan)), None)


def standing_reasons(held_for: Iterable[str], evidence: Iterable[Evidence]) -> frozenset[str]:
    """Everything that speaks against a piece on this visit: what it is held for, and what its identification and scan found."""
    reasons = set(held_for)
    facts = list(evidence)
    for fact in facts:
        if isinstance(fact, Identification):
            reasons.update(fact.reasons)
    scan = newest_scan(facts)
    if scan is not None:
        reasons.update(finding.reason for finding in scan.findings)
    return frozenset(reasons)


def people_needed(reasons: Iterable[str]) -> int:
    """How many different people must clear a piece with these reasons: 1 or 2. A code that is not known counts as a device's."""
    return 1 if all(reason in ONE_PERSON_REASONS for reason in reasons) else 2


def people_who_cleared(evidence: Sequence[Evidence], scan_sha256: str) -> tuple[str, ...]:
    """Different people whose clearance of this very scan stands: anything but a clearance starts the count again."""
    people: list[str] = []
    for fact in evidence:
        if not isinstance(fact, ReviewDecision):
            continue
        if fact.outcome is not ReviewOutcome.CLEAR or fact.scan_sha256 != scan_sha256:
            people.clear()
        elif not any(same_person(fact.person, person) for person in people):
            people.append(fact.person)
    return tuple(people)


def newest_model(evidence: Sequence[Evidence]) -> str | None:
    """The model that read the piece last."""
    return next((fact.model_sha256 for fact in reversed(evidence) if isinstance(fact, ModelReading)), None)
