"""What a step of a piece leaves behind: the event for tracking and the fact of the gate, composed from what the lane knows. Pure."""

from datetime import datetime

from station.domain.clearance import Clearance, Identification
from station.domain.events import PieceEvent, PieceStatus
from station.domain.gate import GateAction, Permit
from station.domain.measurement import InfeedMeasurement, measured_findings
from station.domain.piece import Announcement, Piece, Secrecy
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.workflow.identification import InfeedFacts
from station.workflow.lane_piece import LanePiece


def announced_meanwhile(known: Piece | None, piece: LanePiece) -> bool:
    """True when tracking announced the piece after it had arrived, so that this visit went by less than is known now."""
    return known is not None and known.announcement != piece.announcement


def event_on_lane(
    piece: LanePiece,
    status: PieceStatus,
    at: datetime,
    *,
    lane_id: str,
    policy_sha256: str,
    known: Piece | None,
    reasons: tuple[Reason, ...] = (),
    clearance: Clearance | None = None,
) -> PieceEvent:
    """The event of a piece on the lane; without `reasons` those of the clearance count. `known` is what the store says now."""
    return PieceEvent(
        piece_id=piece.known_id,
        visit=piece.visit,
        status=status,
        at=at,
        lane_id=lane_id,
        secrecy=known.level if known is not None else Secrecy.A,
        announced=known is not None and known.announced,
        reasons=reasons or (clearance.reasons if clearance else ()),
        outcome=clearance.outcome.value if clearance else None,
        policy_sha256=policy_sha256,
        model_sha256=piece.reading.model_sha256 if piece.reading and clearance else None,
        disinfection=piece.disinfection if status is PieceStatus.DISINFECTED else None,
        destination=known.announcement.destination if known is not None else "",
    )


def event_of_known(known: Piece, status: PieceStatus, at: datetime, *, lane_id: str, policy_sha256: str) -> PieceEvent:
    """The event of a piece that the lane may no longer have on its belts."""
    return PieceEvent(
        piece_id=known.piece_id,
        visit=known.visit,
        status=status,
        at=at,
        lane_id=lane_id,
        secrecy=known.level,
        announced=known.announced,
        policy_sha256=policy_sha256,
        destination=known.announcement.destination,
    )


def gate_action(permit: Permit, at: datetime, *, ring_seq: int, exit_seen: bool) -> GateAction:
    """The fact that a permit was used."""
    return GateAction(
        piece_id=permit.piece_id,
        visit=permit.visit,
        at=at,
        tag=permit.tag,
        challenge=permit.challenge,
        ring_seq=ring_seq,
        exit_seen=exit_seen,
    )


def event_of_release(permit: Permit, known: Piece, at: datetime, *, lane_id: str) -> PieceEvent:
    """The event of a piece that left by the gate."""
    return PieceEvent(
        piece_id=permit.piece_id,
        visit=permit.visit,
        status=PieceStatus.RELEASED,
        at=at,
        lane_id=lane_id,
        secrecy=known.level,
        announced=known.announced,
        destination=known.announcement.destination,
        outcome="released",
        policy_sha256=permit.policy_sha256,
    )


def identification_of(piece: LanePiece, now: datetime, facts: InfeedFacts, reasons: tuple[Reason, ...], lane_id: str) -> Identification:
    """The fact that the piece was identified on this visit."""
    return Identification(
        piece_id=piece.known_id,
        visit=piece.visit,
        at=now,
        lane_id=lane_id,
        tag=piece.tag,
        barcode=facts.barcode,
        secrecy=piece.level,
        weight_g=facts.weight_g,
        reasons=reasons,
    )


def measurement_of(piece: LanePiece, now: datetime, facts: InfeedFacts, policy: Policy, lane_id: str) -> InfeedMeasurement:
    """The fact of what the infeed measured on this visit, and what of it speaks against the piece as it was announced."""
    announcement = piece.announcement or Announcement(piece_id=piece.known_id)
    return InfeedMeasurement(
        piece_id=piece.known_id,
        visit=piece.visit,
        at=now,
        lane_id=lane_id,
        length_mm=facts.length_mm,
        weight_g=facts.weight_g,
        radiation_nsv_per_h=facts.radiation_nsv_per_h,
        findings=measured_findings(
            announcement,
            policy,
            length_mm=facts.length_mm,
            weight_g=facts.weight_g,
            radiation_nsv_per_h=facts.radiation_nsv_per_h,
        ),
    )
