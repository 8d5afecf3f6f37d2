"""What is asked of a training run and cannot be kept is refused before anything is drawn."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from station.domain.errors import ConfigurationError
from training import about, train
from training.about import ABOUT, About, packed, read_about, refuse_other

ALL = {"data_sha256": "ab" * 32, "crops": 5}


def weights(file: Path, **told: object) -> Path:
    np.savez_compressed(file, **{"head.w": np.ones(3, np.float32), ABOUT: np.frombuffer(json.dumps(told).encode(), np.uint8)})
    return file


def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *more: str) -> list[str]:
    work = tmp_path / "work"
    arguments = ["--out", str(tmp_path / "out"), "--work", str(work), *more]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    return arguments


@pytest.mark.parametrize(
    ("option", "recorded", "leave_out", "says"),
    [
        ("--start", None, "blade", "was trained with every class, and this run is to be trained without blade"),
        ("--start", "blade", None, "was trained without blade, and this run is to be trained with every class"),
        ("--start", "blade", "powder", "was trained without blade, and this run is to be trained without powder"),
        ("--weights", None, "blade", "was trained with every class, and this run is to be trained without blade"),
        ("--weights", "blade", "powder", "was trained without blade, and this run is to be trained without powder"),
    ],
)
def test_weights_of_which_another_class_was_left_out_are_refused(
    option: str,
    recorded: str | None,
    leave_out: str | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    file = weights(tmp_path / "weights.npz", **ALL, left_out=recorded)
    asked(monkeypatch, tmp_path, option, str(file), *(["--leave-out", leave_out] if leave_out else []))
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"{option} {file} {says}" in told
    assert "a class that it is said not to know" in told
    remedy = f"--leave-out {recorded}" if recorded else "no --leave-out"
    assert f"Give {remedy} to go on from it, or no {option} to begin anew" in told
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("option", "recorded", "leave_out"),
    [("--start", None, None), ("--start", "blade", "blade"), ("--weights", "blade", None), ("--weights", "blade", "blade")],
)
def test_weights_that_fit_are_taken(
    option: str, recorded: str | None, leave_out: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = weights(tmp_path / "weights.npz", **ALL, left_out=recorded)
    asked(monkeypatch, tmp_path, option, str(file), *(["--leave-out", leave_out] if leave_out else []))
    assert train._options().leave_out == leave_out
    assert read_about(file) == About(**ALL, left_out=recorded)


def test_weights_that_do_not_say_are_refused_until_somebody_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = weights(tmp_path / "weights.npz", **ALL)
    asked(monkeypatch, tmp_path, "--start", str(file))
    with pytest.raises(SystemExit):
        train.main()
    told = capsys.readouterr().err
    assert "does not say which class was left out" in told
    assert f"python -m training.about {file} --left-out nothing" in told
    monkeypatch.setattr(sys, "argv", ["about", str(file), "--left-out", "blade"])
    about.main()
    assert read_about(file) == About(**ALL, left_out="blade")
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["head.w"], np.ones(3))
    # once said, it stays
    monkeypatch.setattr(sys, "argv", ["about", str(file), "--left-out", "nothing"])
    with pytest.raises(SystemExit):
        about.main()
    assert "says already that it was trained without blade" in capsys.readouterr().err
    assert read_about(file).left_out == "blade"


def test_what_is_no_weights_is_said_to_be_none(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read as weights"):
        read_about(tmp_path / "none.npz")
    for content in (b"", b"no archive"):
        (tmp_path / "weights.npz").write_bytes(content)
        with pytest.raises(ConfigurationError, match="cannot be read as weights"):
            read_about(tmp_path / "weights.npz")
    np.savez(tmp_path / "other.npz", mask=np.ones(2))
    with pytest.raises(ConfigurationError, match="cannot be read as weights"):
        read_about(tmp_path / "other.npz")
    with pytest.raises(ConfigurationError, match="holds what no weights hold"):
        read_about(weights(tmp_path / "more.npz", **ALL, left_out=None, more=1))


def test_a_checkpoint_goes_on_only_with_the_class_left_out_that_it_was_begun_without():
    refuse_other("blade", "blade", what="--resume", anew="no --resume")
    with pytest.raises(ConfigurationError, match="without blade, and this run is to be trained with every class") as told:
        refuse_other("blade", None, what="--resume: checkpoint.pt", anew="no --resume")
    assert told.value.remedy == "Give --leave-out blade to go on from it, or no --resume to begin anew"
    assert json.loads(packed(About(**ALL, left_out="blade")).tobytes())["left_out"] == "blade"
