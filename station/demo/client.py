"""The demo's people use the public interface like everybody else: they log in, and the tracking system has a token."""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any

import httpx

TIMEOUT_S = 20.0
_SESSION = "/api/v1/session"
_COOKIE = "__Host-kt1-session"


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the program
    """The station refused a request; `code` is the problem's stable code."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Passwords by login, tokens by name, and who reads where nobody is named."""

    passwords: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    reader: str = ""


class StationClient:
    """A thin client of the station's HTTP interface.

    Args:
        url: where it is.
        credentials: of those who ask; without any nobody is logged in.
    """

    def __init__(self, url: str, credentials: Credentials | None = None) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._keys = (f"demo-{secrets.token_hex(6)}-{number}" for number in itertools.count())
        self._known = credentials or Credentials()
        self._sessions: dict[str, dict[str, str]] = {}

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read a resource."""
        return await self._ask("GET", path, self._known.reader, params=query)

    async def post(self, path: str, body: dict[str, Any] | None = None, *, person: str) -> dict[str, Any]:
        """Change something, with a fresh idempotency key; confirmed by the password where the station asks for it."""
        key = {"Idempotency-Key": next(self._keys)}
        try:
            return await self._ask("POST", path, person, headers=key, json=body)
        except Refused as refused:
            if refused.code != "step-up-needed":
                raise
        await self._ask("POST", f"{_SESSION}/step-up", person, json={"password": self._known.passwords[person]})
        return await self._ask("POST", path, person, headers=key, json=body)

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def _ask(self, method: str, path: str, person: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
        try:
            return self._answer(await self._client.request(method, path, headers={**(headers or {}), **await self._who(person)}, **more))
        except Refused as refused:
            if refused.code != "not-logged-in" or person not in self._sessions:
                raise
        # The session was old.
        del self._sessions[person]
        return self._answer(await self._client.request(method, path, headers={**(headers or {}), **await self._who(person)}, **more))

    async def _who(self, person: str) -> dict[str, str]:
        """The headers that say who asks."""
        if person in self._known.tokens:
            return {"Authorization": f"Bearer {self._known.tokens[person]}"}
        if person not in self._known.passwords:
            return {}
        if person not in self._sessions:
            answer = await self._client.post(_SESSION, json={"login": person, "password": self._known.passwords[person]})
            csrf = str(self._answer(answer)["csrf_token"])
            # A client that knows of no exception for the loopback never sends a Secure cookie in the open: it is sent by hand.
            given = SimpleCookie("; ".join(answer.headers.get_list("set-cookie")))
            self._sessions[person] = {"Cookie": f"{_COOKIE}={given[_COOKIE].value}", "X-CSRF-Token": csrf}
            self._client.cookies.clear()
        return self._sessions[person]

    @staticmethod
    def _answer(response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            try:
                problem = response.json()
            except ValueError:
                problem = {}
            raise Refused(response.status_code, str(problem.get("code", "")), str(problem.get("detail", response.text[:200])))
        found: dict[str, Any] = response.json()
        return found
