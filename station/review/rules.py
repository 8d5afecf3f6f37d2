"""Rules of review: who may decide about a held piece, and what speaks against it. How many it takes: `station.domain.people`. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from station.domain.clearance import Identification
from station.domain.measurement import InfeedMeasurement, is_beyond_review
from station.domain.people import distinct_people, person_key
from station.domain.policy import Policy
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.scan import ModelReading, Scan
from station.ports.store import Claim, Evidence


def same_person(one: str, other: str) -> bool:
    """True when both names mean the same person: letter case, spacing and Unicode form do not tell people apart."""
    return person_key(one) == person_key(other)


def holds_lease(claim: Claim | None, person: str, now: datetime) -> bool:
    """True when that person's lease is running at `now`."""
    return claim is not None and same_person(claim.person, person) and now < claim.expires_at


def newest_scan(evidence: Iterable[Evidence]) -> Scan | None:
    """The last scan among the facts of one visit."""
    return next((fact for fact in reversed(list(evidence)) if isinstance(fact, Scan)), None)


def radiation_beyond_review(evidence: Iterable[Evidence], policy: Policy) -> bool:
    """True when a measurement of any visit shows radiation that no review may excuse: a source that is turned round is not weaker."""
    return any(is_beyond_review(finding, policy) for fact in evidence if isinstance(fact, InfeedMeasurement) for finding in fact.findings)


def standing_reasons(held_for: Iterable[str], evidence: Iterable[Evidence]) -> frozenset[str]:
    """Everything that speaks against a piece on this visit: what it is held for, and what the infeed and its scan found."""
    reasons = set(held_for)
    facts = list(evidence)
    for fact in facts:
        if isinstance(fact, Identification):
            reasons.update(fact.reasons)
        elif isinstance(fact, InfeedMeasurement):
            reasons.update(finding.reason for finding in fact.findings)
    scan = newest_scan(facts)
    if scan is not None:
        reasons.update(finding.reason for finding in scan.findings)
    return frozenset(reasons)


def people_who_cleared(evidence: Sequence[Evidence], scan_sha256: str) -> tuple[str, ...]:
    """Different people whose clearance of this very scan stands: anything but a clearance starts the count again."""
    people: list[str] = []
    for fact in evidence:
        if not isinstance(fact, ReviewDecision):
            continue
        if fact.outcome is not ReviewOutcome.CLEAR or fact.scan_sha256 != scan_sha256:
            people.clear()
        else:
            people.append(fact.person)
    return distinct_people(people)


def newest_model(evidence: Sequence[Evidence]) -> str | None:
    """The model that read the piece last."""
    return next((fact.model_sha256 for fact in reversed(evidence) if isinstance(fact, ModelReading)), None)
