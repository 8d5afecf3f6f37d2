"""Steps of access inside one transaction, each with its fact."""

from datetime import datetime

from station.domain.access import Role
from station.domain.accounts import ACCESS_SUBJECT, AccessEvent, AccessFact, MachineToken, User
from station.domain.errors import NotFoundError
from station.ports.access import Account
from station.ports.store import UnitOfWork

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
