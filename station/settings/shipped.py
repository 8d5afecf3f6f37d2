"""The configuration that ships with the station: valid as it stands, commented, and the start of every site's own."""

from pathlib import Path

from station.domain.errors import ConfigurationError

SHIPPED_DIRECTORY = Path(__file__).resolve().parent.parent / "config"


def shipped_files() -> tuple[Path, ...]:
    """Every shipped file, relative to the directory that it ships in."""
    return tuple(sorted(path.relative_to(SHIPPED_DIRECTORY) for path in SHIPPED_DIRECTORY.rglob("*.toml")))


def write_shipped(directory: Path) -> tuple[Path, ...]:
    """Write the shipped files under `directory` and return where they lie.

    Raises:
        ConfigurationError: one of them is there already (nothing is written then), or the directory cannot be written.
    """
    targets = {SHIPPED_DIRECTORY / name: directory / name for name in shipped_files()}
    for target in targets.values():
        if target.exists():
            raise ConfigurationError(
                f"{target} exists already", consequence="Nothing was written", remedy="Choose another directory, or move the file away"
            )
    try:
        for source, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written ({error.strerror})", remedy="Choose another directory") from error
    return tuple(targets.values())
