"""The light of the UV-C tunnel: four lamps over the lit field, and what a point on the belt gets under each.

A lamp lights its own quarter of the field and spills a little into the others. A cold lamp gives 30 % at once and the rest with
a time constant of 5 s; it cools with one of 60 s, so that a lamp put out for a moment is bright again at once.
"""

LAMPS = 4
NOMINAL_MW_PER_CM2 = 10.0
COLD_SHARE = 0.3
WARM_UP_S = 5.0
COOL_DOWN_S = 60.0
SPILL = 0.25


class UvField:
    """Four lamps in a row. `share[i]` is what quarter i of the field gets of the full level."""

    __slots__ = ("_health", "_whole", "level_mw_per_cm2", "lit", "share", "warmth")

    def __init__(self) -> None:
        self.lit = False
        self.warmth = 0.0
        self.level_mw_per_cm2 = 0.0
        self._health = [1.0] * LAMPS
        self._whole = (1 << LAMPS) - 1
        self.share: tuple[float, ...] = (1.0,) * LAMPS

    def set_health(self, lamp: int, health: float) -> None:
        """Set what a lamp gives of its nominal output: 1.0 new, 0.0 burnt out."""
        self._health[lamp] = health
        self._whole = sum(1 << index for index, one in enumerate(self._health) if one > 0.0)
        mean = sum(self._health) / LAMPS
        self.share = tuple((1.0 - SPILL) * one + SPILL * mean for one in self._health)

    def step(self, dt_s: float, *, inhibited: bool) -> None:
        """Warm or cool the lamps by one time step; an inhibited lamp has no power."""
        if self.lit and not inhibited:
            if self.warmth < 1.0:
                self.warmth = min(1.0, self.warmth + (1.0 - self.warmth) * dt_s / WARM_UP_S + 1e-6)
            self.level_mw_per_cm2 = NOMINAL_MW_PER_CM2 * (COLD_SHARE + (1.0 - COLD_SHARE) * self.warmth)
        elif self.warmth or self.level_mw_per_cm2:
            self.level_mw_per_cm2 = 0.0
            self.warmth = self.warmth - self.warmth * dt_s / COOL_DOWN_S if self.warmth > 1e-4 else 0.0

    def irradiance_mw_per_cm2(self) -> tuple[float, ...]:
        """What a true sensor in each quarter of the field reads now."""
        return tuple(self.level_mw_per_cm2 * share for share in self.share)

    def burning(self) -> int:
        """Bit per lamp that burns now."""
        return self._whole if self.level_mw_per_cm2 else 0
