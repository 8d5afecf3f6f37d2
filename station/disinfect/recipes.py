"""Recipes: the validated window of a disinfection, as data. This module holds the values; reading the file is the settings' part."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from types import MappingProxyType

from station.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelRecipe:
    """A UV-C tunnel's recipe.

    `spatial_factor` is the least-exposed point of a piece over the sensor; `calibration_factor` brings the sensor's reading to the
    reference; `ageing_factor` derates the lamps. Temperature and humidity bound what paper and lamps bear. `sensor_calibrated_on` plus
    `sensor_valid_days` is the sensor's calibration. `lamps` is how many must burn. `sha256` is over the canonical form of the file.
    """

    name: str
    sha256: str
    target_mj_per_cm2: float
    calibration_factor: float
    ageing_factor: float
    spatial_factor: float
    min_irradiance_uw_per_cm2: float
    max_irradiance_uw_per_cm2: float
    min_temperature_c: float
    max_temperature_c: float
    min_humidity_percent: float
    max_humidity_percent: float
    max_ozone_ppb: int
    lamps: int
    lamp_hours_limit: float
    sensor_calibrated_on: date
    sensor_valid_days: int
    max_missing_samples: int
    agreement_share: float
    slot_tolerance_ms: float
    max_contact_gap_ms: int
    point_spacing_mm: float
    max_retries: int

    @property
    def factor(self) -> float:
        """What a sensor reading is multiplied with to give the least-exposed point's irradiance."""
        return self.calibration_factor * self.ageing_factor * self.spatial_factor


_TINY = math.nextafter(0, 1)
_BOUNDS: MappingProxyType[str, tuple[float, float]] = MappingProxyType(
    {
        "target_mj_per_cm2": (_TINY, 10_000),
        "calibration_factor": (0.1, 10),
        "ageing_factor": (_TINY, 1),
        "spatial_factor": (_TINY, 1),
        "min_irradiance_uw_per_cm2": (_TINY, 1_000_000),
        "max_irradiance_uw_per_cm2": (_TINY, 1_000_000),
        "min_temperature_c": (-40, 100),
        "max_temperature_c": (-40, 100),
        "min_humidity_percent": (0, 100),
        "max_humidity_percent": (0, 100),
        "max_ozone_ppb": (0, 65_535),
        "lamps": (1, 16),
        "lamp_hours_limit": (_TINY, 100_000),
        "sensor_valid_days": (1, 1_000),
        "max_missing_samples": (0, 10),
        "agreement_share": (0, 0.05),
        "slot_tolerance_ms": (_TINY, 2_000),
        "max_contact_gap_ms": (100, 5_000),
        "point_spacing_mm": (1, 1_000),
        "max_retries": (0, 10),
    }
)
"""Least and greatest value of every number."""

_RISING = (
    ("min_irradiance_uw_per_cm2", "max_irradiance_uw_per_cm2"),
    ("min_temperature_c", "max_temperature_c"),
    ("min_humidity_percent", "max_humidity_percent"),
)
FOR_PEOPLE = frozenset({"source", "note"})
"""Keys that say where the values come from; they do not enter the recipe, but its hash."""
KEYS = FOR_PEOPLE | {field.name for field in fields(TunnelRecipe)} - {"sha256"}
"""Every key of a recipe's file."""


class RecipeError(ConfigurationError):
    """A recipe's values cannot be used.

    Attributes:
        key: the key that it is about.
        problem: what is wrong with it.
        allowed: what may stand there.
    """

    def __init__(self, name: str, key: str, problem: str, allowed: str) -> None:
        super().__init__(f"Recipe {name}: {key}: {problem}", consequence="Nothing can be disinfected by it", remedy=f"Allowed: {allowed}")
        self.key = key
        self.problem = problem
        self.allowed = allowed


def _wrong(name: str, key: str, value: object, allowed: str) -> RecipeError:
    return RecipeError(name, key, f"{value!r} is not allowed", allowed)


def _number(name: str, key: str, value: object) -> float:
    low, high = _BOUNDS[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _wrong(name, key, value, f"a number from {low:.3g} to {high:.7g}")
    return value


def tunnel_recipe(values: Mapping[str, object], *, sha256: str) -> TunnelRecipe:
    """Make a recipe of a file's values; `source` and `note` are for people and left out.

    Raises:
        RecipeError: a key is unknown or missing, or a value is out of its range. An unknown key comes before a missing one: it is most
            often that one, misspelt.
    """
    name = str(values.get("name", "(unnamed)"))
    given = {key: value for key, value in values.items() if key not in FOR_PEOPLE}
    for keys, problem in ((given.keys() - KEYS, "unknown key"), (KEYS - FOR_PEOPLE - given.keys(), "is missing")):
        for key in sorted(keys):
            raise RecipeError(name, key, problem, ", ".join(sorted(KEYS)))
    if type(values["sensor_calibrated_on"]) is not date:
        raise _wrong(name, "sensor_calibrated_on", values["sensor_calibrated_on"], "a date such as 2026-01-31")
    numbers = {key: _number(name, key, values[key]) for key in _BOUNDS}
    for low, high in _RISING:
        if numbers[low] >= numbers[high]:
            raise _wrong(name, high, numbers[high], f"above {low} = {numbers[low]:g}")
    return TunnelRecipe(**given, sha256=sha256)  # type: ignore[arg-type]  # every key and type was checked above
