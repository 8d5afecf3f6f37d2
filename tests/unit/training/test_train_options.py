"""What is asked of a training run and cannot be kept is refused before anything is drawn."""

import sys
from pathlib import Path

import pytest

from training.train import main


@pytest.mark.parametrize("more", ["--weights", "--start"])
def test_a_class_cannot_be_left_out_of_weights_that_are_trained_already(
    more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    work = tmp_path / "work"
    arguments = ["--out", str(tmp_path / "out"), "--work", str(work), "--leave-out", "blade", more, str(tmp_path / "weights.npz")]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "--leave-out goes with neither --weights nor --start" in capsys.readouterr().err
    assert not work.exists()
