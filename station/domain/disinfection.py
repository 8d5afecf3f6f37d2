"""Facts about a piece's disinfection: the piece's own dose, bound to its cycle by a nonce."""

import math
from dataclasses import dataclass
from datetime import datetime

from station.domain.reasons import Reason

AGREEMENT_SHARE = 0.05
"""How far the unit's own dose may lie from the station's, as a share of the greater (design: disinfection)."""


def doses_agree(dose: float, other: float, share: float) -> bool:
    """True when both are finite, not negative, and differ by at most `share` of the greater one."""
    greater = max(dose, other)
    return math.isfinite(dose) and math.isfinite(other) and min(dose, other) >= 0 and abs(dose - other) <= share * greater


@dataclass(frozen=True, slots=True, kw_only=True)
class DisinfectionResult:
    """What the disinfection of one piece on one visit amounted to.

    Doses are UV-C, in mJ/cm², of the piece's least-exposed point: `dose_mj_per_cm2` integrated by the station from the unit's own
    samples, `unit_dose_mj_per_cm2` the unit's slot. `started_at`/`ended_at` are aware UTC. `reasons` is empty exactly when it passed.
    """

    piece_id: str
    visit: int
    at: datetime
    unit_id: str
    nonce: int
    recipe_sha256: str
    dose_mj_per_cm2: float
    unit_dose_mj_per_cm2: float
    target_mj_per_cm2: float
    min_irradiance_uw_per_cm2: float
    max_irradiance_uw_per_cm2: float
    started_at: datetime
    ended_at: datetime
    samples_sha256: str
    reasons: tuple[Reason, ...] = ()

    @property
    def passed(self) -> bool:
        """True when nothing speaks against the cycle."""
        return not self.reasons
