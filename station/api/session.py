"""`/session`: logging in and out, who one is, confirming with the password, choosing a password by a one-time link or the present one."""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from station.api import access_schemas as schemas
from station.api import cookies
from station.api.callers import Needs, NoOnce, open_to_all
from station.api.context import Context
from station.api.routing import resource
from station.domain.access import CONFIRMED_FOR, Action, Caller
from station.workflow.access import LoggedIn, Visitor, source_of

Own = Annotated[Caller, Depends(Needs(Action.OWN_SESSION))]


def router(context: Context) -> APIRouter:
    """The routes of this resource."""
    routes = resource("/session", tag="session")
    access = context.access

    def who(caller: Caller, session: str | None) -> schemas.SessionOut:
        viewing = context.views.viewing_time(caller.name)
        age = context.clock.utc_now() - caller.confirmed_at if caller.confirmed_at is not None else CONFIRMED_FOR
        return schemas.SessionOut(
            user_id=caller.user_id,
            login=caller.name,
            display_name=caller.display_name,
            roles=sorted(caller.roles),
            clearance=caller.clearance,
            permissions=[action for action in Action if caller.may(action)],
            csrf_token=cookies.csrf_of(session) if session is not None else None,
            confirmed_for_s=max(0.0, (CONFIRMED_FOR - age).total_seconds()),
            viewing_min=viewing // timedelta(minutes=1),
            rest_due=viewing > timedelta(minutes=context.handlers.policy.viewing_limit_min),
            utc_offset_min=context.reports.calendar.utc_offset // timedelta(minutes=1),
        )

    def welcome(found: LoggedIn, response: Response) -> schemas.SessionOut:
        cookies.give(response, session=found.session, browser=found.browser)
        return who(found.caller, found.session)

    @routes.post("", status_code=HTTPStatus.CREATED, dependencies=[Depends(open_to_all), NoOnce])
    async def log_in(body: schemas.LogInIn, request: Request, response: Response) -> schemas.SessionOut:
        """Log in. 401 `log-in-refused` does not say what is wrong; 429 `too-many-tries` says when to come again."""
        return welcome(await access.log_in(body.login, body.password, _visitor(request)), response)

    @routes.post("/link", status_code=HTTPStatus.CREATED, dependencies=[Depends(open_to_all), NoOnce])
    async def choose_password(body: schemas.PasswordIn, request: Request, response: Response) -> schemas.SessionOut:
        """Choose a password by a one-time link, and be logged in. All earlier sessions of the user end."""
        return welcome(await access.choose_password(body.link, body.password, _visitor(request)), response)

    @routes.post("/password", dependencies=[NoOnce])
    async def change_password(caller: Own, body: schemas.NewPasswordIn, request: Request, response: Response) -> schemas.SessionOut:
        """Change one's own password by the present one. All one's sessions and links end, and a new session begins here."""
        return welcome(await access.change_password(caller, body.present, body.password, _visitor(request)), response)

    @routes.get("")
    async def who_am_i(caller: Own, request: Request) -> schemas.SessionOut:
        """Who is logged in, what they may do, and the token for their writes."""
        return who(caller, _session_secret(request, caller))

    @routes.delete("", status_code=HTTPStatus.NO_CONTENT, dependencies=[NoOnce])
    async def log_out(caller: Own) -> Response:
        """Log out."""
        await access.log_out(caller)
        answer = Response(status_code=HTTPStatus.NO_CONTENT.value)
        cookies.take(answer)
        return answer

    @routes.post("/step-up", dependencies=[NoOnce])
    async def step_up(caller: Own, body: schemas.ConfirmIn, request: Request) -> schemas.SessionOut:
        """Give the password once more; for a minute it allows what answered 403 `step-up-needed`."""
        confirmed = await access.confirm(caller, body.password, _source(request))
        return who(confirmed, _session_secret(request, confirmed))

    return routes


def _source(request: Request) -> str:
    return source_of(request.client.host if request.client is not None else "")


def _visitor(request: Request) -> Visitor:
    given = _cookies(request)
    return Visitor(source=_source(request), browser=given.get(cookies.BROWSER), session=given.get(cookies.SESSION))


def _session_secret(request: Request, caller: Caller) -> str | None:
    return _cookies(request).get(cookies.SESSION) if caller.session is not None else None


def _cookies(request: Request) -> Mapping[str, str]:
    """The cookies as the door read them: of two headers, the first."""
    return cookies.cookies_of(request.headers.get("cookie"))
