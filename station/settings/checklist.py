"""The checklist for a freeze: steps in both languages, as data."""

import hashlib
from pathlib import Path

import rfc8785
from pydantic import BaseModel, ConfigDict, Field

from station.domain.freeze import Checklist, ChecklistStep
from station.settings.toml_file import read
from station.settings.validation import validate


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    vi: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
    en: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
    powder_only: bool = False


class _ChecklistFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: tuple[_Step, ...] = Field(min_length=1, max_length=40)


def load_checklist(path: Path) -> Checklist:
    """Read a checklist.

    Raises:
        ConfigurationError: with file, line, key and what is allowed; also when two steps share an id, or all of them are for a powder.
    """
    file = read(path)
    values = validate(_ChecklistFile, file)
    seen: set[str] = set()
    for index, step in enumerate(values.steps):
        if step.id in seen:
            raise file.error(("steps", index, "id"), f"{step.id!r} stands twice", "an id of its own for each step")
        seen.add(step.id)
    if all(step.powder_only for step in values.steps):
        raise file.error(("steps", 0, "powder_only"), "every step is for a powder alone", "at least one step for every freeze")
    steps = [step.model_dump() for step in values.steps]
    return Checklist(
        steps=tuple(ChecklistStep(**step) for step in steps),
        sha256=hashlib.sha256(rfc8785.dumps(steps)).hexdigest(),
    )
