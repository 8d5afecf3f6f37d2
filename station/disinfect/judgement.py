"""Was this piece disinfected? Parametric judgement of one passage through the UV-C tunnel. Pure.

Every measured parameter must lie inside the recipe's window for the whole passage; anything missing or odd means *not disinfected*.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from station.disinfect.cycle import is_lit, is_shut
from station.disinfect.dose import ExposureWindow, PointDose, least_dose
from station.disinfect.recipes import TunnelRecipe
from station.disinfect.samples import SAMPLE_MS, Sample
from station.domain.disinfection import DisinfectionResult, doses_agree
from station.domain.reasons import Reason
from station.ports.disinfection_unit import UnitSlot, UnitStatus

VERDICT_RUNNING = 0
VERDICT_PASSED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelPassage:
    """Everything known about one piece's passage through the tunnel.

    `nonce` is what the station wrote before; `first_slot` and `second_slot` are the piece's slot in two separate readings after it
    left (None: the unit had none). `windows` are of several points of the piece, head first, in the unit's uptime (empty: the track
    is void). `samples` and `statuses` are what was read of the unit, from before the head entered to after the tail left.
    `started_at`/`ended_at` are aware UTC of head in and tail out. `contradictions` are what else speaks against the passage.
    """

    piece_id: str
    visit: int
    tag: int
    unit_id: str
    nonce: int
    first_slot: UnitSlot | None
    second_slot: UnitSlot | None
    windows: tuple[ExposureWindow, ...]
    samples: tuple[Sample, ...]
    statuses: tuple[UnitStatus, ...]
    started_at: datetime
    ended_at: datetime
    contradictions: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    passage: TunnelPassage
    recipe: TunnelRecipe
    now: datetime
    least: PointDose
    inside: tuple[Sample, ...]


_Check = Callable[[_Case], Iterator[Reason]]


def _track(case: _Case) -> Iterator[Reason]:
    if not case.passage.windows or not all(window.is_valid for window in case.passage.windows):
        yield Reason.TRACK_LOST
    yield from case.passage.contradictions


def _nonce(case: _Case) -> Iterator[Reason]:
    """The cycle is bound to the piece by a nonce that was written before, and is read twice, equal, after."""
    passage = case.passage
    if passage.nonce < 1:
        yield Reason.NONCE_DIFFERS
    for slot in (passage.first_slot, passage.second_slot):
        if slot is None or slot.nonce != passage.nonce:
            yield Reason.NONCE_DIFFERS
        elif slot.tag != passage.tag or passage.tag < 1:
            yield Reason.TAG_DIFFERS


def _slot(case: _Case) -> Iterator[Reason]:
    slot, again, windows = case.passage.first_slot, case.passage.second_slot, case.passage.windows
    if slot is None or again is None or not windows:
        return
    if slot.verdict == VERDICT_RUNNING:
        yield Reason.UNIT_NOT_READY
    elif slot.verdict != VERDICT_PASSED:
        yield Reason.DOSE_SHORT
    if again != slot or not doses_agree(case.least.dose_mj_per_cm2, slot.dose_mj_per_cm2, case.recipe.agreement_share):
        yield Reason.DOSE_DISAGREES
    late_ms = max(abs(slot.entered_ms - windows[0].entered_ms), abs(slot.left_ms - windows[-1].left_ms))
    if not late_ms <= case.recipe.slot_tolerance_ms:
        yield Reason.TRACK_LOST


def _dose(case: _Case) -> Iterator[Reason]:
    if not case.least.dose_mj_per_cm2 >= case.recipe.target_mj_per_cm2:
        yield Reason.DOSE_SHORT
    if case.least.missing_samples > case.recipe.max_missing_samples:
        yield Reason.SAMPLES_MISSING


def _irradiance(case: _Case) -> Iterator[Reason]:
    values = [sample.uw_per_cm2 for sample in case.inside]
    if not values:
        yield Reason.SAMPLES_MISSING
    elif min(values) < case.recipe.min_irradiance_uw_per_cm2:
        yield Reason.LAMP_FAULT
    elif max(values) > case.recipe.max_irradiance_uw_per_cm2:
        yield Reason.PARAMETER_OUT_OF_WINDOW


def _contact(case: _Case) -> Iterator[Reason]:
    """The unit was seen without a gap and without a reboot from before the head entered until after the tail left."""
    statuses, windows = case.passage.statuses, case.passage.windows
    times = [status.uptime_ms for status in statuses]
    one_life = len({status.boot_count for status in statuses}) == 1
    covered = bool(times and windows) and times[0] <= windows[0].entered_ms and windows[-1].left_ms <= times[-1]
    unbroken = all(0 <= after - before <= case.recipe.max_contact_gap_ms for before, after in pairwise(times))
    if not (one_life and covered and unbroken):
        yield Reason.DEVICE_LOST


def _unit(case: _Case) -> Iterator[Reason]:
    recipe = case.recipe
    burning = (1 << recipe.lamps) - 1
    for status in _within(case.passage.statuses, case.passage.windows):
        if status.faults or not is_shut(status.door_bits):
            yield Reason.UNIT_FAULT
        if not is_lit(status.phase):
            yield Reason.UNIT_NOT_READY
        if status.lamp_bits & burning != burning or not 0 <= status.lamp_hours <= recipe.lamp_hours_limit:
            yield Reason.LAMP_FAULT
        in_window = (
            recipe.min_temperature_c <= status.temperature_c <= recipe.max_temperature_c
            and recipe.min_humidity_percent <= status.humidity_percent <= recipe.max_humidity_percent
            and status.ozone_ppb <= recipe.max_ozone_ppb
        )
        if not in_window:
            yield Reason.PARAMETER_OUT_OF_WINDOW


def _sensor(case: _Case) -> Iterator[Reason]:
    calibrated = case.recipe.sensor_calibrated_on
    today = case.now.date()
    if not calibrated <= today <= calibrated + timedelta(days=case.recipe.sensor_valid_days):
        yield Reason.SENSOR_OVERDUE


_CHECKS: tuple[_Check, ...] = (_track, _nonce, _slot, _dose, _irradiance, _contact, _unit, _sensor)


def _within(statuses: Sequence[UnitStatus], windows: Sequence[ExposureWindow]) -> list[UnitStatus]:
    """Readings from the last before the head entered to the first after the tail left."""
    if not windows:
        return list(statuses)
    start, end = windows[0].entered_ms, windows[-1].left_ms
    first = max((index for index, one in enumerate(statuses) if one.uptime_ms <= start), default=0)
    last = next((index for index, one in enumerate(statuses) if one.uptime_ms >= end), len(statuses) - 1)
    return list(statuses[first : last + 1])


def _samples_inside(passage: TunnelPassage) -> tuple[Sample, ...]:
    """Samples of which some part counts for some point."""
    reach = SAMPLE_MS / 2
    return tuple(
        sample
        for sample in passage.samples
        if any(window.entered_ms - reach < sample.uptime_ms < window.left_ms + reach for window in passage.windows)
    )


def judge_tunnel(passage: TunnelPassage, recipe: TunnelRecipe, now: datetime) -> DisinfectionResult:
    """Judge one passage. Never raises on odd facts: what cannot be understood is not disinfected.

    Args:
        passage: what was read and followed.
        recipe: the validated window.
        now: aware UTC.
    """
    inside = _samples_inside(passage)
    least = least_dose(inside, passage.windows, recipe.factor)
    case = _Case(passage=passage, recipe=recipe, now=now, least=least, inside=inside)
    values = [sample.uw_per_cm2 for sample in inside]
    text = "".join(f"{sample.uptime_ms}:{sample.uw_per_cm2}\n" for sample in inside)
    return DisinfectionResult(
        piece_id=passage.piece_id,
        visit=passage.visit,
        at=now,
        unit_id=passage.unit_id,
        nonce=passage.nonce,
        recipe_sha256=recipe.sha256,
        dose_mj_per_cm2=least.dose_mj_per_cm2,
        unit_dose_mj_per_cm2=passage.first_slot.dose_mj_per_cm2 if passage.first_slot else 0.0,
        target_mj_per_cm2=recipe.target_mj_per_cm2,
        min_irradiance_uw_per_cm2=float(min(values, default=0)),
        max_irradiance_uw_per_cm2=float(max(values, default=0)),
        started_at=passage.started_at,
        ended_at=passage.ended_at,
        samples_sha256=hashlib.sha256(text.encode()).hexdigest(),
        reasons=tuple(dict.fromkeys(reason for check in _CHECKS for reason in check(case))),
    )
