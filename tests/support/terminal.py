"""The command line, run in this process."""

import sys
from pathlib import Path

import pytest

from station.cli import main


class Terminal:
    """Runs `station` and what stands before the arguments of each run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: str) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._command = ("station", *command)

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", [*self._command, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err
