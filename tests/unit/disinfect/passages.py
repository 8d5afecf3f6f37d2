"""One good passage through the tunnel: 200 mm/s, a field of 800 mm, 10 mW/cm², a piece of 200 mm."""

from datetime import UTC, date, datetime, timedelta

from station.disinfect.dose import ExposureWindow
from station.disinfect.judgement import TunnelPassage
from station.disinfect.recipes import TunnelRecipe
from station.disinfect.samples import Sample
from station.ports.disinfection_unit import UnitSlot, UnitStatus

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)

RECIPE = TunnelRecipe(
    name="test",
    sha256="r" * 64,
    target_mj_per_cm2=30.0,
    calibration_factor=1.0,
    ageing_factor=0.98,
    spatial_factor=1.0,
    min_irradiance_uw_per_cm2=6_000.0,
    max_irradiance_uw_per_cm2=20_000.0,
    min_temperature_c=5.0,
    max_temperature_c=55.0,
    min_humidity_percent=0.0,
    max_humidity_percent=90.0,
    max_ozone_ppb=100,
    lamps=4,
    lamp_hours_limit=9_000.0,
    sensor_calibrated_on=date(2026, 1, 15),
    sensor_valid_days=365,
    max_missing_samples=2,
    agreement_share=0.05,
    slot_tolerance_ms=500.0,
    max_contact_gap_ms=1_500,
    point_spacing_mm=50.0,
    max_retries=1,
)
SLOT = UnitSlot(tag=7, nonce=77, dose_mj_per_cm2=40.0, entered_ms=10_000, left_ms=15_000, verdict=1)
WINDOWS = tuple(ExposureWindow(entered_ms=10_000.0 + 250 * point, left_ms=14_000.0 + 250 * point) for point in range(5))
SAMPLES = tuple(Sample(uptime_ms=100 * number, uw_per_cm2=10_000) for number in range(90, 160))


def status(uptime_ms: int, **changes: object) -> UnitStatus:
    values: dict[str, object] = {
        "read_at_s": uptime_ms / 1000,
        "uptime_ms": uptime_ms,
        "boot_count": 3,
        "state": 6,
        "faults": 0,
        "phase": 3,
        "door_bits": 0b11,
        "temperature_c": 24.0,
        "humidity_percent": 50.0,
        "lamp_bits": 0b1111,
        "lamp_hours": 120.0,
        "ozone_ppb": 4,
        "slots": (SLOT,),
        "sample_seq": uptime_ms // 100 % 65_536,
        "samples_uw_per_cm2": (10_000,) * 20,
    }
    return UnitStatus(**(values | changes))  # type: ignore[arg-type]


STATUSES = tuple(status(uptime_ms) for uptime_ms in range(9_500, 16_000, 500))
PASSAGE = TunnelPassage(
    piece_id="EE473124829VN",
    visit=1,
    tag=7,
    unit_id="uvc-1",
    nonce=77,
    first_slot=SLOT,
    second_slot=SLOT,
    windows=WINDOWS,
    samples=SAMPLES,
    statuses=STATUSES,
    started_at=NOW - timedelta(seconds=6),
    ended_at=NOW - timedelta(seconds=1),
)
