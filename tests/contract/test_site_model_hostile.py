"""A site's own model in wrong hands: strange names, foreign or broken candidates, folders that vanish, a process that dies half-way."""

import base64
import hashlib
import json
import os
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pysqlite3.dbapi2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.findings import Report
from station.audit.log_check import LogCheck
from station.audit.reading import check_log
from station.bootstrap import site_models
from station.bootstrap.model_in_use import model_place
from station.bootstrap.site_fitting import fit
from station.bootstrap.site_models import adopt, listed, roll_back
from station.bootstrap.site_sources import Sources, folder_pieces, stored_pieces
from station.bootstrap.stores import load_scorer, model_card, resume_model
from station.domain.errors import ConfigurationError, ConflictError, RefusedError, ScreeningError
from station.domain.model_use import MODEL_SUBJECT
from station.screening.drift import TRIP_KEY
from station.screening.projection import shipped_library
from station.screening.site_candidate import read_candidate, write_candidate
from station.screening.site_pieces import BenignPiece, ScanSource
from station.settings import Configuration, edit, load
from station.storage.store import SqliteStore
from tests.support.site_store import benign_scan, candidate, fill, names, site, started
from tests.support.store_facts import at, opened


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return load(site(tmp_path))


def taken(configuration: Configuration, name: str, second: float) -> None:
    adopt(configuration, name, person="Lan", note="", at=at(second))


@pytest.mark.parametrize(
    ("person", "note"),
    [("Lan\x1b[2J", ""), ("La\u202en", ""), ("L" * 200, ""), ("\udcff", ""), ("Lan", "good\x1b[1A"), ("Lan", "x" * 5000)],
)
def test_a_name_or_a_note_that_could_forge_what_a_terminal_shows_is_refused(configuration: Configuration, person: str, note: str):
    name = candidate(configuration)
    with pytest.raises(RefusedError, match=r"name|note"):
        adopt(configuration, name, person=person, note=note, at=at(1))
    taken(configuration, name, 2)
    with pytest.raises(RefusedError, match=r"name|note"):
        roll_back(configuration, person=person, note=note, at=at(3))
    with opened(configuration.data_dir) as store:
        store.write(lambda uow: uow.set_value(TRIP_KEY, '{"at": "noon", "causes": []}')).result()
    with pytest.raises(RefusedError, match=r"name|note"):
        resume_model(configuration, person=person, note=note, at=at(4))
    assert [fact.person for fact in listed(configuration)[1]] == ["Lan"]


def test_a_note_of_several_lines_is_one_line_of_the_list(configuration: Configuration):
    fact = adopt(configuration, candidate(configuration), person="Nguyễn\nLan", note="first\n2026 Minh: dùng / in use", at=at(1))
    assert (fact.person, fact.note) == ("Nguyễn Lan", "first 2026 Minh: dùng / in use")


def test_a_candidate_of_another_site_is_not_signed_here(configuration: Configuration):
    name = candidate(configuration, fitted_at="site-of-others")
    with pytest.raises(RefusedError, match="was fitted at site-of-others"):
        taken(configuration, name, 1)
    assert model_place(configuration).folder.name == "model"


def rewritten(configuration: Configuration, name: str, report: bytes, *, without: str = "") -> str:
    """The candidate with another report and less in its manifest, its name made to fit: what no check of hashes can tell."""
    old = read_candidate(configuration.data_dir / "models", name)
    manifest = json.loads(old.data)
    manifest["metrics"]["report_sha256"] = hashlib.sha256(report).hexdigest()
    manifest["metrics"].pop(without, None)
    model = (old.folder / "model.onnx").read_bytes()
    data = json.dumps(manifest).encode()
    return write_candidate(old.folder.parent, "site-forged", model=model, manifest=data, report=report).name


@pytest.mark.parametrize("change", ["no JSON", "[]", "no figures", "no number"])
def test_a_report_that_says_nothing_is_refused_and_not_taken_for_good(configuration: Configuration, change: str):
    name = candidate(configuration)
    report = json.loads((configuration.data_dir / "models" / name / "report.json").read_bytes())
    if change == "no figures":
        del report["measured"]["difference"]["found"]
    elif change == "no number":
        report["measured"]["difference"]["found"]["lo"] = float("nan")
    text = json.dumps(report) if change.startswith("no ") and change != "no JSON" else change
    with pytest.raises(RefusedError):
        taken(configuration, rewritten(configuration, name, text.encode()), 1)
    assert model_place(configuration).folder.name == "model"


async def test_a_bound_of_detection_without_the_rate_of_false_alarms_that_it_was_measured_at_proves_nothing(configuration: Configuration):
    name = candidate(configuration)
    report = (configuration.data_dir / "models" / name / "report.json").read_bytes()
    taken(configuration, rewritten(configuration, name, report, without="alpha"), 1)
    info = await started(configuration)
    assert not info.proved
    assert "not measured" in info.why_not_proved


def test_what_the_station_could_not_load_does_not_take_effect(configuration: Configuration):
    few = candidate(configuration, benign=40, name="few")
    edit(configuration.path.parent / "policy.toml", {"alpha": 0.01})
    with pytest.raises(ScreeningError, match=r"40 benign pieces cannot support a false-alarm rate of 0\.01"):
        taken(load(configuration.path), few, 1)
    edit(configuration.path.parent / "policy.toml", {"alpha": 0.05})
    # scores of two hundred thousand pieces make a manifest that is larger than the station reads
    many = candidate(configuration, benign=120_000, name="many")
    with pytest.raises(ScreeningError, match="larger than"):
        taken(configuration, many, 2)
    assert model_place(configuration).folder.name == "model"


def test_a_model_that_may_not_clear_does_not_take_the_place_of_one_that_does(configuration: Configuration):
    taken(configuration, candidate(configuration), 1)
    edit(configuration.path.parent / "policy.toml", {"authority.unmarked": "model"})
    weak = candidate(configuration, detection=0.5, name="weak")
    with pytest.raises(ConfigurationError, match="is not allowed"):
        taken(load(configuration.path), weak, 2)


async def test_a_process_that_dies_between_signing_and_recording_changes_nothing(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
):
    name = candidate(configuration)
    before = await started(configuration)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(site_models, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        taken(configuration, name, 1)
    monkeypatch.undo()
    assert (configuration.data_dir / "models" / name / "manifest.sig").exists()
    assert model_place(configuration).folder.name == "model"
    assert (await started(configuration)).calibration_sha256 == before.calibration_sha256
    # a signature that nobody recorded is none
    assert [one.signed for one in listed(configuration)[0]] == [False]
    with pytest.raises(ConflictError, match="none before it"):
        roll_back(configuration, person="Lan", note="", at=at(2))
    taken(configuration, name, 3)
    assert (await started(configuration)).proved


def test_a_key_that_cannot_be_made_is_told_in_words(configuration: Configuration):
    (configuration.path.parent / "file").write_text("")
    edit(configuration.path, {"screening.signing_key_file": "file/key"})
    with pytest.raises(ConfigurationError, match="cannot be written"):
        taken(load(configuration.path), candidate(configuration), 1)


async def test_neither_a_folder_under_another_name_nor_another_key_takes_the_place_of_what_was_signed(configuration: Configuration):
    first, second = candidate(configuration), candidate(configuration, benign=700, name="other")
    taken(configuration, first, 1)
    root = configuration.data_dir / "models"
    key = Ed25519PrivateKey.generate()
    data = (root / second / "manifest.json").read_bytes()
    (root / second / "manifest.sig").write_bytes(base64.b64encode(key.sign(data)))
    (root / second / "project-key.pub").write_bytes(base64.b64encode(key.public_key().public_bytes_raw()))
    shutil.move(root / first, root / "aside")
    (root / first).symlink_to(root / second)
    with pytest.raises(ScreeningError, match="not the one that was signed off"):
        await started(configuration)
    # tools that need no signature do not show it as the model in use either
    for tool in (lambda: load_scorer(configuration, 0.05), lambda: model_card(configuration)):
        with pytest.raises(ScreeningError, match="not the one that was signed off"):
            tool()


def checked(store: SqliteStore) -> Report:
    check = LogCheck()
    store.read(lambda view: check_log(view, check, signed=False))
    return check.report()


def test_a_changed_fact_breaks_the_audit_log_on_which_everything_is_held(configuration: Configuration):
    taken(configuration, candidate(configuration), 1)
    with opened(configuration.data_dir) as store:
        assert checked(store).holds
    connection = pysqlite3.dbapi2.connect(next(configuration.data_dir.glob("*.db*")))
    for trigger in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger[0]}")
    connection.execute("UPDATE evidence SET payload = replace(payload, 'Lan', 'Bad') WHERE piece_id = ?", (MODEL_SUBJECT,))
    connection.commit()
    connection.close()
    with opened(configuration.data_dir) as store:
        assert checked(store).first_wrong_leaf == 0


def test_roll_back_passes_over_models_that_are_gone(configuration: Configuration):
    # the three candidates hold the same network, so that each counts as measured beside the one before
    a, b, c = (candidate(configuration, benign=600 + number, name=f"n{number}") for number in range(3))
    for second, name in enumerate((a, b, c)):
        taken(configuration, name, second)
    shutil.rmtree(configuration.data_dir / "models" / b)
    fact, passed_over = roll_back(configuration, person="Lan", note="", at=at(5))
    assert fact.folder == a
    assert [b in one for one in passed_over] == [True]
    assert roll_back(configuration, person="Lan", note="", at=at(6))[0].folder == ""
    with pytest.raises(ConflictError, match="none before it"):
        roll_back(configuration, person="Lan", note="", at=at(7))


def quiet(phase: str, done: int, total: int) -> None:
    del phase, done, total


def test_a_fit_whose_scans_are_all_gone_says_so(configuration: Configuration):
    def gone() -> ScanSource:
        raise ScreeningError("the scan was deleted")

    pieces = tuple(BenignPiece(name=f"P{number}", kind="envelope", sha256=str(number), load=gone) for number in range(120))
    with pytest.raises(ScreeningError, match="the scan was deleted"):
        fit(configuration, Sources(pieces=pieces, told={}, fitted_on="site-1"), at=at(), jobs=1, progress=quiet)


@pytest.mark.parametrize("name", [b"\xc0nh.png", b"\x1b[2J.png"])
def test_a_picture_whose_name_is_no_text_has_one_all_the_same(tmp_path: Path, name: bytes):
    assert cv2.imwrite(str(tmp_path / "made.png"), np.full((60, 60, 3), 255, np.uint8))
    (tmp_path / "made.png").rename(tmp_path / os.fsdecode(name))
    (piece,) = folder_pieces(tmp_path, "dense-black", "site-1").pieces
    assert piece.name.isprintable()
    assert piece.load().seen().le.size


def test_a_picture_that_says_it_is_larger_than_any_memory_is_left_out(tmp_path: Path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    data = b"".join(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    (piece,) = folder_pieces(tmp_path, "dense-black", "site-1").pieces
    with pytest.raises(ScreeningError, match="cannot be decoded"):
        piece.load()


def test_a_fit_on_broken_pictures_with_strange_names_says_so(configuration: Configuration, tmp_path: Path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(150):
        (folder / os.fsdecode(b"\xc0%d.png" % number)).write_bytes(b"%d" % number)
    sources = folder_pieces(folder, "dense-black", "site-1")
    with pytest.raises(ScreeningError, match=r"of the first it is said: picture \\udcc0"):
        fit(configuration, sources, at=at(), jobs=1, progress=quiet)


@pytest.mark.parametrize("shape", [(1, 3000), (9000, 20)])
def test_a_picture_of_a_shape_that_nothing_fits_into_stops_no_fit(tmp_path: Path, shape: tuple[int, int]):
    assert cv2.imwrite(str(tmp_path / "strip.png"), np.full((*shape, 3), 255, np.uint8))
    (piece,) = folder_pieces(tmp_path, "dense-black", "site-1").pieces
    source = piece.load()
    assert source.seen().le.size
    assert source.with_threat(shipped_library(), np.random.default_rng(1)) is None


def test_only_pieces_read_blind_calibrate_and_are_measured_on(configuration: Configuration):
    fitting, calibrating, blind = names()[0], names()[-1], names()[10]
    scans = {name: benign_scan(number) for number, name in enumerate((fitting, calibrating, blind))}
    fill(configuration.data_dir, scans, shown=(fitting, calibrating))
    found = stored_pieces(configuration, at(0))
    assert [piece.name for piece in found.pieces] == sorted([fitting, blind])
    assert (found.told["read_blind"], found.told["not_taken"]) == (1, {"not-read-blind": 1})
