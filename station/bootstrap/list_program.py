"""The program in which a running station makes its lists: `python -m station.bootstrap.list_program DIRECTORY`."""

import sys
from pathlib import Path

from station.bootstrap.lists import run_program

if __name__ == "__main__":
    run_program(Path(sys.argv[1]))
