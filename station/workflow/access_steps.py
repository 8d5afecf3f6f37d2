"""Steps of access inside one transaction, each with its fact."""

from collections.abc import Iterable
from datetime import datetime

from station.domain.access import Action, Caller, Role, is_confirmed, may_see, permitted
from station.domain.accounts import ACCESS_SUBJECT, AccessEvent, AccessFact, MachineToken, User
from station.domain.errors import NotFoundError
from station.domain.people import person_key
from station.domain.piece import Secrecy
from station.ports.access import Account
from station.ports.store import UnitOfWork
from station.workflow.refusals import NotPermittedError, StepUpNeededError

_COUNTER = "access.facts"


def record(
    uow: UnitOfWork,
    event: AccessEvent,
    at: datetime,
    *,
    about: User | MachineToken | None,
    person: str,
    source: str = "",
    count: int = 1,
) -> None:
    """Append what happened to the audit log."""
    user = about if isinstance(about, User) else None
    token = about if isinstance(about, MachineToken) else None
    uow.append(
        AccessFact(
            piece_id=ACCESS_SUBJECT,
            visit=uow.next_number(_COUNTER),
            at=at,
            event=event,
            person=person,
            user_id=user.user_id if user else token.token_id if token else "",
            login=user.login if user else token.name if token else "",
            roles=tuple(sorted(user.roles)) if user else (Role.MACHINE,) if token else (),
            clearance=about.clearance if about is not None else None,
            source=source,
            count=count,
        )
    )


def account_of(uow: UnitOfWork, user_id: str) -> Account:
    """The user as the transaction finds it, or `NotFoundError`."""
    found = next((one for one in uow.accounts() if one.user.user_id == user_id), None)
    if found is None:
        raise NotFoundError(f"There is no user {user_id!r}", remedy="Load the list of users again")
    return found


def step_up_needed() -> StepUpNeededError:
    """The one answer to whoever has not given the password lately."""
    return StepUpNeededError(
        "This takes the password once more", consequence="Nothing was done", remedy="POST /api/v1/session/step-up, then ask again"
    )


def demand_person(uow: UnitOfWork, by: Caller, action: Action, *, level: Secrecy | None, confirmed_at: datetime | None = None) -> None:
    """Raise unless, as this transaction finds it, that person may do it to a piece of that level.

    What the door knew may be a moment old: roles, clearance or the whole account may have been taken away since, and somebody who
    decides over people's safety must not come in between.

    Args:
        uow: the transaction in which it is done.
        by: whoever asks.
        action: what is asked.
        level: of the piece that it is about.
        confirmed_at: the moment at which the person's confirmation must count; None where it takes none.

    Raises:
        NotPermittedError: unknown, disabled, or without the role or the clearance.
        StepUpNeededError: the session has ended, or its confirmation is too old.
    """
    state = uow.access_state()
    user = next((one.user for one in state.accounts if one.user.user_id == by.user_id), None)
    if user is None or not _may(user, action, level):
        raise NotPermittedError(
            f"{by.name} may not do this any more ({action.value})",
            consequence="Nothing was done",
            remedy="Ask somebody whose work it is, or an administrator for the role",
        )
    if confirmed_at is None:
        return
    session = next((one for one in state.sessions if one.token_sha256 == by.session and one.user_id == by.user_id), None)
    if session is None or not is_confirmed(session.confirmed_at, confirmed_at):
        raise step_up_needed()


def still_may(uow: UnitOfWork, logins: Iterable[str], action: Action, *, level: Secrecy | None) -> list[User]:
    """Those of these people who might still do it to a piece of that level: what others have decided about it counts no longer."""
    keys = {person_key(login) for login in logins}
    known = [one.user for one in uow.accounts() if person_key(one.user.login) in keys]
    return [user for user in known if _may(user, action, level)]


def _may(user: User, action: Action, level: Secrecy | None) -> bool:
    return not user.disabled and permitted(user.roles, action, user.clearance) and may_see(user.clearance, level)
