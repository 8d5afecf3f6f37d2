"""What people do about an alarm: the steps inside one transaction."""

from datetime import datetime

from station.domain.access import Action, Caller
from station.domain.alarm import SETTLED_BY_PEOPLE, Alarm
from station.domain.errors import ConflictError, RefusedError
from station.domain.escape import ESCAPE_SUBJECT, EscapeSettled
from station.domain.people import responsible
from station.ports.store import UnitOfWork
from station.workflow.access_steps import demand_person
from station.workflow.piece_alarms import radiation_settled


def settle(uow: UnitOfWork, alarm_id: int, *, note: str, by: Caller, at: datetime) -> Alarm:
    """A person says what became of what escaped: with that the alarm is seen, and over.

    Raises:
        NotFoundError: there is no such alarm.
        NotPermittedError: the person may not settle alarms, or not see the piece.
        RefusedError: its cause is no matter of anybody's word, or no word is given, or one that cannot be shown.
        ConflictError: it is over already.
    """
    alarm = uow.acknowledge_alarm(alarm_id, by.name, at)
    known = uow.piece(alarm.subject)
    demand_person(uow, by, Action.SETTLE_ALARMS, level=known.level if known is not None else None)
    if alarm.code not in SETTLED_BY_PEOPLE:
        raise RefusedError(
            f"The alarm {alarm.code.value} ends with its cause, not by somebody's word",
            consequence="Nothing was changed",
            remedy="Remove its cause; who has seen it acknowledges it",
        )
    if alarm.cleared_at is not None:
        raise ConflictError("The alarm is over already", consequence="Nothing was changed", remedy="Load the list of alarms again")
    person, what = responsible(by.name, note)
    if not what:
        raise RefusedError(
            "Nobody said what became of it", consequence="The alarm stands", remedy="Write where it is, or who has taken the search over"
        )
    fact = EscapeSettled(
        piece_id=known.piece_id if known is not None else ESCAPE_SUBJECT,
        visit=known.visit if known is not None else alarm_id,
        at=at,
        subject=alarm.subject,
        person=person,
        note=what,
    )
    uow.append(fact)
    uow.clear_alarm(alarm.code, alarm.subject, at)
    if known is None or known.state.is_terminal:
        # One that lies in a bin radiates on.
        radiation_settled(uow, alarm.subject, at)
    return alarm
