"""Models of the STX family as data. There is no shared default: command numbers, scales and bit meanings differ between models.

Sources: protocol facts "Spellman STX family" (from the makers' manuals); for the XRV also PyMeasure's `SpellmanXRV`; for what the
manuals leave open, docs/reference/xray-generator.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from station.domain.errors import ConfigurationError

DAC_FULL_SCALE = 4095


@dataclass(frozen=True, slots=True, kw_only=True)
class StxProfile:
    """One model.

    Set-points: `kv_counts` and `ma_counts` are the counts at `kv_max` and `ma_max`; monitors read `monitor_counts` there, and at most
    `DAC_FULL_SCALE`. `interlock_bits` must all read `interlock_closed` for a closed interlock. `fault_reply` is the number that heads the
    answer to `get_faults`.
    Commands that a model has not are None.
    """

    name: str
    kv_max: float
    ma_max: float
    kv_counts: int
    ma_counts: int
    monitor_counts: float
    get_monitors: int
    monitor_values: int
    kv_monitor: int
    ma_monitor: int
    status_values: int
    interlock_bits: tuple[int, ...]
    interlock_closed: int
    get_faults: int
    fault_reply: int
    fault_names: tuple[str, ...]
    reset_faults: int
    hv: int
    refusals: Mapping[str, str]
    local_bit: int | None = None
    set_remote: int | None = None
    get_scaling: int | None = None
    feed_watchdog: int | None = None
    set_watchdog: int | None = None
    unsolicited: int | None = None
    set_kv: int = 10
    set_ma: int = 11
    get_kv: int = 14
    get_ma: int = 15
    get_status: int = 22
    hv_on_bit: int = 0


XRV = StxProfile(
    name="XRV",
    kv_max=160.0,
    ma_max=4.0,
    kv_counts=DAC_FULL_SCALE,
    ma_counts=DAC_FULL_SCALE,
    monitor_counts=DAC_FULL_SCALE / 1.2,
    get_monitors=19,
    monitor_values=8,
    kv_monitor=0,
    ma_monitor=1,
    status_values=17,
    interlock_bits=(1, 2),
    interlock_closed=1,
    get_faults=68,
    fault_reply=68,
    fault_names=(
        "filament select", "over-temperature approaching", "over-voltage", "under-voltage", "over-current", "under-current",
        "anode over-temperature", "cathode over-temperature", "anode inverter", "cathode inverter", "filament feedback", "anode arc",
        "cathode arc", "anode cable", "cathode cable", "anode AC line", "cathode AC line", "anode DC rail", "cathode DC rail",
        "low-voltage supply -15 V", "low-voltage supply +15 V", "watchdog", "board over-temperature", "over-power", "kV difference",
        "mA difference", "inverter not ready",
    ),
    reset_faults=31,
    hv=98,
    refusals={"1": "unknown command or wrong form", "2": "interlock open", "3": "out of range", "4": "fault latched", "5": "local mode"},
    local_bit=5,
    set_remote=99,
    get_scaling=28,
)  # fmt: skip
"""XRV: 27 reads the configuration and 28 the scaling; it has no watchdog to feed, so the lane PLC drops the beam permit instead."""

XRB011 = StxProfile(
    name="XRB011",
    kv_max=80.0,
    ma_max=0.7,
    kv_counts=800,
    ma_counts=700,
    monitor_counts=DAC_FULL_SCALE,
    get_monitors=20,
    monitor_values=7,
    kv_monitor=2,
    ma_monitor=3,
    status_values=3,
    interlock_bits=(1,),
    interlock_closed=0,
    get_faults=32,
    fault_reply=22,
    fault_names=(
        "arc", "over-temperature", "over-voltage", "under-voltage", "over-current", "under-current", "watchdog", "interlock",
    ),
    reset_faults=52,
    hv=99,
    refusals={"E#1": "out of range or wrong form", "E#2": "interlock open", "E#3": "fault latched"},
    feed_watchdog=27,
    set_watchdog=28,
    unsolicited=22,
)  # fmt: skip
"""XRB011: 27 feeds and 28 sets the watchdog; on a new fault it sends one status frame that nobody asked for."""

PROFILES: Mapping[str, StxProfile] = {profile.name: profile for profile in (XRV, XRB011)}


def profile_named(name: str) -> StxProfile:
    """The profile of a model; raises `ConfigurationError`."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ConfigurationError(
            f"There is no X-ray generator model {name!r}", consequence="Nothing is sent to it", remedy=f"Use one of {', '.join(PROFILES)}"
        ) from None
