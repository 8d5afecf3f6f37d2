"""What weights were learned from: in their file beside them, and read without torch, so that what contradicts it is refused at once.

    python -m training.about FILE --left-out CLASS|nothing

writes the class into a file of before this was kept, on the word of who trained.
"""

import argparse
import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_sims.mail_catalogue import CLASSES
from station.domain.errors import ConfigurationError

ABOUT = "about"
NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """SHA-256 over all pieces of all sets, how many crops, and the class of which no piece was among them; None if all were."""

    data_sha256: str
    crops: int
    left_out: str | None


def packed(about: About) -> npt.NDArray[np.uint8]:
    """As it lies among the weights."""
    return np.frombuffer(json.dumps(asdict(about)).encode(), np.uint8)


def _told(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(json.loads(file[ABOUT].tobytes()))
    except (OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{path} cannot be read as weights ({error})",
            consequence="nothing was done with it",
            remedy="Name the weights.npz of a run that ended",
        ) from error


def read_about(path: Path) -> About:
    """What the weights in a file were learned from.

    Raises:
        ConfigurationError: no weights, or they do not say which class was left out.
    """
    told = _told(path)
    if "left_out" not in told:
        raise ConfigurationError(
            f"{path} does not say which class was left out of its training: it is of before this was kept",
            consequence="a model could be said to know a class that it never saw, or the other way round",
            remedy=f"If you know it, write it there: python -m training.about {path} --left-out {NOTHING} (or the class); else train anew",
        )
    try:
        return About(**told)
    except TypeError as error:
        raise ConfigurationError(
            f"{path} holds what no weights hold ({error})", remedy="Name the weights.npz of a run that ended"
        ) from error


def refuse_other(recorded: str | None, asked: str | None, *, what: str, anew: str) -> None:
    """Refuse to go on from `what`, of which the class `recorded` was left out, in a run that leaves out `asked`.

    Raises:
        ConfigurationError: they differ.
    """
    if recorded == asked:
        return
    option = "no --leave-out" if recorded is None else f"--leave-out {recorded}"
    raise ConfigurationError(
        f"{what} was trained {_without(recorded)}, and this run is to be trained {_without(asked)}",
        consequence="what comes out would have learned a class that it is said not to know, or would hardly know one that it is said to",
        remedy=f"Give {option} to go on from it, or {anew} to begin anew",
    )


def _without(name: str | None) -> str:
    return "with every class" if name is None else f"without {name}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--left-out", choices=(NOTHING, *CLASSES), required=True)
    options = parser.parse_args()
    try:
        told = _told(options.file)
    except ConfigurationError as error:
        parser.error(str(error))
    if "left_out" in told:
        parser.error(f"{options.file} says already that it was trained {_without(told['left_out'])}")
    about = About(**told, left_out=None if options.left_out == NOTHING else options.left_out)
    with np.load(options.file, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != ABOUT}
    part = options.file.with_suffix(".part.npz")
    np.savez_compressed(part, **arrays, **{ABOUT: packed(about)})
    part.replace(options.file)
    print(f"{options.file}: trained {_without(about.left_out)}")


if __name__ == "__main__":
    main()
