"""Recipe files: whatever is wrong in one is named with file, line, key and what is allowed, before a lane starts by it."""

import json
import re
from pathlib import Path

import pytest

from station.bootstrap.lanes import lane_settings
from station.bootstrap.recipes import lane_recipe
from station.disinfect.recipes import FOR_PEOPLE, KEYS
from station.domain.errors import ConfigurationError
from station.settings import load, shipped_files, write_shipped
from station.settings.configuration import load_recipe
from tests.support.terminal import Terminal

RECIPE = next(name for name in shipped_files() if name.parent.name == "recipes")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_shipped(tmp_path)
    return tmp_path / RECIPE


def rewritten(path: Path, key: str, new: str) -> int:
    """Put `new` in place of a key's line (nothing where it is empty); the line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next(at for at, text in enumerate(lines) if text.startswith(f"{key} = "))
    lines[line : line + 1] = [new] if new else []
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return line + 1


def test_the_shipped_recipe_is_taken_as_it_stands(recipe: Path):
    assert lane_recipe(load_recipe(recipe)).target_mj_per_cm2 == 30.0


@pytest.mark.parametrize("key", sorted(KEYS - FOR_PEOPLE))
def test_a_key_with_a_letter_too_many_is_unknown(recipe: Path, key: str):
    line = rewritten(recipe, key, f"{key}s_ = 1")
    with pytest.raises(ConfigurationError) as refused:
        lane_recipe(load_recipe(recipe))
    assert refused.value.what == f"{recipe}:{line}: {key}s_: unknown key"
    assert set(re.findall(r"\w+", refused.value.remedy)) >= KEYS


@pytest.mark.parametrize("key", sorted(KEYS - FOR_PEOPLE))
def test_a_key_that_is_missing_is_named(recipe: Path, key: str):
    rewritten(recipe, key, "")
    with pytest.raises(ConfigurationError) as refused:
        lane_recipe(load_recipe(recipe))
    assert refused.value.what == f"{recipe}:1: {key}: is missing"


@pytest.mark.parametrize("key", sorted(KEYS - FOR_PEOPLE - {"name"}))
@pytest.mark.parametrize("value", ["-300.0", "1e9", '"much"', "true"])
def test_a_value_that_is_not_allowed_is_named_with_what_is(recipe: Path, key: str, value: str):
    line = rewritten(recipe, key, f"{key} = {value}")
    with pytest.raises(ConfigurationError) as refused:
        lane_recipe(load_recipe(recipe))
    assert refused.value.what.startswith(f"{recipe}:{line}: {key}: ")
    assert refused.value.what.endswith(" is not allowed")
    assert refused.value.remedy.startswith(("Allowed: a number from", "Allowed: a date such as"))


def test_limits_the_wrong_way_round_are_named(recipe: Path):
    line = rewritten(recipe, "max_temperature_c", "max_temperature_c = 4.0")
    with pytest.raises(ConfigurationError) as refused:
        lane_recipe(load_recipe(recipe))
    assert str(refused.value).startswith(f"{recipe}:{line}: max_temperature_c: 4.0 is not allowed")
    assert refused.value.remedy == "Allowed: above min_temperature_c = 5"


def test_the_commands_tell_before_a_lane_starts(terminal: Terminal, recipe: Path):
    line = rewritten(recipe, "lamps", "lmaps = 4")
    site = recipe.parents[1] / "station.toml"
    what = f"{recipe}:{line}: lmaps: unknown key"
    code, _, err = terminal.run("config", "validate", "--config", site)
    assert code == 2
    assert what in err
    checks = json.loads(terminal.run("doctor", "--json", "--config", site)[1])
    found = next(check for check in checks if check["name"] == "lane-1 recipe")
    assert (found["ok"], found["found"]) == (False, what)
    with pytest.raises(ConfigurationError, match="lmaps: unknown key"):
        lane_settings(load(site).lanes[0], 1.0)
