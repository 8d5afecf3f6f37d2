"""Who may come in, as the root puts it together; and how the first one does."""

from collections.abc import Iterator
from contextlib import contextmanager

from station.auth.passwords import Argon2Passwords
from station.bootstrap.stores import open_store
from station.clock import SystemClock
from station.domain.access import Role
from station.ports.clock import Clock
from station.ports.store import Store
from station.settings import Configuration
from station.workflow.access import Access
from station.workflow.accounts import Accounts, Change

FIRST_LOGIN = "admin"


def open_access(store: Store, clock: Clock) -> tuple[Access, Accounts]:
    """Everything about access over an open store."""
    passwords = Argon2Passwords()
    access = Access(store=store, clock=clock, passwords=passwords)
    return access, Accounts(access=access, passwords=passwords, clock=clock)


@contextmanager
def accounts_at_rest(configuration: Configuration) -> Iterator[Accounts]:
    """Accounts over the store of a station that does not run. Raises `StoreError` while it does: then it changes them itself."""
    store = open_store(configuration)
    try:
        yield open_access(store, SystemClock())[1]
    finally:
        store.close()


def lacks_administrator(accounts: Accounts) -> bool:
    """True while there is no administrator who could log in."""
    administrators = [one for one in accounts.users() if Role.ADMINISTRATOR in one.user.roles]
    return not any(one.password_hash is not None and not one.user.disabled for one in administrators)


async def let_somebody_in(accounts: Accounts) -> str | None:
    """The secret of a one-time link for an administrator, while there is none who could log in; else None.

    Each start makes a new link until somebody has used one, and the ones before are void.
    """
    if not lacks_administrator(accounts):
        return None
    administrators = [one for one in accounts.users() if Role.ADMINISTRATOR in one.user.roles]
    waiting = next((one.user for one in administrators if not one.user.disabled), None)
    if waiting is not None:
        return (await accounts.new_link(waiting.user_id)).secret
    first = next((one.user for one in accounts.users() if one.user.login == FIRST_LOGIN), None)
    if first is None:
        return (await accounts.add(FIRST_LOGIN, roles=[Role.ADMINISTRATOR], clearance=None)).secret
    await accounts.change(first.user_id, Change(roles=first.roles | {Role.ADMINISTRATOR}, disabled=False))
    return (await accounts.new_link(first.user_id)).secret
