"""Log-ins of tests over HTTP, and what their answers give."""

import itertools
from typing import Any

import httpx

from station.api.cookies import CSRF_HEADER, SESSION
from tests.support.accounts import PASSWORD
from tests.support.api_station import Desk

KEYS = itertools.count()


def log_in(client: httpx.Client, login: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    client.cookies.clear()
    return client.post("/api/v1/session", json={"login": login, "password": password}, headers=headers)


def given(answer: httpx.Response) -> dict[str, str]:
    """The cookies that an answer sets, with their attributes."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        name, _, rest = line.partition("=")
        found[name] = rest
    return found


def signed(answer: httpx.Response) -> dict[str, str]:
    """The headers of the session that an answer began."""
    secret = given(answer)[SESSION].partition(";")[0]
    return {"Cookie": f"{SESSION}={secret}", CSRF_HEADER: answer.json()["csrf_token"], "Idempotency-Key": f"a{next(KEYS)}"}


def facts(desk: Desk) -> list[Any]:
    return [row.evidence for row in desk.store.read(lambda view: view.evidence("ACCESS"))]
