"""The site's policy: data that is validated when loaded, versioned by its hash, and named in every decision."""

from dataclasses import dataclass, field
from enum import StrEnum

from station.domain.piece import Secrecy
from station.domain.vault import Retention


class Authority(StrEnum):
    """Who may clear a scan."""

    MODEL = "model"
    OPERATOR = "operator"
    TWO_PEOPLE = "two_people"


_DRAWN_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Rules of the site (design: safety and decisions). `sha256` is over the canonical form of all other members.

    `blind_sample`: share of unmarked scans that an operator reads before the model's finding is shown, whoever else clears them.
    `projection_rate`: share of the images that could carry a projected threat which do (docs/reference/threat-projection.md); 0: none.
    `radiation_attention_nsv_per_h`: dose rate from which no review lets a piece be fed in again.
    `retention`: for how long images are kept; it decides about no piece.
    `viewing_limit_min`: minutes for which somebody may look at scans on end before they are asked to rest (`station.domain.rest`).
    `unproved_model`: demo only; waives the proof that a model needs before it may clear on its own.
    """

    sha256: str
    alpha: float = 0.05
    freeze_score: float | None = None
    authority_unmarked: Authority = Authority.OPERATOR
    authority_c: Authority = Authority.OPERATOR
    authority_b: Authority = Authority.OPERATOR
    authority_a: Authority = Authority.TWO_PEOPLE
    blind_first_read: frozenset[Secrecy] = frozenset({Secrecy.A, Secrecy.B})
    blind_sample: float = 0.02
    projection_rate: float = 0.0
    decision_window_s: float = 8.0
    extension_s: float = 45.0
    hold_unannounced: bool = True
    test_piece_max_age_h: float = 24.0
    viewing_limit_min: float = 20.0
    size_tolerance_mm: float = 40.0
    weight_tolerance_share: float = 0.25
    weight_tolerance_g: float = 15.0
    radiation_limit_nsv_per_h: float = 400.0
    radiation_attention_nsv_per_h: float = 1000.0
    image_match_bound: float = 0.15
    model_on_marked: bool = True
    unproved_model: bool = False
    retention: Retention = field(default_factory=Retention)

    def authority_for(self, secrecy: Secrecy | None) -> Authority:
        """Who may clear a piece of this level; None means unmarked."""
        if secrecy is None:
            return self.authority_unmarked
        return {
            Secrecy.A: self.authority_a,
            Secrecy.B: self.authority_b,
            Secrecy.C: self.authority_c,
        }[secrecy]

    def is_sampled(self, secrecy: Secrecy | None, scan_sha256: str) -> bool:
        """True for the share `blind_sample` of unmarked scans.

        Drawn by the scan's own hash (hex): nobody can foresee it, anybody can check it afterwards, and it does not ask what the model
        found (decision 0080). What is no hash is in the sample.
        """
        if secrecy is not None or self.blind_sample == 0:
            return False
        try:
            drawn = int(scan_sha256[:_DRAWN_DIGITS], 16) / 16**_DRAWN_DIGITS
        except ValueError:
            return True
        return not drawn >= self.blind_sample

    def reads_blind(self, secrecy: Secrecy | None, scan_sha256: str) -> bool:
        """True when an operator must decide about this scan before the model's finding is shown."""
        return secrecy in self.blind_first_read or self.is_sampled(secrecy, scan_sha256)
