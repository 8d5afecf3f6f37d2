"""Settings of the environment: they fill what the file leaves out, and a wrong one is named as what it is."""

from pathlib import Path

import pytest

from station.domain.errors import ConfigurationError
from station.settings import load
from tests.unit.settings.file_edits import replaced


def test_the_environment_fills_what_the_file_leaves_out(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KT1_SPEED", "2")
    assert load(site).station.speed == 1.0
    replaced(site, "speed = 1.0\n", "")
    assert load(site).station.speed == 2.0


FROM_ENVIRONMENT: list[tuple[str, str, str, str, str, str]] = [
    ("not a number", "speed = 1.0\n", "KT1_SPEED", "abc", "speed: 'abc' is not allowed", "valid number"),
    ("too fast", "speed = 1.0\n", "KT1_SPEED", "9", "speed: '9' is not allowed", "4"),
    ("small letters", "speed = 1.0\n", "kt1_speed", "9", "speed: '9' is not allowed", "4"),
    ("in a table", "port = 8080\n", "KT1_HTTP__PORT", "80800", "http.port: '80800' is not allowed", "65535"),
    ("unknown key", "", "KT1_HTTP__PROT", "8080", "http.prot: unknown key", "host, names, port"),
    ("a list", "", "KT1_SCHEMES", '[{"name": "A b", "pattern": "x"}]', "schemes.0.name: 'A b' is not allowed", "pattern"),
    ("lacks a key", "", "KT1_SCHEMES", '[{"name": "old"}]', "schemes.0.pattern: is missing", ""),
]


@pytest.mark.parametrize(
    ("left_out", "variable", "value", "problem", "allowed"),
    [wrong[1:] for wrong in FROM_ENVIRONMENT],
    ids=[one[0] for one in FROM_ENVIRONMENT],
)
def test_a_wrong_value_of_the_environment_names_its_variable(
    site: Path, monkeypatch: pytest.MonkeyPatch, left_out: str, variable: str, value: str, problem: str, allowed: str
):
    if left_out:
        replaced(site, left_out, "")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert refused.value.what == f"{variable} in the environment: {problem}"
    assert allowed in refused.value.remedy


def test_what_the_file_says_goes_before_the_environment_and_is_to_blame(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KT1_SPEED", "abc")
    monkeypatch.setenv("KT1_LANES", "[]")
    line = replaced(site, "speed = 1.0", "speed = 9")
    replaced(site, 'recipe = "recipes/uvc-tunnel.toml"\n', "")
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert f"{site}:{line}: speed: 9 is not allowed" in refused.value.what
    assert "lanes.0.recipe: is missing" in refused.value.what
    assert "environment" not in refused.value.what


def test_what_the_environment_adds_to_a_table_is_told_apart(site: Path, monkeypatch: pytest.MonkeyPatch):
    """A variable with a whole table fills what the file's table leaves out."""
    replaced(site, "port = 8080\n", "")
    monkeypatch.setenv("KT1_HTTP", '{"port": 80800, "host": "x"}')
    with pytest.raises(ConfigurationError, match=r"KT1_HTTP in the environment: http\.port: 80800 is not allowed"):
        load(site)


def test_a_variable_that_is_no_json_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KT1_SCHEMES", "{whsec_abc")
    with pytest.raises(ConfigurationError, match=r'environment: .* "schemes"') as refused:
        load(site)
    assert "JSON" in refused.value.remedy
    assert "whsec" not in str(refused.value)


def test_no_error_shows_the_password_in_an_address(site: Path, monkeypatch: pytest.MonkeyPatch):
    address = "https://station:hunter2@centre.example"
    line = replaced(site, 'receiver = ""', f'receiver = "{address}"')
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert f"{site}:{line}: tracking.receiver: 'https://***@centre.example' is not allowed" in refused.value.what
    replaced(site, f'receiver = "{address}"\n', "")
    monkeypatch.setenv("KT1_TRACKING__RECEIVER", address)
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert refused.value.what.startswith("KT1_TRACKING__RECEIVER in the environment: tracking.receiver: 'https://***@centre")
