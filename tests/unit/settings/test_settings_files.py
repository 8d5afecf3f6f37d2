"""Configuration: the shipped files are valid, and every wrong key is refused with file, line, key and what is allowed."""

from pathlib import Path

import pytest

from station.disinfect.recipes import tunnel_recipe
from station.domain.errors import ConfigurationError
from station.domain.identifiers import S10, CheckRule, Scheme
from station.domain.policy import Authority
from station.settings import SHIPPED_DIRECTORY, edit, load, read, shipped_files, write_shipped
from station.settings.policy_file import policy_sha256
from tests.unit.settings.file_edits import replaced


def test_the_shipped_files_are_valid_where_they_lie():
    found = load(SHIPPED_DIRECTORY / "station.toml")
    assert [lane.lane_id for lane in found.lanes] == ["lane-1"]
    assert found.lanes[0].devices.generator.profile == "XRV"
    assert found.schemes == (S10,)
    assert found.policy.sha256 == policy_sha256(found.policy)
    assert found.policy.authority_unmarked is Authority.OPERATOR
    assert len(found.checklist.steps) == 9
    recipe = found.lanes[0].recipe
    assert tunnel_recipe(recipe.values, sha256=recipe.sha256).target_mj_per_cm2 == 30.0


def test_the_shipped_files_are_written_once(tmp_path: Path):
    written = write_shipped(tmp_path / "new")
    assert {path.relative_to(tmp_path / "new") for path in written} == set(shipped_files())
    assert load(tmp_path / "new" / "station.toml").data_dir == tmp_path / "new" / "data"
    (tmp_path / "new" / "station.toml").unlink()
    with pytest.raises(ConfigurationError, match="exists already"):
        write_shipped(tmp_path / "new")
    assert not (tmp_path / "new" / "station.toml").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_shipped(tmp_path / "file" / "below")


def test_every_shipped_comment_speaks_both_languages():
    for name in shipped_files():
        text = (SHIPPED_DIRECTORY / name).read_text(encoding="utf-8")
        comments = [line for line in text.splitlines() if line.startswith("# ") and "=" not in line]
        assert any(" / " in line for line in comments)


def test_keys_and_data_lie_beside_the_file(site: Path):
    found = load(site)
    assert found.signing_key_file == site.parent / "keys/tracking-signing.key"
    assert found.receiver_key_file == site.parent / "keys/tracking-receiver.pub"
    assert found.path == site


def test_own_numbering_schemes(site: Path):
    site.write_text(site.read_text() + '\n[[schemes]]\nname = "old"\npattern = "KT[0-9]{6}"\n', encoding="utf-8")
    assert load(site).schemes == (S10, Scheme(name="old", pattern="KT[0-9]{6}", check=CheckRule.NONE))


@pytest.mark.parametrize(("value", "shown"), [("{ a = 1 }", "this table"), ("[{ a = 1 }]", "this list of tables")])
def test_no_table_of_the_file_is_shown(site: Path, value: str, shown: str):
    replaced(site, "speed = 1.0", f"speed = {value}")
    with pytest.raises(ConfigurationError, match=f"speed: {shown} is not allowed"):
        load(site)


WRONG: list[tuple[str, str, str, str, str, str]] = [
    ("unknown key", "station.toml", "data_dir =", "data_dri =", "data_dri: unknown key", "data_dir"),
    ("unknown nested key", "station.toml", "port = 8080", "prot = 8080", "http.prot: unknown key", "host, names, port"),
    ("wrong port", "station.toml", "port = 8080", "port = 80800", "http.port: 80800 is not allowed", "65535"),
    ("open to the network", "station.toml", 'host = "127.0.0.1"', 'host = "0.0.0.0"', "http.host: '0.0.0.0' is not allowed", "127.0.0.1"),
    ("too fast", "station.toml", "speed = 1.0", "speed = 9", "speed: 9 is not allowed", "4"),
    ("not a number", "station.toml", "speed = 1.0", "speed = nan", "speed: nan is not allowed", ""),
    ("no such receipts", "station.toml", 'receipts = "signed"', 'receipts = "maybe"', "tracking.receipts: 'maybe'", "'signed' or 'none'"),
    ("receiver is no address", "station.toml", 'receiver = ""', 'receiver = "ftp://x"', "tracking.receiver: 'ftp://x'", "pattern"),
    ("bad lane name", "station.toml", 'id = "lane-1"', 'id = "Lane 1"', "lanes.0.id: 'Lane 1'", "pattern"),
    ("lane key", "station.toml", "recipe = ", "recepy = ", "lanes.0.recepy: unknown key", "devices, id, recipe"),
    ("alpha", "policy.toml", "alpha = 0.05", "alpha = 0.6", "alpha: 0.6 is not allowed", "0.5"),
    ("old test piece", "policy.toml", "test_piece_max_age_h = 24.0", "test_piece_max_age_h = 48", "test_piece_max_age_h: 48", "24"),
    (
        "no such authority",
        "policy.toml",
        'unmarked = "operator"',
        'unmarked = "nobody"',
        "authority.unmarked: 'nobody'",
        "'model', 'operator'",
    ),
    ("model for marked", "policy.toml", 'B = "operator"', 'B = "model"', "authority.B: 'model' is not allowed", "operator"),
    ("one person for A", "policy.toml", 'A = "two_people"', 'A = "operator"', "authority.A: 'operator' is not allowed", "two_people"),
    ("proof waived", "policy.toml", "unproved_model = false", "unproved_model = true", "unproved_model: True is not allowed", "demo"),
    ("too rare exercises", "policy.toml", "projection_rate = 0.0", "projection_rate = 0.005", "projection_rate", "0.01 to 0.04"),
    ("too many exercises", "policy.toml", "projection_rate = 0.0", "projection_rate = 0.05", "projection_rate", "0.04"),
    ("no level D", "policy.toml", '["A", "B"]', '["A", "D"]', "blind_first_read.1: 'D' is not allowed", "'A', 'B' or 'C'"),
    ("endpoint", "devices/lane-1.toml", '"tcp:192.168.10.10:502"', '"192.168.10.10"', "plc.endpoint: '192.168.10.10'", "tcp:HOST:PORT"),
    ("port 0", "devices/lane-1.toml", '"tcp:192.168.10.10:502"', '"tcp:x:0"', "plc.endpoint: 'tcp:x:0'", "tcp:HOST:PORT"),
    ("serial", "devices/lane-1.toml", "ttyUSB0?baudrate=9600", "ttyUSB0?speed=9600", "generator.endpoint", "serial:PATH"),
    ("baudrate", "devices/lane-1.toml", "ttyUSB0?baudrate=9600", "ttyUSB0?baudrate=fast", "generator.endpoint", "serial:PATH"),
    ("profile", "devices/lane-1.toml", 'profile = "XRV"', 'profile = "XRX"', "generator.profile: 'XRX'", "'XRV' or 'XRB011'"),
    ("kV beyond scale", "devices/lane-1.toml", "kv = 140.0", "kv = 161.0", "generator:", "full_scale_kv"),
    ("watchdog", "devices/lane-1.toml", "unit = 1\nwatchdog_ms = 1000", "unit = 1\nwatchdog_ms = 0", "plc.watchdog_ms: 0", "300"),
    ("beam out of place", "devices/lane-1.toml", "beam_mm = 1600.0", "beam_mm = 2300.0", "geometry:", "rise along the lane"),
    ("four belts", "devices/lane-1.toml", ", 5100.0]", "]", "geometry.belt_starts_mm", ""),
    ("missing", "devices/lane-1.toml", "gate = 5800.0\n", "", "geometry.eyes_mm.gate: is missing", ""),
    ("empty step", "checklists/freeze.toml", 'en = "Call the police"', 'en = ""', "steps.4.en: ''", "at least 1"),
    ("same step", "checklists/freeze.toml", 'id = "call-police"', 'id = "no-radios"', "steps.4.id: 'no-radios' stands twice", "own"),
    ("recipe with a table", "recipes/uvc-tunnel.toml", "lamps = 4", "lamps = [4]", "lamps: is a table or a list", "plain values"),
]


@pytest.mark.parametrize(("name", "file", "old", "new", "problem", "allowed"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_a_wrong_key_says_where_it_stands_and_what_is_allowed(
    site: Path, name: str, file: str, old: str, new: str, problem: str, allowed: str
):
    path = site.parent / file
    line = replaced(path, old, new)
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert problem in refused.value.what
    assert str(path) in refused.value.what
    assert allowed in refused.value.remedy
    if new.count("\n") == 0 and new and "generator:" not in problem and "geometry:" not in problem:
        assert f"{path}:{line}:" in refused.value.what


def test_all_wrong_keys_are_named_at_once_in_the_order_of_the_file(site: Path):
    replaced(site, "speed = 1.0", "speed = 9")
    replaced(site, "port = 8080", "port = -1")
    with pytest.raises(ConfigurationError) as refused:
        load(site)
    assert refused.value.what.index("speed") < refused.value.what.index("http.port")


def test_two_lanes_of_one_name(site: Path):
    lane = site.read_text().split("[[lanes]]")[1]
    site.write_text(f"{site.read_text()}\n[[lanes]]{lane}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"lanes.1.id: 'lane-1' stands twice") as refused:
        load(site)
    line = site.read_text().splitlines().index('id = "lane-1"', site.read_text().splitlines().index('id = "lane-1"') + 1) + 1
    assert f":{line}:" in refused.value.what


def test_a_scheme_with_a_broken_pattern(site: Path):
    site.write_text(site.read_text() + '\n[[schemes]]\nname = "old"\npattern = "KT["\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"schemes.0.pattern: 'KT\[' is not allowed") as refused:
        load(site)
    assert "regular expression" in refused.value.remedy


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"site = ", r":1: "),
        (b'site = "x"\nsite = "y"\n', r":2: "),
        (b"\xff\xfe", "UTF-8"),
        (b'a = "' + b"x" * 1_000_001 + b'"', "bytes"),
        (b"", "site: is missing"),
    ],
)
def test_broken_files(site: Path, content: bytes, why: str):
    site.write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        load(site)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read") as refused:
        load(tmp_path / "none.toml")
    assert "config init" in refused.value.remedy
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path)


def test_lines_are_found_in_every_kind_of_toml(tmp_path: Path):
    path = tmp_path / "x.toml"
    path.write_text(
        'a.b = 1\n"q x" = 2\nlong = """\nc = 3\n"""\n[t.u] # x\nv = 1\n[[w]]\nk = 1\n[[w]]\nk = 2\n[w.s]\nz = 3\n', encoding="utf-8"
    )
    found = read(path)
    expected = {("a", "b"): 1, ("q x",): 2, ("long",): 3, ("t", "u", "v"): 7, ("w", 0, "k"): 9, ("w", 1, "k"): 11, ("w", 1, "s", "z"): 13}
    assert {key: found.line_of(key) for key in expected} == expected
    assert found.line_of(("t", "u", "nothing")) == 6
    assert found.line_of(("nothing",)) == 1
    assert "(the whole file)" in found.error((), "odd", "even").what


def test_a_recipes_hash_changes_with_its_values(site: Path):
    before = load(site).lanes[0].recipe.sha256
    replaced(site.parent / "recipes/uvc-tunnel.toml", "2026-11-02", "2026-11-03")
    assert load(site).lanes[0].recipe.sha256 != before


def test_files_are_edited_with_their_comments(site: Path):
    devices = site.parent / "devices/lane-1.toml"
    edit(devices, {"plc.endpoint": "tcp:127.0.0.1:1502", "geometry.eyes_mm.gate": 5810.0})
    edit(site, {"lanes.0.id": "lane-7", "speed": 4.0})
    found = load(site)
    assert found.lanes[0].devices.plc.endpoint == "tcp:127.0.0.1:1502"
    assert found.lanes[0].devices.geometry.eyes_mm.gate == 5810.0
    assert (found.lanes[0].lane_id, found.station.speed) == ("lane-7", 4.0)
    assert "# Thiết bị của làn 1" in devices.read_text(encoding="utf-8")
    for key in ("no.such.table", "lanes.9.id", "site.x"):
        with pytest.raises(ConfigurationError, match="cannot be changed"):
            edit(site, {key: 1})
