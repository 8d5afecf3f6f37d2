"""The demo's people use the public interface like everybody else."""

import itertools
import secrets
from http import HTTPStatus
from typing import Any

import httpx

TIMEOUT_S = 20.0


class Refused(Exception):  # noqa: N818 - an answer, not a failure of the program
    """The station refused a request; `code` is the problem's stable code."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


class StationClient:
    """A thin client of the station's HTTP interface."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)
        self._keys = (f"demo-{secrets.token_hex(6)}-{number}" for number in itertools.count())

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read a resource."""
        return self._answer(await self._client.get(path, params=query))

    async def post(self, path: str, body: dict[str, Any] | None = None, *, person: str = "demo") -> dict[str, Any]:
        """Change something, with a fresh idempotency key."""
        headers = {"Idempotency-Key": next(self._keys), "X-Person": person}
        return self._answer(await self._client.post(path, json=body, headers=headers))

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

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
