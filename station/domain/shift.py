"""Handing a shift over: who hands over, with what words, and who takes over. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from station.domain.access import may_see
from station.domain.errors import ConflictError, RefusedError
from station.domain.people import person_key, responsible
from station.domain.piece import Secrecy

SHIFT_SUBJECT = "SHIFT"
"""Under this name the facts about hand-overs stand, where a piece's stand under its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftHandedOver:
    """A person hands a shift over. `visit` is the shift's serial number, `shift` its name, `clearance` the person's.

    `held_pieces`, `open_claims`, `standing_alarms`, `frozen_lanes`: how many were open then, of those that the person may see.
    """

    piece_id: str
    visit: int
    at: datetime
    shift: str
    person: str
    clearance: Secrecy | None
    note: str
    held_pieces: int
    open_claims: int
    standing_alarms: int
    frozen_lanes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftTakenOver:
    """Another person confirms to have taken the shift over from `handed_over_by`, whose words had been written at `handed_over_at`."""

    piece_id: str
    visit: int
    at: datetime
    shift: str
    handed_over_by: str
    handed_over_at: datetime
    person: str


class ShiftTakenError(ConflictError):
    """The shift has been taken over already."""

    code = "shift-taken-over"


class NotHandedOverError(ConflictError):
    """Nobody has handed the shift over, or somebody has written other words since."""

    code = "shift-not-handed-over"


class SamePersonError(RefusedError):
    """Nobody takes over from themselves."""

    code = "shift-same-person"


class WordsHiddenError(RefusedError):
    """Nobody confirms words that they may not read."""

    code = "shift-words-hidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCounts:
    """How much is open at a moment."""

    held_pieces: int
    open_claims: int
    standing_alarms: int
    frozen_lanes: int


def hand_over(
    facts: Sequence[object],
    *,
    serial: int,
    shift: str,
    person: str,
    clearance: Secrecy | None,
    note: str,
    standing: OpenCounts,
    at: datetime,
) -> ShiftHandedOver:
    """What is recorded when a person hands over; new words of anybody go before older ones until the shift has been taken over.

    Args:
        facts: what is recorded of this shift so far, in order.
        serial: see `Period.serial`.
        shift: the shift's name.
        person: who hands over.
        clearance: theirs; the words are shown to nobody with less.
        note: free words.
        standing: what is open now.
        at: now.

    Raises:
        ShiftTakenError: too late.
        RefusedError: words or a name that cannot be shown.
    """
    _refuse_taken(facts)
    name, words = responsible(person, note)
    return ShiftHandedOver(
        piece_id=SHIFT_SUBJECT,
        visit=serial,
        at=at,
        shift=shift,
        person=name,
        clearance=clearance,
        note=words,
        held_pieces=standing.held_pieces,
        open_claims=standing.open_claims,
        standing_alarms=standing.standing_alarms,
        frozen_lanes=standing.frozen_lanes,
    )


def take_over(facts: Sequence[object], *, person: str, clearance: Secrecy | None, handed_over_at: datetime, at: datetime) -> ShiftTakenOver:
    """What is recorded when another person, cleared so high, takes over, who has read the words that were written at `handed_over_at`.

    Raises:
        ShiftTakenError: somebody has taken over already.
        NotHandedOverError: nobody has handed over, or other words were written since.
        SamePersonError: it is the person who hands over.
        WordsHiddenError: the words were written by somebody with more clearance.
    """
    _refuse_taken(facts)
    newest = next((fact for fact in reversed(facts) if isinstance(fact, ShiftHandedOver)), None)
    if newest is None or newest.at != handed_over_at:
        raise NotHandedOverError(
            "Nobody has handed this shift over with these words",
            consequence="Nothing was recorded",
            remedy="Load the report again, and read what stands there now",
        )
    if person_key(newest.person) == person_key(person):
        raise SamePersonError(
            f"{person} hands this shift over", consequence="Nothing was recorded", remedy="Have the person who takes over confirm it"
        )
    if not may_see(clearance, newest.clearance):
        raise WordsHiddenError(
            f"{newest.person} has more clearance than {person}, who may not read these words",
            consequence="Nothing was recorded",
            remedy="Let somebody with that clearance take over, or somebody with yours hand over",
        )
    return ShiftTakenOver(
        piece_id=SHIFT_SUBJECT,
        visit=newest.visit,
        at=at,
        shift=newest.shift,
        handed_over_by=newest.person,
        handed_over_at=newest.at,
        person=responsible(person, "")[0],
    )


def _refuse_taken(facts: Sequence[object]) -> None:
    taken = next((fact for fact in facts if isinstance(fact, ShiftTakenOver)), None)
    if taken is not None:
        raise ShiftTakenError(
            f"{taken.person} has taken shift {taken.shift} over from {taken.handed_over_by}",
            consequence="Nothing was recorded",
            remedy="Write to the shift that runs now",
        )
