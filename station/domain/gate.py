"""`may_open`: the one question before the gate opens. Every refusal says why."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from station.domain.clearance import Clearance, Identification, Outcome
from station.domain.disinfection import AGREEMENT_SHARE, DisinfectionResult, doses_agree
from station.domain.identifiers import is_local_id, is_test_id
from station.domain.moments import is_after, is_known_by
from station.domain.people import distinct_people
from station.domain.piece import PieceState
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """Everything that `may_open` looks at, for the piece whose head stands at the gate eye.

    `plc_tag` and `plc_challenge` are what the PLC publishes for the gate zone now; `gate_barcode` is what the gate's reader read
    (None: nothing); `track_intact` is the station's own track; `access`/`frozen`/`healthy` are the lane's and the station's condition;
    `test_piece_id` pieces never leave. `clearance` is the newest for this visit.
    """

    piece_id: str
    visit: int
    state: PieceState
    identification: Identification | None
    scan: Scan | None
    clearance: Clearance | None
    disinfection: DisinfectionResult | None
    plc_tag: int
    plc_challenge: int
    challenge_used: bool
    gate_barcode: str | None
    track_intact: bool
    access: bool
    frozen: bool
    healthy: bool
    contradictions: tuple[Reason, ...]
    policy_sha256: str
    valid_ms: int
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Permission to open the gate once, for one tag, answering one challenge. Evidence of the decision, never a state."""

    piece_id: str
    visit: int
    at: datetime
    tag: int
    challenge: int
    valid_ms: int
    scan_sha256: str
    nonce: int
    policy_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The gate stays shut, and why."""

    piece_id: str
    visit: int
    at: datetime
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAction:
    """What the lane PLC's retained ring and the exit eye say of a permit: the piece passed."""

    piece_id: str
    visit: int
    at: datetime
    tag: int
    challenge: int
    ring_seq: int
    exit_seen: bool


U32_MAX = 0xFFFF_FFFF
MAX_VALID_MS = 1000
"""Longest life of a permit that the lane PLC accepts (contract: lane PLC registers, `permit`)."""

_Check = Callable[[GateRequest], Iterator[Reason]]


def _state(request: GateRequest) -> Iterator[Reason]:
    if request.state is not PieceState.DISINFECTED:
        yield Reason.WRONG_STATE


def _never_leaves(request: GateRequest) -> Iterator[Reason]:
    if is_test_id(request.piece_id):
        yield Reason.TEST_PIECE
    if is_local_id(request.piece_id) or not request.piece_id or request.visit < 1:
        yield Reason.NOT_IDENTIFIED


def _identified(request: GateRequest) -> Iterator[Reason]:
    found = request.identification
    if found is None or (found.piece_id, found.visit) != (request.piece_id, request.visit):
        yield Reason.NOT_IDENTIFIED
        return
    yield from found.reasons
    if not found.barcode:
        yield Reason.BARCODE_UNREADABLE


def _gate_barcode(request: GateRequest) -> Iterator[Reason]:
    if not request.gate_barcode:
        yield Reason.BARCODE_UNREADABLE
    elif request.identification is None or request.gate_barcode != request.identification.barcode:
        yield Reason.BARCODE_DIFFERS


def _own_scan(request: GateRequest) -> Iterator[Reason]:
    scan, found = request.scan, request.identification
    if scan is None or not scan.sha256:
        yield Reason.NO_SCAN
    elif (scan.piece_id, scan.visit) != (request.piece_id, request.visit) or (found is not None and scan.lane_id != found.lane_id):
        yield Reason.SCAN_NOT_THIS_PIECE


def _cleared(request: GateRequest) -> Iterator[Reason]:
    clearance, scan = request.clearance, request.scan
    if clearance is None or (clearance.piece_id, clearance.visit) != (request.piece_id, request.visit):
        yield Reason.NOT_CLEARED
        return
    people = len(distinct_people(clearance.by))
    if clearance.outcome is not Outcome.CLEARED or clearance.reasons or people < (2 if clearance.authority is Authority.TWO_PEOPLE else 1):
        yield Reason.NOT_CLEARED
    if scan is not None and (clearance.scan_sha256 != scan.sha256 or is_after(scan.at, clearance.at)):
        yield Reason.SCAN_NOT_THIS_PIECE


def _disinfected(request: GateRequest) -> Iterator[Reason]:
    result = request.disinfection
    if result is None or (result.piece_id, result.visit) != (request.piece_id, request.visit):
        yield Reason.NO_DISINFECTION
        return
    yield from result.reasons
    if not (math.isfinite(result.dose_mj_per_cm2) and result.dose_mj_per_cm2 >= result.target_mj_per_cm2 > 0):
        yield Reason.DOSE_SHORT
    if not doses_agree(result.dose_mj_per_cm2, result.unit_dose_mj_per_cm2, AGREEMENT_SHARE):
        yield Reason.DOSE_DISAGREES
    if not 1 <= result.nonce <= U32_MAX:
        yield Reason.NONCE_DIFFERS


def _disinfected_after_clearance(request: GateRequest) -> Iterator[Reason]:
    clearance, result = request.clearance, request.disinfection
    if clearance is None or result is None:
        return
    in_order = is_after(result.started_at, clearance.at) and is_after(result.ended_at, result.started_at)
    if not in_order or not is_known_by(result.ended_at, result.at):
        yield Reason.DISINFECTED_BEFORE_CLEARANCE


def _own_tag(request: GateRequest) -> Iterator[Reason]:
    if request.identification is None or request.plc_tag != request.identification.tag or not 1 <= request.plc_tag <= U32_MAX:
        yield Reason.TAG_DIFFERS


def _fresh_challenge(request: GateRequest) -> Iterator[Reason]:
    if request.challenge_used or not 1 <= request.plc_challenge <= U32_MAX:
        yield Reason.CHALLENGE_STALE


def _lane(request: GateRequest) -> Iterator[Reason]:
    if not request.track_intact:
        yield Reason.TRACK_LOST
    if request.access:
        yield Reason.ZONE_ACCESSED
    if request.frozen:
        yield Reason.FROZEN
    if not request.healthy:
        yield Reason.STATION_UNHEALTHY
    yield from request.contradictions


def _policy(request: GateRequest) -> Iterator[Reason]:
    if request.clearance is not None and (not request.policy_sha256 or request.clearance.policy_sha256 != request.policy_sha256):
        yield Reason.POLICY_CHANGED


def _validity(request: GateRequest) -> Iterator[Reason]:
    if not 1 <= request.valid_ms <= MAX_VALID_MS:
        yield Reason.PERMIT_INVALID


def _moments(request: GateRequest) -> Iterator[Reason]:
    facts = (request.identification, request.scan, request.clearance, request.disinfection)
    if not all(is_known_by(fact.at, request.now) for fact in facts if fact is not None):
        yield Reason.EVIDENCE_STALE


_CHECKS: tuple[_Check, ...] = (
    _state,
    _never_leaves,
    _identified,
    _gate_barcode,
    _own_scan,
    _cleared,
    _disinfected,
    _disinfected_after_clearance,
    _own_tag,
    _fresh_challenge,
    _lane,
    _policy,
    _validity,
    _moments,
)


def may_open(request: GateRequest) -> Permit | Refusal:
    """Judge one request. Pure; every condition is checked and every failed one is named in the refusal."""
    reasons = tuple(dict.fromkeys(reason for check in _CHECKS for reason in check(request)))
    scan, result = request.scan, request.disinfection
    if reasons or scan is None or result is None:
        return Refusal(piece_id=request.piece_id, visit=request.visit, at=request.now, reasons=reasons)
    return Permit(
        piece_id=request.piece_id,
        visit=request.visit,
        at=request.now,
        tag=request.plc_tag,
        challenge=request.plc_challenge,
        valid_ms=request.valid_ms,
        scan_sha256=scan.sha256,
        nonce=result.nonce,
        policy_sha256=request.policy_sha256,
    )
