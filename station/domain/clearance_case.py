"""One question of `clear`, with what its checks ask of it again and again. Pure."""

from dataclasses import dataclass
from datetime import datetime

from station.domain.evidence import StationHealth, VisitEvidence
from station.domain.people import JUDGED_BY_PEOPLE, distinct_people
from station.domain.piece import Secrecy
from station.domain.policy import Authority, Policy
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question, so that each check can be a function of one argument."""

    evidence: VisitEvidence
    policy: Policy
    health: StationHealth
    now: datetime

    @property
    def piece_id(self) -> str:
        """The piece's id; empty while it is not identified."""
        return self.evidence.identification.piece_id if self.evidence.identification else ""

    @property
    def visit(self) -> int:
        """The visit that is judged; 0 while the piece is not identified."""
        return self.evidence.identification.visit if self.evidence.identification else 0

    @property
    def secrecy(self) -> Secrecy | None:
        """The level that the piece counts as: the highest while it is not identified."""
        return self.evidence.identification.secrecy if self.evidence.identification else Secrecy.A

    @property
    def authority(self) -> Authority:
        """Who may clear it."""
        return self.policy.authority_for(self.secrecy)

    @property
    def sampled(self) -> bool:
        """True when an operator must read this scan blind although it carries no level. What people cleared in the bin was read by them."""
        scan = self.evidence.scan
        return scan is not None and not self.refed and self.policy.is_sampled(self.secrecy, scan.sha256)

    @property
    def model_reading(self) -> ModelReading | None:
        """The model's reading, unless the policy keeps the model away from marked pieces."""
        return None if self.secrecy is not None and not self.policy.model_on_marked else self.evidence.model_reading

    @property
    def operator_readings(self) -> tuple[OperatorReading, ...]:
        """Readings of real images: what was said of a projected one never counts, for or against."""
        return tuple(reading for reading in self.evidence.operator_readings if reading.projected_sha256 is None)

    @property
    def refed(self) -> bool:
        """True when the piece comes back from a review, whatever that review said."""
        return self.evidence.earlier_clearance is not None

    @property
    def model_alarms(self) -> bool:
        """True when the model's reading speaks against the piece."""
        reading = self.model_reading
        return reading is not None and (reading.alarms or any(finding.reason in JUDGED_BY_PEOPLE for finding in reading.findings))

    @property
    def alarm_was_known(self) -> bool:
        """True when the model had alarmed on the scan that people cleared."""
        known = self.evidence.cleared_reading
        return known is not None and (known.alarms or any(finding.reason in JUDGED_BY_PEOPLE for finding in known.findings))

    @property
    def reads_blind(self) -> bool:
        """True when an operator decides before anything of the model is shown, so that being asked must not tell what it found."""
        scan = self.evidence.scan
        return scan is not None and not self.refed and self.policy.reads_blind(self.secrecy, scan.sha256)

    @property
    def freezes(self) -> bool:
        """True when the score reaches the policy's freeze score."""
        reading, limit = self.model_reading, self.policy.freeze_score
        return reading is not None and limit is not None and not reading.score < limit

    @property
    def freeze_was_known(self) -> bool:
        """True when the scan that people cleared had reached the freeze score too."""
        known, limit = self.evidence.cleared_reading, self.policy.freeze_score
        return known is not None and limit is not None and not known.score < limit

    @property
    def clearing_people(self) -> tuple[str, ...]:
        """The different people who cleared this scan at the lane."""
        return distinct_people(reading.person for reading in self.operator_readings if reading.decision is OperatorDecision.CLEAR)
