"""`may_open`: the one question before the gate opens. Every refusal says why."""

from dataclasses import dataclass
from datetime import datetime

from station.domain.clearance import Clearance, Identification
from station.domain.disinfection import DisinfectionResult
from station.domain.piece import PieceState
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


def may_open(request: GateRequest) -> Permit | Refusal:
    """Judge one request. Pure; every condition is checked and every failed one is named in the refusal."""
    raise NotImplementedError
