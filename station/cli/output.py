"""Files that a person named for what a command makes."""

import os
import stat
from pathlib import Path

from station.domain.errors import ConfigurationError
from station.durable_file import write_durably

FOR_ALL, FOR_ITS_OWNER = 0o644, 0o600


def put_file(path: Path, content: bytes, *, mode: int = FOR_ALL, consequence: str = "") -> None:
    """Write a file whole, or leave what is there as it is; what is no file, as a pipe, is written to.

    Raises:
        ConfigurationError: it cannot be written; `consequence` says what that means.
    """
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            with path.open("wb") as opened:
                opened.write(content)
        else:
            # What a link leads to, not the link.
            write_durably({path.resolve(): content}, mode=mode)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror or os.strerror(error.errno or 0)}",
            consequence=consequence,
            remedy="Name another file, in a directory that exists",
        ) from error
