"""Steps of a freeze inside one transaction, each with its fact: it begins, steps are done, all clears are given, it ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from station.domain.access import Action, Caller, permitted
from station.domain.errors import NotFoundError
from station.domain.freeze import (
    AllClear,
    Checklist,
    Freeze,
    FreezeOrigin,
    FreezeStepDone,
    LaneFrozen,
    LaneUnfrozen,
    LatchSetAgain,
    checked_note,
    checked_present,
    freeze_of,
    freeze_subject,
    is_all_clear,
    is_of,
    standing_all_clears,
    steps_done,
    steps_missing,
)
from station.domain.review import OperatorReading
from station.ports.store import ReadView, UnitOfWork
from station.workflow.access_steps import demand_person
from station.workflow.refusals import FreezeOverError, FreezeStepsMissingError, SecondPersonError


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeAsked:
    """Somebody froze a lane: `at` tells this time from every other. `reading` is what an operator thereby says of the suspect.

    `on_belts` are the pieces that the lane followed. It is kept until it is durable, so that no freeze is lost to a full disk.
    """

    at: datetime
    origin: FreezeOrigin
    person: str = ""
    suspect: str | None = None
    reading: OperatorReading | None = None
    on_belts: tuple[str, ...] = ()


def current_freeze(view: ReadView, lane_id: str) -> Freeze | None:
    """The freeze that the lane is in as far as the store knows; None where it is in none."""
    number = view.value(_key(lane_id))
    if not number:
        return None
    return freeze_of(row.evidence for row in view.evidence(freeze_subject(lane_id), int(number)))


def entitled(view: ReadView) -> frozenset[str]:
    """The ids of those users who may give the all clear now."""
    users = (one.user for one in view.accounts())
    return frozenset(user.user_id for user in users if not user.disabled and permitted(user.roles, Action.UNFREEZE_LANE, user.clearance))


def all_clear_stands(view: ReadView, freeze: Freeze, checklist: Checklist) -> bool:
    """True when two people who may have given the all clear of this freeze, after every step of the checklist."""
    return is_all_clear(freeze, checklist, entitled(view))


def begin_freeze(
    uow: UnitOfWork, lane_id: str, at: datetime, *, origin: FreezeOrigin, person: str, suspects: Iterable[str], on_belts: Iterable[str]
) -> None:
    """A new freeze of the lane: whatever was said of an older one counts for nothing from here on."""
    number = uow.next_number(_key(lane_id))
    uow.append(
        LaneFrozen(
            piece_id=freeze_subject(lane_id),
            visit=number,
            at=at,
            lane_id=lane_id,
            origin=origin,
            person=person,
            suspects=tuple(sorted(set(suspects))),
            on_belts=tuple(sorted(set(on_belts))),
        )
    )
    uow.set_value(_key(lane_id), str(number))


def freeze_anew(uow: UnitOfWork, lane_id: str, at: datetime) -> None:
    """A freeze that is not over begins again, about the same pieces: it may have been over since, and the lane frozen for another cause."""
    freeze = current_freeze(uow, lane_id)
    if freeze is not None:
        known = freeze.frozen
        begin_freeze(uow, lane_id, at, origin=FreezeOrigin.AT_LANE, person="", suspects=known.suspects, on_belts=known.on_belts)


def do_step(uow: UnitOfWork, lane_id: str, number: int, step: str, by: Caller, checklist: Checklist, at: datetime) -> None:
    """Somebody has done a step; doing it again changes nothing, and the first one's name stays.

    Raises:
        NotPermittedError: not that person.
        FreezeOverError: not that freeze.
        NotFoundError: no such step.
    """
    demand_person(uow, by, Action.TICK_FREEZE_STEPS, level=None)
    freeze = _demand(uow, lane_id, number)
    if all(one.id != step for one in checklist.steps):
        raise NotFoundError(f"The checklist has no step {step!r}", consequence="Nothing was noted", remedy="Load the lane page again")
    if step in steps_done(freeze, checklist):
        return
    uow.append(
        FreezeStepDone(
            piece_id=freeze_subject(lane_id),
            visit=number,
            at=at,
            lane_id=lane_id,
            step=step,
            person=by.name,
            checklist_sha256=checklist.sha256,
        )
    )


def give_all_clear(
    uow: UnitOfWork,
    lane_id: str,
    number: int,
    by: Caller,
    checklist: Checklist,
    at: datetime,
    *,
    present: Sequence[str],
    note: str,
) -> Freeze:
    """Somebody gives the all clear. What others gave is neither asked nor told.

    Raises:
        NotPermittedError, StepUpNeededError: not that person, or not confirmed within the last minute.
        FreezeOverError: not that freeze.
        FreezeStepsMissingError: a step of the checklist is not done.
        SecondPersonError: that person's all clear stands already.
        RefusedError: nobody is named who was present, or a text that cannot be shown.
    """
    demand_person(uow, by, Action.UNFREEZE_LANE, level=None, confirmed_at=at)
    freeze = _demand(uow, lane_id, number)
    missing = steps_missing(freeze, checklist)
    if missing:
        raise FreezeStepsMissingError(
            f"Steps of the checklist are not done: {', '.join(missing)}",
            consequence="No all clear was given; the lane stays frozen",
            remedy="Do them, and say so on the lane page",
        )
    if any(is_of(one, user_id=by.user_id, person=by.name) for one in standing_all_clears(freeze, checklist, entitled(uow))):
        raise SecondPersonError(
            f"{by.name} has given the all clear of this freeze already",
            consequence="Nothing was changed; the lane stays frozen until somebody else gives it too",
            remedy="Let another reviewer or supervisor look for themselves and decide",
        )
    given = AllClear(
        piece_id=freeze_subject(lane_id),
        visit=number,
        at=at,
        lane_id=lane_id,
        person=by.name,
        user_id=by.user_id,
        present=checked_present(present),
        note=checked_note(note),
        checklist_sha256=checklist.sha256,
    )
    uow.append(given)
    return replace(freeze, all_clears=(*freeze.all_clears, given))


def note_latch_set_again(uow: UnitOfWork, lane_id: str, at: datetime) -> None:
    """The latch had been cleared at the lane alone, and was set again."""
    freeze = current_freeze(uow, lane_id)
    if freeze is not None:
        uow.append(LatchSetAgain(piece_id=freeze_subject(lane_id), visit=freeze.number, at=at, lane_id=lane_id))


def end_freeze(uow: UnitOfWork, lane_id: str, number: int, checklist: Checklist, at: datetime) -> bool:
    """The latch was seen cleared: the freeze of that number is over. False, and nothing is changed, unless its all clear still stands."""
    freeze = current_freeze(uow, lane_id)
    if freeze is None or freeze.number != number:
        return False
    people = standing_all_clears(freeze, checklist, entitled(uow))
    if not all_clear_stands(uow, freeze, checklist):
        return False
    uow.append(
        LaneUnfrozen(
            piece_id=freeze_subject(lane_id), visit=number, at=at, lane_id=lane_id, people=tuple(sorted(one.person for one in people))
        )
    )
    uow.set_value(_key(lane_id), "")
    return True


def _key(lane_id: str) -> str:
    return f"freeze:{lane_id}"


def _demand(uow: UnitOfWork, lane_id: str, number: int) -> Freeze:
    freeze = current_freeze(uow, lane_id)
    if freeze is None or freeze.number != number:
        raise FreezeOverError(
            f"Freeze {number} of lane {lane_id} is not the one that the lane is in",
            consequence="Nothing was noted: what is said of one freeze does not count for another",
            remedy="Load the lane page again and look at the checklist that stands there now",
        )
    return freeze
