"""How a cold tube is brought to full voltage: steps by how long it was idle. Pure.

Seasoning after three months follows Oxford Instruments' procedure (protocol facts, "Seasoning"): lowest kV without current for 15 min,
20 % mA for 5 min, 5 kV per 5 min to 50 %, full mA, 5 kV steps to the maximum; a step back when unstable. The short warm-up after a
night is this project's choice (docs/reference/xray-generator.md): a site puts its tube maker's table in its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

HOURS_PER_DAY = 24.0
WARM_UP_AFTER_DAYS = 8 / HOURS_PER_DAY
SEASON_AFTER_DAYS = 2190 / HOURS_PER_DAY
LOWEST_KV_SHARE = 0.25
SEASON_STEP_KV = 5.0
SEASON_STEP_S = 300.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeStep:
    """Hold `kv` and `ma` for `hold_s` of station time."""

    kv: float
    ma: float
    hold_s: float


WARM_UP = ((0.4, 0.5, 6.0), (0.55, 1.0, 8.0), (0.7, 1.0, 10.0))
"""(share of kV, share of mA, s): more than 20 s on, at no more than 75 % of full voltage."""


def conditioning_steps(*, idle_days: float, kv_max: float, ma_max: float) -> tuple[TubeStep, ...]:
    """Steps before a tube that was idle so long may go to full voltage; none for a warm one, the longest plan when unknown (NaN)."""
    if idle_days <= WARM_UP_AFTER_DAYS:
        return ()
    if idle_days < SEASON_AFTER_DAYS:
        return tuple(TubeStep(kv=kv * kv_max, ma=ma * ma_max, hold_s=hold_s) for kv, ma, hold_s in WARM_UP)
    lowest = LOWEST_KV_SHARE * kv_max
    steps = [TubeStep(kv=lowest, ma=0.0, hold_s=15 * MINUTE_S), TubeStep(kv=lowest, ma=0.2 * ma_max, hold_s=5 * MINUTE_S)]
    kv = lowest + SEASON_STEP_KV
    while kv < kv_max:
        steps.append(TubeStep(kv=kv, ma=ma_max * (0.2 if kv <= kv_max / 2 else 1.0), hold_s=SEASON_STEP_S))
        kv += SEASON_STEP_KV
    steps.append(TubeStep(kv=kv_max, ma=ma_max, hold_s=SEASON_STEP_S))
    return tuple(steps)


def step_after(steps: Sequence[TubeStep], at: int, *, stable: bool) -> int:
    """Index of the step to run next: onwards when the tube was stable, one back when it arced."""
    return at + 1 if stable else max(0, min(at, len(steps) - 1) - 1)
