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
    """Turn the station's own errors, and an interrupt, into a message and an exit code."""
    try:
        yield
    except StationError as error:
        why = f" ({error.consequence})" if error.consequence else ""
        sys.stderr.write(f"station: {error.what}{why}\n")
        if error.remedy:
            sys.stderr.write(f"  -> {error.remedy}\n")
        raise SystemExit(exit_code_of(error)) from error
    except KeyboardInterrupt:
        raise SystemExit(EXIT_DONE) from None
