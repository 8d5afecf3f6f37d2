"""What every request and every answer passes: known host, bounded size, headers that keep a browser from harm."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from station.api import problems
from station.api.texts import LANGUAGES, Texts

MAX_BODY_BYTES = 64 * 1024

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=()",
}


HSTS = "max-age=31536000"
"""Once a browser has heard it by TLS, it asks for nothing in the open here for a year."""


class Guards:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        texts: for the problems that the guards answer themselves.
        hosts: names under which the station may be called; any other `Host` is refused, so that a foreign page cannot point its own
            name at this machine and read the answers.
    """

    def __init__(self, app: ASGIApp, *, texts: Texts, hosts: Sequence[str]) -> None:
        self._app = app
        self._texts = texts
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, guarding = Headers(scope=scope), _guarding(scope["scheme"])

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in guarding.items():
                    answer[name] = value
            await send(message)

        async def refuse(status: HTTPStatus, code: str, detail: str) -> None:
            body = problems.document(self._texts, code=code, status=status, detail=detail, language=LANGUAGES[0])
            await problems.problem(status, body)(scope, receive, send_guarded)

        if _host_name(headers.get("host", "")) not in self._hosts:
            await refuse(HTTPStatus.BAD_REQUEST, "host-unknown", "The station is not known under this host name")
            return
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            await refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request-too-large", f"A request may have {MAX_BODY_BYTES} bytes at most")
            return
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value)
            return message

        await self._app(scope, receive_bounded, send_guarded)


def _guarding(scheme: str) -> dict[str, str]:
    return SECURITY_HEADERS | ({"Strict-Transport-Security": HSTS} if scheme == "https" else {})


def _host_name(host: str) -> str:
    name, bracket, _ = host.partition("]")
    return (name + bracket if bracket else host.partition(":")[0]).lower()
