"""A site's own model: from released pieces in the store to a supervisor's sign-off, through the real worker, and back."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from station import durable_file
from station.bootstrap import site_fitting
from station.bootstrap.model_in_use import model_place
from station.bootstrap.model_start import say_whether_proved
from station.bootstrap.site_fitting import LOCK_NAME, Fitted, fit, require_pieces
from station.bootstrap.site_models import adopt, listed, roll_back
from station.bootstrap.site_sources import Sources, folder_pieces, stored_pieces
from station.bootstrap.stores import drift_state, drift_watch
from station.cli import main
from station.cli.model_fit import MATRIX_THREADS
from station.clock import SystemClock
from station.domain.errors import ConfigurationError, ConflictError, NotFoundError, RefusedError, ScreeningError, StationError, StoreError
from station.screening.drift import TRIP_KEY
from station.screening.manifest import load_model
from station.screening.site_report import report_lines
from station.screening.spots import THREAT_CLASSES
from station.settings import Configuration, edit, load
from station.storage.sqlite import DirectoryLock
from tests.support import screening_models as models
from tests.support.site_store import CALIBRATING, FITTING, MEASURING, benign_scan, candidate, fill, names, site, started
from tests.support.store_facts import at, check_audit, opened

THREATENING, DAMAGED, BY_MODEL = FITTING, FITTING + 1, 0
"""Numbers of pieces: one that looks as if it held a threat, one whose file is damaged, one that no person chose."""


def quiet(phase: str, done: int, total: int) -> None:
    del phase, done, total


SMALL_SITE = """
import sys
from station import cli
from station.bootstrap import site_fitting
from station.screening import site_scoring

site_fitting.LEAST_FITTING, site_fitting.LEAST_MEASURING = 5, 3
site_scoring.THREATS_TO_FIT, site_scoring.THREATS_TO_MEASURE = 1, 2
sys.argv[0] = "station"
cli.main()
"""
"""The command as it is, for a site with as many pieces as a test has seconds."""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    """One fit over the store's own scans, by the command line; tests work on copies of its directory."""
    directory = tmp_path_factory.mktemp("site")
    file, ids = site(directory), names()
    fill(
        directory / "data",
        {name: benign_scan(number, threatening=number == THREATENING) for number, name in enumerate(ids)},
        model_decides=ids[BY_MODEL],
    )
    damaged = next(one for one in stored_pieces(load(file), at(0)).pieces if one.name == ids[DAMAGED]).sha256
    path = directory / "data" / "images" / damaged[:2] / f"{damaged}.scan"
    path.write_bytes(path.read_bytes()[:-40])
    edit(directory / "policy.toml", {"alpha": 0.1})
    arguments = ["model", "fit", "--since", "2026-11-19", "--config", str(file), "--json"]
    # given here, so that the command need not begin anew
    environment = {**os.environ, MATRIX_THREADS: "1"}
    done = subprocess.run([sys.executable, "-c", SMALL_SITE, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    return file, Fitted(folder=directory / "data" / "models" / report.pop("candidate"), report=report)


@pytest.fixture
def copied(fitted: tuple[Path, Fitted], tmp_path: Path) -> tuple[Configuration, Fitted]:
    file, found = fitted
    shutil.copytree(file.parent, tmp_path / "site")
    return load(tmp_path / "site" / "station.toml"), found


def test_the_report_names_all_that_the_candidate_stands_on(fitted: tuple[Path, Fitted]):
    file, found = fitted
    ids, report = names(), found.report
    assert report["sources"]["not_taken"] == {"only-read-because-of-the-model": 1}
    assert list(report["split"]["left_out"]) == [ids[DAMAGED]]
    parts = {part: len(report["split"][part]) for part in ("fitting", "calibrating", "measuring")}
    assert sum(parts.values()) == FITTING + CALIBRATING + MEASURING - 2
    served = [one[0] for part in ("fitting", "calibrating") for one in report["split"][part]] + report["split"]["measuring"]
    assert len(set(served)) == len(served)
    assert ids[BY_MODEL] not in served
    # one piece that looks like a threat is named, and does not lift the threshold of the others
    assert report["highest_benign"][0]["piece"] == ids[THREATENING]
    assert report["calibration"]["unknown"]["threshold"] < report["highest_benign"][0]["score"]
    assert not report["calibration"]["envelope"]["may_clear"]
    assert not set(report["threats"]["fitting"]) & set(report["threats"]["measuring"])
    manifest = json.loads((found.folder / "manifest.json").read_bytes())
    assert (
        report["models"]["candidate"] == manifest["model_sha256"] == hashlib.sha256((found.folder / "model.onnx").read_bytes()).hexdigest()
    )
    assert report["models"]["delivered"] == report["models"]["in_use"] != report["models"]["candidate"]
    assert manifest["freeze_score"] is None
    assert json.loads((found.folder / "report.json").read_bytes()) == report
    # darkness of steel and lead is what the delivered head hardly saw
    assert report["measured"]["difference"]["auroc"]["lo"] > 0
    assert report["objections"] == []
    told = "\n".join(report_lines(report))
    assert "fewer than 500: people decide" in told
    # half of the classes that the station has words for cannot be projected, and the report claims nothing of them
    missing = ["ammunition", "initiator", "sheet_explosive", "bulk_explosive", "aerosol", "lithium_pack"]
    assert report["threats"]["not_in_library"] == missing
    assert f"not in the threat library): {', '.join(missing)}" in told
    measured = set(report["measured"]["by_class"])
    assert set(report["measured"]["not_measured"]) == set(THREAT_CLASSES) - measured
    assert manifest["metrics"]["classes_measured"] == sorted(measured)
    assert set(report["measured"]["detection_by_kind"]["unknown"]["classes"]) == measured
    assert "đang dùng / in use" in told
    assert model_place(load(file)).folder == file.parent / "model"


async def test_a_candidate_loads_only_when_it_was_signed_off_and_nothing_changed_since(copied: tuple[Configuration, Fitted]):
    configuration, found = copied
    name = found.folder.name
    delivered = await started(configuration)
    with pytest.raises(ScreeningError, match="not signed"):
        load_model(configuration.data_dir / "models" / name, trusted_keys=models.KEYS)
    fact = adopt(configuration, name, person=" Lan ", note="first", at=at(100))
    assert (fact.person, fact.folder, fact.rolled_back) == ("Lan", name, False)
    info = await started(configuration)
    assert info.sha256 == found.report["models"]["candidate"] != delivered.sha256
    assert not info.proved
    assert "benign pieces stand behind its threshold, 500 are needed" in info.why_not_proved
    key = configuration.path.parent / "keys" / "model-signing.key"
    assert key.stat().st_mode & 0o777 == 0o600
    # the key beside the model does not make it trusted
    with pytest.raises(ScreeningError, match="not trusted here"):
        load_model(configuration.data_dir / "models" / name)
    with opened(configuration.data_dir) as store:
        check_audit(store)
    manifest = configuration.data_dir / "models" / name / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ScreeningError, match="not the one that was signed off"):
        await started(configuration)


async def test_roll_back_goes_to_the_model_before_and_the_drift_watch_begins_anew(copied: tuple[Configuration, Fitted]):
    configuration, found = copied
    delivered = drift_watch(configuration)
    first = found.folder.name
    adopt(configuration, first, person="Lan", note="", at=at(100))
    with pytest.raises(ConflictError, match="in use already"):
        adopt(configuration, first, person="Lan", note="", at=at(101))
    # measured beside the delivered model, which is no longer the one in use
    with pytest.raises(RefusedError, match="measured beside another model"):
        adopt(configuration, candidate(configuration), person="Lan", note="", at=at(102))
    watch = drift_watch(configuration)
    assert watch._calibration_sha256 != delivered._calibration_sha256
    assert drift_state(configuration)["scores"] == {}
    fact, passed_over = roll_back(configuration, person="Minh", note="odd", at=at(200))
    assert passed_over == []
    assert (fact.folder, fact.model_sha256, fact.rolled_back) == ("", found.report["models"]["delivered"], True)
    assert (await started(configuration)).sha256 == found.report["models"]["delivered"]
    with pytest.raises(ConflictError, match="none before it"):
        roll_back(configuration, person="Minh", note="", at=at(201))
    folders, facts = listed(configuration)
    assert [(one.name == first, one.signed, one.used) for one in folders if one.name == first] == [(True, True, False)]
    assert [one.person for one in facts] == ["Lan", "Minh"]


async def test_a_model_that_enough_pieces_stand_behind_needs_no_waiver(tmp_path: Path):
    configuration = load(site(tmp_path))
    adopt(configuration, candidate(configuration), person="Lan", note="", at=at(1))
    info = await started(configuration)
    assert info.proved, info.why_not_proved
    # the bound holds for the threshold at which it was measured, not for a higher one
    edit(configuration.path.parent / "policy.toml", {"alpha": 0.01})
    assert "detection" in (await started(load(configuration.path))).why_not_proved
    edit(configuration.path.parent / "policy.toml", {"alpha": 0.05, "unproved_model": True})
    waived = load(configuration.path, demo=True)
    with opened(tmp_path / "data") as store:
        for model, alarms in ((None, ["unproved-model"]), (info, [])):
            say_whether_proved(waived, model, store, SystemClock())
            assert [one.code.value for one in store.read(lambda view: view.alarms()) if one.cleared_at is None] == alarms


@pytest.mark.parametrize(
    ("change", "person", "error", "says"),
    [
        (None, " ", RefusedError, "Nobody took the responsibility"),
        ("model.onnx", "Lan", RefusedError, r"model\.onnx is another one"),
        ("report.json", "Lan", RefusedError, r"report\.json is another one"),
        ("manifest.json", "Lan", RefusedError, r"manifest\.json is another one"),
        ("gone", "Lan", RefusedError, "cannot be read"),
        ("worse", "Lan", RefusedError, r"as low as -0\.110, and -0\.02 is the bound"),
        ("absent", "Lan", NotFoundError, "no candidate"),
    ],
)
def test_a_sign_off_is_refused_and_changes_nothing(tmp_path: Path, change: str | None, person: str, error: type[StationError], says: str):
    configuration = load(site(tmp_path))
    name = candidate(configuration, gain=-0.1 if change == "worse" else 0.1)
    folder = configuration.data_dir / "models" / name
    if change == "gone":
        (folder / "report.json").unlink()
    elif change == "absent":
        name = "../models"
    elif change not in {None, "worse"}:
        path = folder / change
        path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(error, match=says):
        adopt(configuration, name, person=person, note="", at=at(1))
    assert model_place(configuration).folder == tmp_path / "model"
    assert not (folder / "manifest.sig").exists()


def test_a_person_at_a_terminal_signs_off_looks_and_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    configuration = load(site(tmp_path))
    name = candidate(configuration)
    with opened(tmp_path / "data") as store:
        store.write(lambda uow: uow.set_value(TRIP_KEY, '{"at": "noon", "causes": []}')).result()

    def said(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["station", "model", *arguments, "--config", str(configuration.path)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out.splitlines()

    assert said("list") == [f"{name}  chưa ký / not signed"]
    taken, freeze, drift = said("adopt", name, "--supervisor", "Lan", "--note", "first")
    assert f"Lan: dùng / in use {name}" in taken
    assert taken.endswith("first")
    assert "set policy.freeze_score" in freeze
    assert "station model resume" in drift
    assert said("list")[0] == f"{name}  đang dùng / in use"
    assert "the delivered model" in said("rollback", "--supervisor", "Minh")[0]
    listing = said("list")
    assert listing[0] == f"{name}  đã ký / signed"
    assert len(listing) == 3
    assert [row["rolled_back"] for row in json.loads(said("list", "--json")[0])["history"]] == [False, True]


def test_a_damaged_model_is_not_gone_back_to(tmp_path: Path):
    configuration = load(site(tmp_path))
    name = candidate(configuration)
    adopt(configuration, name, person="Lan", note="", at=at(1))
    (tmp_path / "model" / "manifest.sig").unlink()
    with pytest.raises(ScreeningError, match="not signed"):
        roll_back(configuration, person="Lan", note="", at=at(2))
    assert model_place(configuration).folder.name == name


def test_nobody_signs_off_while_the_station_works(tmp_path: Path):
    configuration = load(site(tmp_path))
    name = candidate(configuration)
    with opened(tmp_path / "data"), pytest.raises(StoreError, match="in use by another station"):
        adopt(configuration, name, person="Lan", note="", at=at(1))


def nothing_left(configuration: Configuration) -> bool:
    return {path.name for path in (configuration.data_dir / "models").iterdir()} <= {LOCK_NAME}


EMPTY = Sources(pieces=(), told={}, fitted_on="site-1")


def test_a_fit_that_cannot_be_done_says_so_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    configuration = load(site(tmp_path))
    with pytest.raises(ScreeningError, match=r"0 pieces to fit, 0 to calibrate, 0 to measure are too few; 20, 19 and 10 are the least"):
        fit(configuration, EMPTY, at=at(), jobs=1, progress=quiet)
    with pytest.raises(ScreeningError, match=r"99 are the least|20, 99 and 10"):
        require_pieces(1000, 98, 1000, alpha=0.01)
    (tmp_path / "data" / "models").mkdir(parents=True, exist_ok=True)
    with DirectoryLock(tmp_path / "data" / "models" / LOCK_NAME), pytest.raises(ConflictError, match="Another fit"):
        fit(configuration, EMPTY, at=at(), jobs=1, progress=quiet)
    edit(configuration.path, {"screening.model": ""})
    with pytest.raises(ScreeningError, match="heat-net-1 has no head that a site could fit") as told:
        fit(load(configuration.path), EMPTY, at=at(), jobs=1, progress=quiet)
    assert "Install a model that gives features" in told.value.remedy
    edit(configuration.path, {"screening.model": "model", "storage.free_floor_mb": 1 << 40})
    with pytest.raises(StoreError, match=r"less than storage\.free_floor_mb"):
        fit(load(configuration.path), EMPTY, at=at(), jobs=1, progress=quiet)
    monkeypatch.setattr("station.screening.projection.library.SHIPPED", tmp_path)
    site_fitting.shipped_library.cache_clear()
    edit(configuration.path, {"storage.free_floor_mb": 1})
    with pytest.raises(ScreeningError, match="threat library"):
        fit(load(configuration.path), EMPTY, at=at(), jobs=1, progress=quiet)
    monkeypatch.undo()
    site_fitting.shipped_library.cache_clear()
    assert nothing_left(configuration)


def test_an_interrupt_or_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    configuration = load(site(tmp_path))
    root = tmp_path / "data" / "models"
    root.mkdir(parents=True)
    (root / ".unfinished-site-old").mkdir()
    monkeypatch.setattr(site_fitting, "require_pieces", lambda *_, **__: None)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(site_fitting, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(configuration, EMPTY, at=at(), jobs=1, progress=quiet)
    assert nothing_left(configuration)
    for trouble, raised in ((OSError(errno.ENOSPC, "No space left on device"), StoreError), (KeyboardInterrupt(), KeyboardInterrupt)):

        def failing(path: Path, content: bytes, _mode: int, trouble: BaseException = trouble) -> None:
            path.write_bytes(content[:5])
            raise trouble

        monkeypatch.setattr(durable_file, "_write", failing)
        with pytest.raises(raised):
            candidate(configuration)
        assert nothing_left(configuration)


def test_pictures_of_a_folder_are_pieces(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="no such directory"):
        folder_pieces(tmp_path / "nowhere", "auto", "site-1")
    with pytest.raises(ConfigurationError, match="holds no picture"):
        folder_pieces(tmp_path, "auto", "site-1")
    picture = np.full((120, 160, 3), 255, np.uint8)
    picture[20:100, 20:140] = (60, 150, 240)
    (tmp_path / "bag").mkdir()
    for name in ("one.png", "bag/view-1.png", "bag/view-2.png"):
        assert cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "broken.png").write_bytes((tmp_path / "one.png").read_bytes()[:60])
    (tmp_path / "note.txt").write_text("no picture")
    sources = folder_pieces(tmp_path, "dense-black", "site-1")
    assert [piece.name for piece in sources.pieces] == ["bag", "broken.png", "one.png"]
    assert sources.fitted_on != "site-1"
    with pytest.raises(ScreeningError, match="cannot be decoded"):
        sources.pieces[1].load()
    source = sources.pieces[2].load()
    plain, projected = source.seen(), source.with_threat(site_fitting.shipped_library(), np.random.default_rng(2))
    assert projected is not None
    assert projected.covered is not None
    covered = np.repeat(np.repeat(projected.covered, 4, 0), 4, 1)[: plain.he.shape[0], : plain.he.shape[1]]
    # but for a rim less than a cell of it wide
    assert (projected.he[covered == 0] != plain.he[covered == 0]).mean() < 0.001
    assert (projected.he[covered == 1] < plain.he[covered == 1]).mean() > 0.9


def test_only_pieces_since_the_day_are_taken(fitted: tuple[Path, Fitted]):
    configuration = load(fitted[0])
    assert stored_pieces(configuration, at(2.5)).pieces == ()
    assert len(stored_pieces(configuration, at(2)).pieces) == FITTING + CALIBRATING + MEASURING - 1
