"""What a technician gives away with a support bundle: a site full of planted names and secrets, and every byte searched for them."""

import json
import logging
import os
import resource
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from station.bootstrap import support_bundle
from station.bootstrap.own_log import log_file
from station.bootstrap.redaction import ABOUT_A_PIECE, Plain, Redaction
from station.bootstrap.stores import open_store
from station.bootstrap.vault import open_images
from station.cli.logs import LogQueue, configure_logs
from station.clock import SystemClock
from station.domain.access import Role
from station.domain.accounts import MachineToken, User
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.review import Handover
from station.ports.access import Account, KnownBrowser, Link, Session, StoredToken
from station.settings import Configuration, edit, load
from station.storage.store import SqliteStore
from tests.support.images import raw_scan
from tests.support.store_facts import event, scan
from tests.support.terminal import Terminal

NOW = SystemClock().utc_now()
S10, OTHER = "EE473124829VN", "BADINH-0047-X"
NAMES = (
    "Trần Quỳnh Hương",
    "tqhuong",
    "Văn phòng Trung ương",
    "don-vi-88-HN",
    "tram-soi.bado.test",
    "10.77.3.9",
    "centre.bado.test",
    "bado-7",
)
NAMES_INSIDE = ("Quỳnh", "bado", "don-vi")
UNKNOWN = ("Phạm Gia Khiêm", "192.168.44.5", "fe80::1ff:fe23:4567:890a", "RR112233445VN", "pgkhiem@vpcp.test")
SECRETS = ("S3cr3t-Sh4red-Value", "hunter2hunter2", "AAAAgeheimnisAAAA", "k9-Pa55-Phrase", "9f" * 32, "8e" * 32, "7d" * 32, "6c" * 32)
NOTE = "người gửi có vẻ lo lắng"
HIDDEN_FIGURES = ("0.98765", "level-seven")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without loading the model, which others look at."""
    wanted = tuple(part for part in support_bundle.PARTS if part.name not in {"doctor.json", "model.json"})
    monkeypatch.setattr(support_bundle, "PARTS", wanted)


def make_site(directory: Path, terminal: Terminal, level: Secrecy | None = Secrecy.A) -> Configuration:
    assert terminal.run("config", "init", directory)[0] == 0
    file, keys = directory / "station.toml", directory / "keys"
    keys.mkdir()
    (keys / "shared.secret").write_text(f"whsec_{SECRETS[0]}")
    (keys / "token").write_text(SECRETS[1])
    small = {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1}
    tracking = {"tracking.receiver": "http://centre.bado.test:8443/in", "tracking.secret_files": ["keys/shared.secret"]}
    edit(file, small | tracking | {"site": NAMES[7], "http.names": [NAMES[4], NAMES[5]], "tracking.token_file": "keys/token"})
    edit(file, {"schemes": [{"name": "badinh", "pattern": "BADINH-[0-9]{4}-[A-Z]"}]})
    configuration = load(file)
    fill(configuration, level)
    return configuration


def fill(site: Configuration, level: Secrecy | None) -> None:
    sha256 = open_images(site, SystemClock()).put(raw_scan(12, 8), level)
    store = open_store(site)
    try:
        put_people(store)
        put_pieces(store, sha256, level)
    finally:
        store.close()
    put_log(site)


def put_people(store: SqliteStore) -> None:
    user = User(user_id="u1", login=NAMES[1], display_name=NAMES[0], roles=frozenset({Role.OPERATOR}), clearance=Secrecy.A)

    def work(uow: Any) -> None:
        uow.put_account(Account(user=user, password_hash=f"$argon2id$v=19$m=65536,t=3,p=4${SECRETS[2]}"))
        uow.put_session(Session(token_sha256=SECRETS[4], user_id="u1", made_at=NOW, seen_at=NOW, confirmed_at=None))
        uow.put_token(StoredToken(token=MachineToken(token_id="t1", name="may-dinh-vi", clearance=None), token_sha256=SECRETS[5]))
        uow.put_link(Link(link_sha256=SECRETS[6], user_id="u1", expires_at=NOW))
        uow.put_browser(KnownBrowser(token_sha256=SECRETS[7], user_id="u1", seen_at=NOW))

    store.write(work).result(30)


def put_pieces(store: SqliteStore, sha256: str, level: Secrecy | None) -> None:
    def work(uow: Any) -> None:
        for number, piece_id in enumerate((S10, OTHER)):
            advice = Announcement(piece_id=piece_id, secrecy=level, destination=NAMES[2], sender_unit=NAMES[3], kind="envelope")
            uow.announce(advice, NOW)
            for state in (PieceState.ARRIVED, PieceState.SCANNING, PieceState.SCANNED, PieceState.HELD):
                uow.change_state(piece_id, state, NOW, lane_id="lane-1", visit=1, reasons=["opaque-area"] if number else [])
            uow.append(scan(piece_id, sha256))
            uow.publish(event(piece_id))
            uow.mark_retry(
                piece_id, 1, NOW + timedelta(hours=1), f"{piece_id}: refused for {UNKNOWN[0]} by {UNKNOWN[1]}, token={SECRETS[1]}"
            )
        uow.append(Handover(piece_id=S10, visit=1, at=NOW, to=f"{UNKNOWN[0]}: {NOTE}", person=NAMES[1]))
        uow.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.CRITICAL, S10, f"score {HIDDEN_FIGURES[0]}", NOW)
        uow.raise_alarm(AlarmCode.FROZEN, AlarmPriority.CRITICAL, "lane-1", f"{NAMES[0]} and {UNKNOWN[0]} at {UNKNOWN[2]}", NOW)
        uow.raise_alarm(AlarmCode.DEVICE_LOST, AlarmPriority.HIGH, "lane-1", f"{OTHER}: level-seven, password={SECRETS[3]}", NOW)
        alarm = uow.raise_alarm(AlarmCode.DISK_LOW, AlarmPriority.LOW, NAMES[7], f"{NAMES[5]} {UNKNOWN[4]}", NOW)
        uow.acknowledge_alarm(alarm.alarm_id, NAMES[1], NOW)

    store.write(work).result(30)


def fail(what: str) -> None:
    raise StoreError(what, remedy="Ask again")


def put_log(site: Configuration) -> None:
    configure_logs(log_file(site.data_dir))
    log = structlog.get_logger("station.workflow.lane")
    log.warning("lane stopped", lane="lane-1", reason="device-lost", detail=f"no answer from {NAMES[4]} ({NAMES[5]}:502)")
    log.warning("a decision was not taken", piece=OTHER, visit=1, error=f"score {HIDDEN_FIGURES[0]} of {OTHER}, {NAMES[0]}", p=0.98765)
    log.info("lane command", lane="lane-1", command="start", person=UNKNOWN[0])
    log.info("lane command", lane="lane-1", command="stop", person=UNKNOWN[0])
    logging.getLogger("station.api").error("request failed: GET /api/v1/pieces/%s from %s", S10, UNKNOWN[2])
    try:
        fail(f"The record of {UNKNOWN[0]} at {UNKNOWN[1]} for {NAMES[2]} failed, password={SECRETS[3]}")
    except StoreError:
        log.exception("it failed", image=b"\x00", unit=NAMES[3])
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogQueue):
            handler.close()
    with log_file(site.data_dir).open("a", encoding="utf-8") as file:
        file.write(f"Traceback of {UNKNOWN[0]}: token {SECRETS[1]}\n")
        file.write(json.dumps({"event": f"{NAMES[0]} typed", "password": SECRETS[3], UNKNOWN[0]: {"x": [UNKNOWN[1]]}}) + "\n")


@pytest.fixture
def site(terminal: Terminal, tmp_path: Path) -> Configuration:
    return make_site(tmp_path / "site", terminal)


@pytest.fixture
def running(site: Configuration) -> Iterator[SqliteStore]:
    """Somebody works on the data: the devices are left to it."""
    store = open_store(site)
    yield store
    store.close()


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def bundle_of(terminal: Terminal, site: Configuration, *arguments: str, name: str = "b.zip") -> dict[str, bytes]:
    code, _, err = terminal.run("support-bundle", "--config", site.path, "--out", name, *arguments)
    assert code == 0, err
    return parts_of(Path(name))


def found_in(parts: dict[str, bytes], planted: tuple[str, ...]) -> list[str]:
    """Which of these stand there, in whatever way they may be written."""
    found = []
    for name, content in parts.items():
        text = content.decode()
        shown = {text, json.dumps(text)[1:-1], text.encode().decode("unicode_escape", errors="replace")}
        everything = "\n".join(unicodedata.normalize("NFC", one).casefold() for one in shown)
        found += [f"{one} in {name}" for one in planted if unicodedata.normalize("NFC", one).casefold() in everything]
    return found


def test_the_search_finds_what_is_there(terminal: Terminal, quick: None, site: Configuration):
    parts = bundle_of(terminal, site, "--no-redact")
    assert {line.partition(" in ")[0] for line in found_in(parts, (S10, OTHER, *NAMES, *UNKNOWN))} >= {
        *(S10, OTHER, NAMES[0], NAMES[1], *NAMES[4:], UNKNOWN[0], UNKNOWN[1])
    }
    # Inside the house names are told, secrets, images and notes are not.
    sha256 = next(path.stem for path in (site.data_dir / "images").rglob("*.scan"))
    assert found_in(parts, (*SECRETS, NOTE, sha256, "whsec_")) == []
    assert "INSIDE THE HOUSE" in parts["README.md"].decode()


def test_nothing_planted_leaves_the_house(terminal: Terminal, site: Configuration, running: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KT1_HTTP__PORT", SECRETS[1])
    monkeypatch.setenv(f"KT1_{UNKNOWN[0]}", SECRETS[1])
    monkeypatch.delenv("KT1_HTTP__PORT")
    parts = bundle_of(terminal, site)
    sha256 = next(path.stem for path in (site.data_dir / "images").rglob("*.scan"))
    planted = (S10, OTHER, *NAMES, *NAMES_INSIDE, *UNKNOWN, "Khiêm", "vpcp", *SECRETS, NOTE, *HIDDEN_FIGURES, sha256, sha256[:12], "whsec_")
    assert found_in(parts, planted) == []
    assert found_in(parts, ("opaque-area", '"level": "A"', "-A-")) == []
    manifest = json.loads(parts["manifest.json"])
    assert manifest["not_gathered"] == {}
    assert {*manifest["files"], "manifest.json"} == set(parts)
    read = {name: json.loads(content) for name, content in parts.items() if name.endswith(".json")}
    checks = {one["name"]: one for one in read["doctor.json"]}
    assert "the devices are left to it" in checks["devices"]["found"]
    assert read["versions.json"]["onnxruntime"]
    assert read["configuration.json"]["policy_sha256"] == site.policy.sha256
    assert read["store.json"]["rows"]["piece"] == 2
    assert read["outbox.json"]["written"] == 2
    assert {"day": NOW.date().isoformat(), "lane": "lane-1", "before": "scanned", "after": "held", "pieces": 2} in read["lanes.json"][
        "changes"
    ]
    assert read["audit.json"]["holds_at_its_end"]
    assert read["vault.json"]["images_by_day"] == {NOW.date().isoformat(): 1}
    by_code = {one["code"]: one for one in read["alarms.json"]}
    assert (by_code["attention"]["subject"], by_code["attention"]["detail"]) == ("a piece", "")
    assert by_code["device-lost"]["detail"] == ABOUT_A_PIECE
    log = [json.loads(line) for line in parts["log.jsonl"].splitlines()]
    first, undecided, started, stopped, _, failed, typed, strange = log
    assert (first["event"], first["lane"], first["reason"]) == ("lane stopped", "lane-1", "device-lost")
    assert first["detail"].startswith("no answer from host-")
    assert undecided["piece"].startswith("piece-")
    assert undecided["error"] == undecided["p"] == ABOUT_A_PIECE
    assert started["person"] == stopped["person"]
    assert failed["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert "StoreError: The record of word-" in failed["exception"]
    assert (typed["password"], strange["lines"]) == ("***", 1)
    assert Path("b.zip").stat().st_mode & 0o777 == 0o600


def test_pseudonyms_hold_within_a_bundle_and_never_beyond(terminal: Terminal, quick: None, site: Configuration):
    code, out, err = terminal.run("support-bundle", "--config", site.path, "--json")
    told = json.loads(out)
    assert (code, err, told["redacted"], told["not_gathered"]) == (0, "", True, {})
    one, other = (json.loads(parts["alarms.json"]) for parts in (parts_of(Path(told["file"])), bundle_of(terminal, site)))
    acknowledged = [[row["acknowledged_by"] for row in rows if row["acknowledged_by"]] for rows in (one, other)]
    assert acknowledged[0][0].startswith("person-")
    assert acknowledged[0] != acknowledged[1]


def test_a_bundle_does_not_tell_of_which_level_pieces_are(terminal: Terminal, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("station.bootstrap.support_site.Redaction", lambda: Redaction(bytes(32)))
    found = []
    for level in (None, Secrecy.A):
        site = make_site(tmp_path / f"site-{level}", terminal, level)
        parts = bundle_of(terminal, site, name=f"{level}.zip")
        found.append({name: parts[name] for name in ("alarms.json", "lanes.json", "vault.json", "outbox.json", "configuration.json")})
    assert found[0] == found[1]


@pytest.mark.parametrize("text", ["data_dir = [", 'site = "x"\nsmtp_password = "hunter2hunter2"\nport_name = "k9-Pa55-Phrase"\n', None])
def test_a_broken_configuration_is_told_and_hides_nothing_else(terminal: Terminal, quick: None, site: Configuration, text: str | None):
    if text is None:
        site.path.unlink()
    else:
        site.path.write_text(
            text + f'\n# {NAMES[0]}\n[tracking]\nsecret_files = ["{SECRETS[0]}"]\n[{UNKNOWN[1].replace(".", "-")}]\na = 1\n'
        )
    parts = bundle_of(terminal, site)
    assert found_in(parts, (*SECRETS, *NAMES[:7], *UNKNOWN, S10, OTHER)) == []
    shown = json.loads(parts["configuration.json"])
    assert not shown["holds"]
    assert shown["trouble"].startswith("ConfigurationError: ")
    assert set(json.loads(parts["manifest.json"])["not_gathered"]) == {"outbox.json", "audit.json", "vault.json"}
    assert json.loads(parts["store.json"])["rows"]["piece"] == 2
    assert "could NOT be gathered" in parts["README.md"].decode()
    # Inside the house it is the same: what the station does not know may be anything.
    assert found_in(bundle_of(terminal, site, "--no-redact", name="plain.zip"), SECRETS) == []


def test_without_a_database_or_with_a_damaged_one_the_rest_is_there(terminal: Terminal, quick: None, site: Configuration):
    database = site.data_dir / "station.db"
    content = bytearray(database.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database.write_bytes(content)
    parts = bundle_of(terminal, site, name="damaged.zip")
    assert found_in(parts, (*SECRETS, *NAMES[:4], *UNKNOWN, S10, OTHER, "0047")) == []
    rows = json.loads(parts["store.json"])["rows"]
    assert all("could not be read" in str(found) for found in rows.values())
    assert "alarms.json" in json.loads(parts["manifest.json"])["not_gathered"]
    for path in site.data_dir.glob("station.db*"):
        path.unlink()
    parts = bundle_of(terminal, site, name="missing.zip")
    assert "There is no database" in json.loads(parts["store.json"])["trouble"]
    assert "log.jsonl" in parts
    assert found_in(parts, (*SECRETS, *UNKNOWN, S10, OTHER, "0047")) == []


def test_a_place_that_cannot_be_looked_at_costs_no_bundle(terminal: Terminal, quick: None, site: Configuration):
    # No more than EACCES or EIO is this "there is none".
    edit(site.path, {"data_dir": "x" * 300})
    parts = bundle_of(terminal, site)
    manifest = json.loads(parts["manifest.json"])
    assert "outbox.json" in manifest["not_gathered"]
    assert "versions.json" in manifest["files"]
    assert found_in(parts, (*SECRETS, *NAMES[4:], *UNKNOWN)) == []


def test_a_full_disk_leaves_no_half_bundle_and_nothing_is_overwritten(terminal: Terminal, quick: None, site: Configuration):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        code, out, err = terminal.run("support-bundle", "--config", site.path, "--out", "full.zip")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (code, out) == (3, "")
    assert "no half one is left" in err
    assert not Path("full.zip").exists()

    Path("there.zip").write_text("mine")
    Path("dangling.zip").symlink_to("nowhere")
    for name in ("there.zip", "dangling.zip"):
        code, _, err = terminal.run("support-bundle", "--config", site.path, "--out", name)
        assert (code, "exists already" in err) == (2, True)
    assert Path("there.zip").read_text() == "mine"
    assert not Path("nowhere").exists()
    code, _, err = terminal.run("support-bundle", "--config", site.path, "--out", "no/where.zip")
    assert (code, "cannot be made" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The disk has not answered for 5 s", "The disk has not answered for 5 s"),
        ("connection refused (errno 111) at 2026-11-27T22:48:27", "connection refused (errno 111) at 2026-11-27T22:48:27"),
        ("aabbccdd" * 8, None),
        ("Nguye\N{COMBINING CIRCUMFLEX ACCENT}\N{COMBINING TILDE}n", None),
        ("Nguy\\u1ec5n%20L%C3%A2n", None),
        ("2026-11-20-A-0a1b2c3d is lost", "key-of-2026-11-20 is lost"),
        ("00:1a:2b:3c:4d:5e", None),
        ("10.77.3.9:502 and [fe80::1ff:fe23:4567:890a]:502 or fe80::1ff:fe23:4567:890a: no answer", None),
        (f"{S10} is held", ABOUT_A_PIECE),
        ("LOCAL-lane-1-47 is held", ABOUT_A_PIECE),
        ("ee473124829vn", ABOUT_A_PIECE),
    ],
)
def test_a_text_keeps_only_the_programs_own_words(text: str, shown: str | None):
    found = Redaction(bytes(32)).text(text)
    if shown is not None:
        assert found == shown
    else:
        assert not {word for word in ("aabbccdd", "n%20L", "1ec5", "1a:", "Nguy", "77", "4567", "890a") if word in found}
    assert Plain().text(text) == text


def test_a_traceback_tells_where_but_not_what_stood_there():
    where = Path(support_bundle.__file__)
    text = (
        "Traceback (most recent call last):\n"
        f'  File "{where}", line 7, in khiem\n    secret = Khiem("7")\n    ^^^^^^\n'
        f'  File "/srv/Khiem/plan.py", line 9, in x\n    open("Khiem")\n'
        "ValueError: Khiem\n    more of Khiem\nstation.domain.errors.StoreError: The store is closed\nKhiemError: Khiem\n"
    )
    shown = Redaction(bytes(32)).trace(text, about_piece=False).splitlines()
    assert shown[1:3] == ["  station/bootstrap/support_bundle.py:7", "  a file elsewhere:9"]
    assert shown[4:] == ["StoreError: The store is closed"]
    assert "khiem" not in "\n".join(shown).lower()
    assert ABOUT_A_PIECE in Redaction(bytes(32)).trace(text, about_piece=True)
