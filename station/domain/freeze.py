"""A lane that is frozen in place: the checklist, what people said of it, and when it is over. Pure.

The facts of one freeze stand under the lane's own subject, numbered from 1 by `visit`: frozen, then steps and all clears in the order of
their commits, then un-frozen. Whatever newly happens voids the all clears that were given before it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from station.domain.errors import RefusedError
from station.domain.identifiers import FREEZE_PREFIX
from station.domain.people import person_key

PEOPLE_NEEDED = 2
"""Different people who must give the all clear (invariant I7)."""

MOST_NAMES, LONGEST_NAME, LONGEST_NOTE = 50, 80, 1000


def freeze_subject(lane_id: str) -> str:
    """Under this name the facts about a lane's freezes stand, where a piece's stand under its id."""
    return f"{FREEZE_PREFIX}{lane_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistStep:
    """One step, in both languages. `powder_only` steps are needed once one of them was done."""

    id: str
    vi: str
    en: str
    powder_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """All steps in order. `sha256` is over their RFC 8785 form and stands in everything that is said of them."""

    steps: tuple[ChecklistStep, ...]
    sha256: str


class FreezeOrigin(StrEnum):
    """What froze a lane."""

    CONSOLE = "console"
    """A person, by name."""
    AT_LANE = "at-lane"
    """The key at the lane, or a latch that was found set."""
    ATTENTION = "attention"
    """An attention stop that nobody decided in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFrozen:
    """A freeze begins. `visit` is its number on this lane. `person` is empty where nobody gave a name.

    `suspects` are pieces that were named, or that an undecided attention stop was about; `on_belts` all that the lane knew on its belts.
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    origin: FreezeOrigin
    person: str
    suspects: tuple[str, ...]
    on_belts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeStepDone:
    """Somebody says that a step of the checklist is done."""

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    step: str
    person: str
    checklist_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllClear:
    """Somebody says that the lane may be un-frozen, and who was present, as far as they know."""

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    person: str
    user_id: str
    present: tuple[str, ...]
    note: str
    checklist_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatchSetAgain:
    """The latch was found cleared though the lane was to stay frozen, and was set again."""

    piece_id: str
    visit: int
    at: datetime
    lane_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneUnfrozen:
    """The freeze is over: `people` gave the all clear, and the latch was seen cleared."""

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    people: tuple[str, ...]


FreezeFact = LaneFrozen | FreezeStepDone | AllClear | LatchSetAgain | LaneUnfrozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """One freeze as its facts tell it. `all_clears` are those since a step was done, or the latch set again, last."""

    frozen: LaneFrozen
    steps: tuple[FreezeStepDone, ...] = ()
    all_clears: tuple[AllClear, ...] = ()
    set_again_at: datetime | None = None

    @property
    def number(self) -> int:
        """Its number on its lane."""
        return self.frozen.visit


def freeze_of(facts: Iterable[object]) -> Freeze | None:
    """The freeze that these facts tell of, in the order of their commits; None where none began."""
    frozen: LaneFrozen | None = None
    steps: list[FreezeStepDone] = []
    all_clears: list[AllClear] = []
    set_again_at: datetime | None = None
    for fact in facts:
        if isinstance(fact, LaneFrozen):
            frozen = fact
        elif isinstance(fact, FreezeStepDone):
            steps.append(fact)
            # What was found to be done only now was not known to whoever gave the all clear before.
            all_clears.clear()
        elif isinstance(fact, AllClear):
            all_clears.append(fact)
        elif isinstance(fact, LatchSetAgain):
            set_again_at = fact.at
            # Somebody was at the lane, for what nobody knows.
            all_clears.clear()
    if frozen is None:
        return None
    return Freeze(frozen=frozen, steps=tuple(steps), all_clears=tuple(all_clears), set_again_at=set_again_at)


def steps_done(freeze: Freeze, checklist: Checklist) -> dict[str, FreezeStepDone]:
    """The steps that were done, by id, each with who said so first. What was said of another checklist counts for nothing."""
    done: dict[str, FreezeStepDone] = {}
    for one in freeze.steps:
        if one.checklist_sha256 == checklist.sha256:
            done.setdefault(one.step, one)
    return done


def steps_needed(freeze: Freeze, checklist: Checklist) -> tuple[ChecklistStep, ...]:
    """The steps that this freeze takes: those for a powder only once one of them was done."""
    done = steps_done(freeze, checklist)
    powder = any(step.powder_only and step.id in done for step in checklist.steps)
    return tuple(step for step in checklist.steps if powder or not step.powder_only)


def steps_missing(freeze: Freeze, checklist: Checklist) -> tuple[str, ...]:
    """Ids of the steps that are needed and not done, in their order."""
    done = steps_done(freeze, checklist)
    return tuple(step.id for step in steps_needed(freeze, checklist) if step.id not in done)


def standing_all_clears(freeze: Freeze, checklist: Checklist, entitled: Collection[str]) -> tuple[AllClear, ...]:
    """The all clears that count, one for each person, first ones first.

    Args:
        freeze: what was said.
        checklist: the one in force; an all clear over another one does not count.
        entitled: user ids of those who may give it now. Whoever may not any more has given none.
    """
    if steps_missing(freeze, checklist):
        return ()
    standing: list[AllClear] = []
    for one in freeze.all_clears:
        counts = one.checklist_sha256 == checklist.sha256 and one.user_id in entitled
        if counts and not any(is_of(other, user_id=one.user_id, person=one.person) for other in standing):
            standing.append(one)
    return tuple(standing)


def is_of(all_clear: AllClear, *, user_id: str, person: str) -> bool:
    """True when it is that person's, however the name is written."""
    return all_clear.user_id == user_id or person_key(all_clear.person) == person_key(person)


def is_all_clear(freeze: Freeze, checklist: Checklist, entitled: Collection[str]) -> bool:
    """True when enough different people, all of whom may, have given the all clear after every step was done."""
    return len(standing_all_clears(freeze, checklist, entitled)) >= PEOPLE_NEEDED


class PresentUnnamedError(RefusedError):
    """An all clear says who was present."""

    code = "present-unnamed"


def checked_present(names: Iterable[str]) -> tuple[str, ...]:
    """The people who were present, as they are stored: one line each, nobody twice. Raises `PresentUnnamedError`."""
    found: dict[str, str] = {}
    for text in names:
        name = " ".join(text.split())
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise PresentUnnamedError(
                f"A name has at most {LONGEST_NAME} characters, all of which can be shown",
                consequence="No all clear was given",
                remedy="Write each name as plain text",
            )
        if name:
            found.setdefault(person_key(name), name)
    if not 0 < len(found) <= MOST_NAMES:
        raise PresentUnnamedError(
            f"An all clear names who was present, {MOST_NAMES} people at most",
            consequence="No all clear was given",
            remedy="Name everybody who was in the room or near it, yourself too",
        )
    return tuple(found.values())


def checked_note(text: str) -> str:
    """The note of an all clear as it is stored: one line. Raises `RefusedError`."""
    note = " ".join(text.split())
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise RefusedError(
            f"A note has at most {LONGEST_NOTE} characters, all of which can be shown",
            consequence="No all clear was given",
            remedy="Write it as plain text",
        )
    return note
