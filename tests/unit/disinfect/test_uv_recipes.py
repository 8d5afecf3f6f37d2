import math
from dataclasses import asdict
from datetime import UTC, date, datetime

import pytest
from passages import RECIPE

from station.disinfect.recipes import RecipeError, tunnel_recipe

VALUES = {key: value for key, value in asdict(RECIPE).items() if key != "sha256"}


def test_a_recipe_is_made_of_its_file():
    assert tunnel_recipe(VALUES | {"source": "a paper", "note": "surfaces"}, sha256="r" * 64) == RECIPE
    assert RECIPE.factor == pytest.approx(0.98)


@pytest.mark.parametrize("key", sorted(VALUES))
def test_every_key_is_needed(key: str):
    with pytest.raises(RecipeError, match=f"{key}: is missing") as refused:
        tunnel_recipe({name: value for name, value in VALUES.items() if name != key}, sha256="")
    assert refused.value.key == key
    assert "target_mj_per_cm2" in refused.value.allowed


def test_an_unknown_key():
    with pytest.raises(RecipeError, match="dose: unknown key"):
        tunnel_recipe(VALUES | {"dose": 4}, sha256="")
    with pytest.raises(RecipeError, match="sha256: unknown key"):
        tunnel_recipe(VALUES | {"sha256": "0"}, sha256="")


@pytest.mark.parametrize("misspelt", ["aaa", "zzz"])
def test_an_unknown_key_comes_before_the_one_that_is_missing_for_it(misspelt: str):
    values = {misspelt if name == "lamps" else name: value for name, value in VALUES.items()}
    with pytest.raises(RecipeError) as refused:
        tunnel_recipe(values, sha256="")
    assert refused.value.key == misspelt


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("target_mj_per_cm2", 0),
        ("target_mj_per_cm2", 10_001),
        ("target_mj_per_cm2", math.nan),
        ("target_mj_per_cm2", True),
        ("target_mj_per_cm2", "30"),
        ("ageing_factor", 1.001),
        ("spatial_factor", 1.001),
        ("spatial_factor", 0),
        ("calibration_factor", math.inf),
        ("agreement_share", 0.051),
        ("agreement_share", -0.01),
        ("max_missing_samples", -1),
        ("max_missing_samples", 11),
        ("lamps", 0),
        ("lamps", 17),
        ("max_humidity_percent", 100.1),
        ("sensor_calibrated_on", "2026-01-15"),
        ("sensor_calibrated_on", datetime(2026, 1, 15, tzinfo=UTC)),
        ("max_irradiance_uw_per_cm2", 6_000.0),
        ("max_temperature_c", 5.0),
        ("max_humidity_percent", 0.0),
        ("max_contact_gap_ms", 99),
    ],
)
def test_a_value_out_of_range_says_what_is_allowed(key: str, value: object):
    with pytest.raises(RecipeError, match=key) as refused:
        tunnel_recipe(VALUES | {key: value}, sha256="")
    assert (refused.value.key, refused.value.problem) == (key, f"{value!r} is not allowed")
    assert refused.value.allowed
    assert "Recipe test" in refused.value.what


@pytest.mark.parametrize(
    ("key", "value"), [("agreement_share", 0.05), ("ageing_factor", 1), ("max_missing_samples", 0), ("max_retries", 10)]
)
def test_the_edges_are_allowed(key: str, value: object):
    assert asdict(tunnel_recipe(VALUES | {key: value}, sha256=""))[key] == value


def test_a_recipe_without_a_name_can_still_be_named():
    with pytest.raises(RecipeError, match=r"Recipe \(unnamed\): name: is missing"):
        tunnel_recipe({"sensor_calibrated_on": date(2026, 1, 1), **{k: v for k, v in VALUES.items() if k != "name"}}, sha256="")
