"""Errors for a person at a terminal: one line what, one line what to do; and the exit codes that programs read."""

import contextlib
import sys
from collections.abc import Iterator

from station.domain.errors import AddressError, ConfigurationError, DeviceError, StationError, StoreUnavailableError
from station.ports.tracking import ReceiverUnreachableError

EXIT_DONE, EXIT_DOES_NOT_HOLD, EXIT_USAGE, EXIT_UNREACHABLE = 0, 1, 2, 3


def exit_code_of(error: StationError) -> int:
    """2 for usage and configuration, 3 for what is out of reach, else 1."""
    if isinstance(error, ConfigurationError):
        return EXIT_USAGE
    if isinstance(error, AddressError | DeviceError | ReceiverUnreachableError | StoreUnavailableError):
        return EXIT_UNREACHABLE
    return EXIT_DOES_NOT_HOLD


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
    """Turn the station's own errors, and what the system refuses, into a message and an exit code."""
    try:
        yield
    except StationError as error:
        _say(f"{error.what}{f' ({error.consequence})' if error.consequence else ''}", error.remedy)
        raise SystemExit(exit_code_of(error)) from error
    except OSError as error:
        # Whatever looks at a file may find that this user may not, or that its disk does not answer.
        where = f"{error.filename}: " if error.filename is not None else ""
        _say(f"{where}{error.strerror or error}", "Run this as the station's user, and check the place and its disk")
        raise SystemExit(EXIT_UNREACHABLE) from error


def _say(what: str, remedy: str) -> None:
    sys.stderr.write(f"station: {what}\n")
    if remedy:
        sys.stderr.write(f"  -> {remedy}\n")
