"""The checklist for a freeze: steps in both languages, as data."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from station.settings.toml_file import read
from station.settings.validation import validate


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistStep:
    """One step; `powder_only` steps are shown when a powder is suspected."""

    id: str
    vi: str
    en: str
    powder_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """All steps in order."""

    steps: tuple[ChecklistStep, ...]


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)
    powder_only: bool = False


class _ChecklistFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: tuple[_Step, ...] = Field(min_length=1)


def load_checklist(path: Path) -> Checklist:
    """Read a checklist.

    Raises:
        ConfigurationError: with file, line, key and what is allowed; also when two steps share an id.
    """
    file = read(path)
    values = validate(_ChecklistFile, file)
    seen: set[str] = set()
    for index, step in enumerate(values.steps):
        if step.id in seen:
            raise file.error(("steps", index, "id"), f"{step.id!r} stands twice", "an id of its own for each step")
        seen.add(step.id)
    return Checklist(steps=tuple(ChecklistStep(**step.model_dump()) for step in values.steps))
