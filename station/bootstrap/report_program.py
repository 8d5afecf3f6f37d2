"""The program in which a running station makes its reports: `python -m station.bootstrap.report_program`."""

from station.bootstrap.reports import run_program

if __name__ == "__main__":
    run_program()
