"""The program in which a running station makes one report: `python -m station.bootstrap.report_program`."""

import sys

from station.bootstrap.reports import run_program

if __name__ == "__main__":
    sys.exit(run_program())
