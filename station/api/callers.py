"""Who asks, whether they may, and which request it is. Every route names its one action by `Needs`, or says that it is `open_to_all`."""

import hashlib
from typing import Annotated

from fastapi import Depends, Header, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from station.api.cookies import SESSION
from station.api.doorway import caller_of
from station.api.problems import KeyMissingError
from station.domain.access import NEEDS_CONFIRMATION, Action, Caller, is_confirmed
from station.ports.clock import Clock
from station.workflow.access import not_logged_in
from station.workflow.access_steps import step_up_needed
from station.workflow.once import Once
from station.workflow.refusals import NotPermittedError

_MAX_KEY = 255


# Looked at at the door; here so that the interface's description says who is let in how.
_BySession = Annotated[str | None, Security(APIKeyCookie(name=SESSION, scheme_name="session", auto_error=False))]
_ByToken = Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(scheme_name="program", auto_error=False))]


class Needs:
    """Dependency of a route: the caller, who may do this action by the one table of permissions.

    Args:
        action: what the route does.
    """

    def __init__(self, action: Action) -> None:
        self.action = action

    async def __call__(self, request: Request, _session: _BySession = None, _program: _ByToken = None) -> Caller:
        """The caller.

        Raises:
            NotLoggedInError, NotPermittedError, StepUpNeededError: nobody, or nobody who may do this (now).
        """
        caller = caller_of(request.scope)
        if caller is None:
            raise not_logged_in()
        if not caller.may(self.action):
            raise NotPermittedError(
                f"{caller.name} may not do this ({self.action.value})",
                consequence="Nothing was done or shown",
                remedy="Ask somebody whose work it is, or an administrator for the role",
            )
        if self.action in NEEDS_CONFIRMATION:
            demand_confirmation(caller, request.app.state.clock)
        return caller


async def open_to_all() -> None:
    """Dependency of a route that needs no caller."""


def demand_confirmation(caller: Caller, clock: Clock) -> None:
    """Raise `StepUpNeededError` unless the person has given the password within the last minute."""
    if not is_confirmed(caller.confirmed_at, clock.utc_now()):
        raise step_up_needed()


async def _once(
    request: Request,
    idempotency_key: Annotated[
        str | None, Header(max_length=_MAX_KEY, description="Any text that is new for each new request; the same key gets the same answer.")
    ] = None,
    x_csrf_token: Annotated[  # noqa: ARG001 - looked at at the door
        str | None, Header(description="`csrf_token` of `GET /session`, with every write of a logged-in person; programs need none.")
    ] = None,
) -> Once:
    caller = caller_of(request.scope)
    if caller is None:
        raise not_logged_in()
    if not idempotency_key or not idempotency_key.isprintable():
        raise KeyMissingError(
            "A write needs the header Idempotency-Key",
            consequence="Nothing was done",
            remedy="Send a new key with each new request, and the same key when repeating one",
        )
    asked = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), request.url.query.encode(), await request.body()):
        asked.update(len(part).to_bytes(8, "big") + part)
    # Keys of one caller mean nothing for another: nobody learns what somebody else was answered.
    return Once(key=f"{caller.user_id}/{idempotency_key}", fingerprint=asked.hexdigest())


OnceKey = Annotated[Once, Depends(_once)]
"""The identity of a write."""


async def _no_once(
    idempotency_key: Annotated[str | None, Header(description="Taken, and not looked at: what this does is told to nobody twice.")] = None,
) -> None:
    pass


NoOnce = Depends(_no_once)
"""For the writes that hand out or end a session: their answers are stored nowhere."""
