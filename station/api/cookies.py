"""The two cookies: a person's session, and the mark of a browser that somebody has logged in from. Only secrets drawn at random."""

import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import cookie_parser
from starlette.responses import Response

# The prefix makes the browser itself refuse them from a subdomain, without Secure, or for a part of the site.
SESSION = "__Host-kt1-session"
BROWSER = "__Host-kt1-browser"
CSRF_HEADER = "X-CSRF-Token"
_BROWSER_LASTS_S = 180 * 24 * 3600
_CSRF_DOMAIN = b"kt1:csrf:v1\0"


def cookies_of(header: str | None) -> Mapping[str, str]:
    """The cookies of a request's header."""
    return cookie_parser(header) if header else {}


def csrf_of(session: str) -> str:
    """The token that must come with every write of a session. It tells nothing of the session's own secret."""
    return hmac.digest(session.encode(), _CSRF_DOMAIN, hashlib.sha256).hex()


def csrf_holds(session: str, given: str | None) -> bool:
    """True when the write comes from somebody who could read the session's token."""
    return given is not None and hmac.compare_digest(csrf_of(session).encode(), given.encode(errors="replace"))


def give(response: Response, *, session: str, browser: str | None) -> None:
    """Give the browser its session; it ends with the browser, or earlier. `browser` is None where it holds a good mark already."""
    _set(response, SESSION, session, None)
    if browser is not None:
        _set(response, BROWSER, browser, _BROWSER_LASTS_S)


def take(response: Response) -> None:
    """Take the session back. The browser stays known."""
    _set(response, SESSION, "", 0)


def _set(response: Response, name: str, value: str, max_age_s: int | None) -> None:
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict")
