"""One piece on the belts, with everything that is known of its present visit."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from station.domain.clearance import Clearance, Identification, VisitEvidence
from station.domain.disinfection import DisinfectionResult
from station.domain.gate import Permit
from station.domain.measurement import InfeedMeasurement
from station.domain.piece import Announcement, PieceState, Secrecy, level_of
from station.domain.reasons import Reason
from station.domain.review import OperatorReading, ReviewDecision
from station.domain.scan import ImageMatch, ModelReading, Scan
from station.workflow.scanner import BeamWatch
from station.workflow.tracker import Track


@dataclass(slots=True, kw_only=True, eq=False)
class LanePiece:
    """One piece on the belts with everything that is known of its present visit. Identity is the object."""

    track: Track
    watch: BeamWatch = field(default_factory=BeamWatch)
    piece_id: str | None = None
    visit: int = 0
    tag: int = 0
    is_test: bool = False
    state: PieceState = PieceState.ARRIVED
    announcement: Announcement | None = None
    announced: bool = False
    identification: Identification | None = None
    measurement: InfeedMeasurement | None = None
    scan: Scan | None = None
    reading: ModelReading | None = None
    match: ImageMatch | None = None
    earlier: ReviewDecision | None = None
    second: ReviewDecision | None = None
    cleared_reading: ModelReading | None = None
    reviewed_measurement: InfeedMeasurement | None = None
    earlier_holds: tuple[Reason, ...] = ()
    failed_cycles: int = 0
    clearance: Clearance | None = None
    disinfection: DisinfectionResult | None = None
    permit: Permit | None = None
    nonce: int = 0
    operator_readings: list[OperatorReading] = field(default_factory=list)
    contradictions: list[Reason] = field(default_factory=list)
    window_expired: bool = False
    barcode: str | None = None
    code_read: bool = False
    waits_for_lines: bool = False
    last_line_s: float = 0.0
    gate_asked_s: float = 0.0
    permit_s: float | None = None
    in_bin: bool = False
    gate_barcode: str | None = None
    gate_answered: bool = False
    tagged: bool = False
    ready_for_xray: bool = False
    uv_announced: bool = False
    refused: bool = False

    @property
    def known_id(self) -> str:
        """The piece's id; only after identification."""
        if self.piece_id is None:
            raise RuntimeError("the piece has not been identified")
        return self.piece_id

    @property
    def level(self) -> Secrecy | None:
        """The level that the piece counts as on this visit; None means unmarked."""
        return level_of(self.announcement, announced=self.announced)

    def contradict(self, reason: Reason) -> None:
        """Note a newer fact that speaks against the piece."""
        if reason not in self.contradictions:
            self.contradictions.append(reason)

    def evidence(self) -> VisitEvidence:
        """All facts of the visit, as `clear` wants them."""
        return VisitEvidence(
            identification=self.identification,
            measurement=self.measurement,
            reviewed_measurement=self.reviewed_measurement,
            scan=self.scan,
            model_reading=self.reading,
            operator_readings=tuple(self.operator_readings),
            earlier_clearance=self.earlier,
            second_clearance=self.second,
            cleared_reading=self.cleared_reading,
            earlier_holds=self.earlier_holds,
            image_match=self.match,
            contradictions=tuple(self.contradictions),
            window_expired=self.window_expired,
        )


def gets_next_tag(piece: LanePiece, pieces: Iterable[LanePiece]) -> bool:
    """True when the PLC would give a tag to that piece: of those on B1 without one, the newest gets it, whichever was meant."""
    return not any(other is not piece and not other.tagged and other.track.head_mm < piece.track.head_mm for other in pieces)
