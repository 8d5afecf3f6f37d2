"""Do the facts of a certificate tell that the piece was screened, cleared as demanded, disinfected after that, and released? Pure."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from station.audit.certificate import MARKED, RELEASED, Certificate, ShownFact
from station.domain.commitment import MODEL
from station.domain.people import JUDGED_BY_PEOPLE, people_needed
from station.domain.policy import Authority


class Flaw(StrEnum):
    """Why a certificate does not hold."""

    MALFORMED = "malformed"
    CHECKPOINT_UNPROVED = "checkpoint-unproved"
    NOT_IN_LOG = "not-in-log"
    SIGNATURE_WRONG = "signature-wrong"
    FACT_MISSING = "fact-missing"
    OUT_OF_ORDER = "out-of-order"
    OTHER_PIECE = "other-piece"
    SCAN_DIFFERS = "scan-differs"
    NOT_CLEARED = "not-cleared"
    AUTHORITY_MISSING = "authority-missing"
    NOT_DISINFECTED = "not-disinfected"
    PERMIT_DIFFERS = "permit-differs"
    NOT_RELEASED = "not-released"
    LEVEL_DIFFERS = "level-differs"


class CertificateError(ValueError):
    """A certificate does not hold. `leaf` and `kind` name the fact that shows it, where it is one."""

    def __init__(self, flaw: Flaw, fact: ShownFact | None = None, detail: str = "") -> None:
        super().__init__(flaw.value if fact is None else f"{flaw.value}: leaf {fact.leaf}, {fact.kind}")
        self.flaw = flaw
        self.leaf = None if fact is None else fact.leaf
        self.kind = "" if fact is None else fact.kind
        self.detail = detail


_ANNOUNCED, _IDENTIFIED, _SCANNED, _READ, _CLEARED, _DISINFECTED, _PERMITTED, _PASSED, _LEFT = range(9)
STEPS: MappingProxyType[str, int] = MappingProxyType(
    {
        "announcement.v1": _ANNOUNCED,
        "review_decision.v1": _ANNOUNCED,
        "identification.v1": _IDENTIFIED,
        "scan.v1": _SCANNED,
        "model_reading.v1": _READ,
        "image_match.v1": _READ,
        "operator_reading.v1": _READ,
        "clearance.v1": _CLEARED,
        "disinfection.v1": _DISINFECTED,
        "permit.v1": _PERMITTED,
        "gate_action.v1": _PASSED,
        "state_change.v1": _LEFT,
    }
)
"""In what order the log must have the facts; those of one step may stand in any."""

_OF_EARLIER_VISITS = frozenset({"announcement.v1", "review_decision.v1"})
_MANY = frozenset({"operator_reading.v1", "review_decision.v1"})
_OPTIONAL = _MANY | {"announcement.v1", "model_reading.v1", "image_match.v1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The facts, each where it belongs. Of `reviews` and `readings` there may be none or several."""

    identification: ShownFact
    scan: ShownFact
    clearance: ShownFact
    disinfection: ShownFact
    permit: ShownFact
    gate: ShownFact
    exit: ShownFact
    announcement: ShownFact | None
    model: ShownFact | None
    match: ShownFact | None
    readings: tuple[ShownFact, ...]
    reviews: tuple[ShownFact, ...]
    marked: bool


def story_of(certificate: Certificate) -> Story:
    """Put the facts where they belong and hold them against each other. Raises `CertificateError`."""
    _in_order(certificate)
    story = _sorted(certificate)
    for rule in _RULES:
        for flaw, fact in rule(story):
            raise CertificateError(flaw, fact)
    return story


def _in_order(certificate: Certificate) -> None:
    before: ShownFact | None = None
    for fact in certificate.facts:
        if fact.kind not in STEPS:
            raise CertificateError(Flaw.MALFORMED, fact)
        if before is not None and (fact.leaf <= before.leaf or STEPS[fact.kind] < STEPS[before.kind]):
            raise CertificateError(Flaw.OUT_OF_ORDER, fact)
        visits = fact.visit < certificate.visit if fact.kind in _OF_EARLIER_VISITS else fact.visit == certificate.visit
        if fact.piece_id != certificate.piece_id or not visits:
            raise CertificateError(Flaw.OTHER_PIECE, fact)
        before = fact


def _sorted(certificate: Certificate) -> Story:
    found: dict[str, list[ShownFact]] = {kind: [] for kind in STEPS}
    for fact in certificate.facts:
        found[fact.kind].append(fact)
    for kind, facts in found.items():
        if len(facts) > 1 and kind not in _MANY:
            raise CertificateError(Flaw.OUT_OF_ORDER, facts[1])
        if not facts and kind not in _OPTIONAL:
            raise CertificateError(Flaw.FACT_MISSING, detail=kind)

    def first(kind: str) -> ShownFact | None:
        return found[kind][0] if found[kind] else None

    return Story(
        identification=found["identification.v1"][0],
        scan=found["scan.v1"][0],
        clearance=found["clearance.v1"][0],
        disinfection=found["disinfection.v1"][0],
        permit=found["permit.v1"][0],
        gate=found["gate_action.v1"][0],
        exit=found["state_change.v1"][0],
        announcement=first("announcement.v1"),
        model=first("model_reading.v1"),
        match=first("image_match.v1"),
        readings=tuple(found["operator_reading.v1"]),
        reviews=tuple(found["review_decision.v1"]),
        marked=certificate.form == MARKED,
    )


_Found = Iterator[tuple[Flaw, ShownFact]]


def _identity(story: Story) -> _Found:
    found = story.identification
    if found.open["reasons"] or found.open["barcode"] != found.piece_id:
        yield Flaw.OTHER_PIECE, found


def _level(story: Story) -> _Found:
    for fact in (story.identification, story.announcement):
        if fact is not None and fact.told is not None and fact.told["secrecy"] is not None:
            yield Flaw.LEVEL_DIFFERS, fact


def _one_scan(story: Story) -> _Found:
    token = story.scan.open["sha256"]
    scan_sha256 = story.scan.told["sha256"] if story.scan.told is not None else None
    for fact in (story.clearance, story.permit, story.model, *story.readings):
        if fact is None:
            continue
        told = fact.told["scan_sha256"] if fact.told is not None else None
        if token is None or fact.open["scan_sha256"] != token or told != scan_sha256:
            yield Flaw.SCAN_DIFFERS, fact
        if fact.told is not None and fact.told.get("projected_sha256") is not None:
            yield Flaw.SCAN_DIFFERS, fact
    if story.scan.open["lane_id"] != story.identification.open["lane_id"]:
        yield Flaw.SCAN_DIFFERS, story.scan


def _cleared(story: Story) -> _Found:
    found = story.clearance
    if found.open["outcome"] != "cleared" or (found.told is not None and found.told["reasons"]):
        yield Flaw.NOT_CLEARED, found
    model = story.model.open["model_sha256"] if story.model is not None else None
    if found.open["model_sha256"] != model:
        yield Flaw.NOT_CLEARED, found
    for reading in story.readings:
        if reading.open["decision"] != "clear":
            yield Flaw.NOT_CLEARED, reading
    if story.model is None and not story.marked:
        # Only of a marked piece may the policy keep the model away.
        yield Flaw.FACT_MISSING, found


def _findings(story: Story) -> _Found:
    """What a device found holds the piece until people have reviewed it, and much of it even then; the model's an operator may judge."""
    scanned = [] if story.scan.told is None else [finding["reason"] for finding in story.scan.told["findings"]]
    named = [] if story.model is None or story.model.told is None else [finding["reason"] for finding in story.model.told["findings"]]
    if not set(scanned) <= (JUDGED_BY_PEOPLE if story.reviews else set()):
        yield Flaw.NOT_CLEARED, story.scan
    if story.model is not None and not set(named) <= JUDGED_BY_PEOPLE:
        yield Flaw.NOT_CLEARED, story.model


def _reviewed(story: Story) -> _Found:
    """What people cleared in the bin is what was fed in again, and they were as many as it takes."""
    match = story.match
    if match is None:
        return
    if not story.reviews:
        yield Flaw.AUTHORITY_MISSING, match
    if match.open["new_scan_sha256"] != story.scan.open["sha256"]:
        yield Flaw.SCAN_DIFFERS, match
    if match.told is not None and (match.told["new_findings"] or not 0 <= float(match.told["distance"]) <= float(match.told["bound"])):
        yield Flaw.SCAN_DIFFERS, match
    for review in story.reviews:
        if review.open["outcome"] != "clear":
            yield Flaw.NOT_CLEARED, review
        if review.open["scan_sha256"] != match.open["cleared_scan_sha256"]:
            yield Flaw.SCAN_DIFFERS, review


def _authority(story: Story) -> _Found:
    """Whoever the clearance names has read this scan, or cleared its piece in the bin; and they are as many as the authority demands."""
    authority, named = story.clearance.open["authority"], story.clearance.open["by"]
    people = {each for each in named if each != MODEL}
    if story.reviews:
        known = {review.open["person"] for review in story.reviews}
        findings = (story.scan.told or {}).get("findings", [])
        needed = 2 if story.marked else people_needed(None, [finding["reason"] for finding in findings])
        if story.match is None or MODEL in named:
            yield Flaw.AUTHORITY_MISSING, story.clearance
    else:
        known = {reading.open["person"] for reading in story.readings}
        needed = 0 if authority == Authority.MODEL else 1
        if (MODEL in named) != (authority == Authority.MODEL):
            yield Flaw.AUTHORITY_MISSING, story.clearance
        if authority == Authority.MODEL and not _model_cleared(story.model):
            yield Flaw.AUTHORITY_MISSING, story.model or story.clearance
    if authority == Authority.TWO_PEOPLE:
        needed = 2
    if authority not in set(Authority) or not people <= known or len(people) < needed:
        yield Flaw.AUTHORITY_MISSING, story.clearance


def _model_cleared(reading: ShownFact | None) -> bool:
    """False without a reading, and for one that alarms where its figures are told."""
    if reading is None:
        return False
    if reading.told is None:
        return True
    score, threshold = float(reading.told["score"]), float(reading.told["threshold"])
    return not reading.told["findings"] and math.isfinite(score) and math.isfinite(threshold) and score < threshold


def _disinfected(story: Story) -> _Found:
    found = story.disinfection.open
    dose, target = float(found["dose_mj_per_cm2"]), float(found["target_mj_per_cm2"])
    moments = (story.clearance.at, found["started_at"], found["ended_at"], story.disinfection.at)
    cleared, started, ended, judged = map(datetime.fromisoformat, moments)
    if found["reasons"] or not (math.isfinite(dose) and dose >= target > 0) or not cleared < started < ended <= judged:
        yield Flaw.NOT_DISINFECTED, story.disinfection


def _permitted(story: Story) -> _Found:
    permit, gate = story.permit.open, story.gate.open
    if permit["policy_sha256"] != story.clearance.open["policy_sha256"] or permit["nonce"] != story.disinfection.open["nonce"]:
        yield Flaw.PERMIT_DIFFERS, story.permit
    if permit["tag"] != story.identification.open["tag"]:
        yield Flaw.PERMIT_DIFFERS, story.permit
    if (gate["tag"], gate["challenge"]) != (permit["tag"], permit["challenge"]):
        yield Flaw.PERMIT_DIFFERS, story.gate


def _left(story: Story) -> _Found:
    found = story.exit
    if (found.open["before"], found.open["after"]) != ("disinfected", RELEASED) or (found.told is not None and found.told["reasons"]):
        yield Flaw.NOT_RELEASED, found


_RULES: tuple[Callable[[Story], _Found], ...] = (
    _identity,
    _level,
    _one_scan,
    _cleared,
    _findings,
    _reviewed,
    _authority,
    _disinfected,
    _permitted,
    _left,
)
