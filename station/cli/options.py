"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

SYSTEM_CONFIGURATION = Path("/etc/kt1-station/station.toml")
HERE = Path("station.toml")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="station.toml; else the one here, else /etc/kt1-station/station.toml.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]


def configuration_path(given: Path | None) -> Path:
    """The file that was named, else the one in this directory, else the system's."""
    if given is not None:
        return given
    try:
        return HERE if HERE.exists() else SYSTEM_CONFIGURATION
    except PermissionError:
        # A directory that this user may not search, as after `runuser` in root's own, is not where they keep a station.
        return SYSTEM_CONFIGURATION
