"""The file in which a station keeps its own log, whatever becomes of what it prints."""

from pathlib import Path


def log_file(data_dir: Path) -> Path:
    """Where it is."""
    return data_dir / "log" / "station.log"


def prepared_log_file(data_dir: Path) -> Path:
    """The same, in directories for the station's user alone. Never raises: whoever opens the file hears what is wrong."""
    path = log_file(data_dir)
    for directory in (data_dir, path.parent):
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            break
    return path
