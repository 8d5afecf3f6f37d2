"""Nobody gets past here unknown: who asks is settled before anything of the request is looked at, and so is where a write comes from."""

from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from station.api import cookies, problems
from station.api.texts import Texts
from station.domain.access import Caller
from station.workflow.access import Access

API = "/api/v1"
OPEN = frozenset({("POST", f"{API}/session"), ("POST", f"{API}/session/link")})
"""What may be asked without being known: to become known."""
OUTSIDE_API = frozenset({"/metrics"})
"""What needs a caller besides the interface itself."""

_CALLER = "kt1.caller"
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "


def caller_of(scope: MutableMapping[str, Any]) -> Caller | None:
    """Who asks, as settled at the door; None for what is open to everybody."""
    found = scope.get(_CALLER)
    return found if isinstance(found, Caller) else None


class Doorway:
    """ASGI middleware around everything that needs a caller.

    Args:
        app: the application.
        access: knows who is here.
        texts: for the problems that are answered here.
    """

    def __init__(self, app: ASGIApp, *, access: Access, texts: Texts) -> None:
        self._app = app
        self._access = access
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or not _is_guarded(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers, changes = Headers(scope=scope), scope["method"] not in _HARMLESS

        async def send_unkept(message: Message) -> None:
            if message["type"] == "http.response.start":
                # No copy of any answer stays anywhere, whoever may see it.
                MutableHeaders(scope=message)["Cache-Control"] = "no-store"
            await send(message)

        async def refuse(status: HTTPStatus, code: str, detail: str) -> None:
            language = problems.language_of(Request(scope))
            body = problems.document(self._texts, code=code, status=status, detail=detail, language=language)
            answer = problems.problem(status, body)
            if status is HTTPStatus.UNAUTHORIZED:
                answer.headers["WWW-Authenticate"] = problems.CHALLENGE
            await answer(scope, receive, send_unkept)

        if changes and _is_foreign(headers, scope["scheme"]):
            await refuse(HTTPStatus.FORBIDDEN, "request-foreign", "The request comes from another site's page. Nothing was done")
            return
        caller, session = self._find(headers)
        is_open = (scope["method"], scope["path"]) in OPEN
        if caller is None and not is_open:
            await refuse(HTTPStatus.UNAUTHORIZED, "not-logged-in", "Nobody is logged in here. Nothing was done or shown. Log in")
            return
        if changes and not is_open and session is not None and not cookies.csrf_holds(session, headers.get(cookies.CSRF_HEADER)):
            detail = f"A write needs the header {cookies.CSRF_HEADER} with the token of GET {API}/session. Nothing was done"
            await refuse(HTTPStatus.FORBIDDEN, "request-foreign", detail)
            return
        scope[_CALLER] = caller
        await self._app(scope, receive, send_unkept)

    def _find(self, headers: Headers) -> tuple[Caller | None, str | None]:
        """Who asks, and by which session's secret; a program has none."""
        given = headers.get("authorization")
        if given is not None:
            # Whoever shows a token is judged by it alone: a cookie that came along by itself makes nobody of it.
            token = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
            return self._access.memory.by_token(token), None
        session = cookies.cookies_of(headers.get("cookie")).get(cookies.SESSION)
        if not session:
            return None, None
        caller = self._access.memory.by_session(session)
        return (caller, session) if caller is not None else (None, None)


def _is_guarded(path: str) -> bool:
    return path in OUTSIDE_API or path == API or path.startswith(f"{API}/")


def _is_foreign(headers: Headers, scheme: str) -> bool:
    """True when a browser says that another site's page makes this request. Programs say nothing of the kind."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return True
    return origin is not None and origin.lower() != f"{scheme}://{headers.get('host', '')}".lower()
