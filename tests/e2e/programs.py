"""The station's programs as a user starts them, and what is needed to talk to them."""

import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx

from station.api.cookies import SESSION

ROOT = Path(__file__).parents[2]
START_S = 120.0
POLL_S = 0.05
LISTS_LATE = 3
"""A list is given up after six seconds: more of these one after the other, and the station has no lists."""


class HandFailedError(AssertionError):
    """The simulators refused a request."""


def wait_until(condition: Callable[[], bool], *, limit_s: float = START_S, what: str = "it") -> None:
    """Poll until the condition holds."""
    ends = time.monotonic() + limit_s  # noqa: TID251 - other programs run by the wall clock
    while not condition():
        assert time.monotonic() < ends, f"waited {limit_s:g} s in vain for {what}"  # noqa: TID251
        time.sleep(POLL_S)  # noqa: TID251 - other programs can only be polled


def station(*arguments: str, cwd: Path | None = None, limit_s: float = 240.0) -> "subprocess.CompletedProcess[str]":
    """Run `station …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "station", *arguments],
        cwd=cwd or ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def processes_naming(text: str) -> list[str]:
    """Command lines of running processes in which a text stands (a test's own directory, for example)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(text.encode() in word for word in words):
                found.append(b" ".join(words).decode(errors="replace"))
    return found


def children_of(pid: int) -> list[int]:
    """Process ids of the direct and indirect children."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


@contextmanager
def program(*arguments: str, log: Path, cwd: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """A module of this Python that runs beside the test and is ended after it."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            cwd=cwd or ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def json_file(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    """Wait for the JSON file by which a program tells that it is ready."""

    def there() -> bool:
        assert process.poll() is None, log.read_text(errors="replace")
        return path.exists()

    wait_until(there, what=str(path))
    return json.loads(path.read_text(encoding="utf-8"))


class Hands:
    """The control socket of one simulated lane."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rwb")

    def do(self, request: str, **arguments: Any) -> dict[str, Any]:
        self._file.write(json.dumps({"do": request, **arguments}).encode() + b"\n")
        self._file.flush()
        answer = json.loads(self._file.readline())
        if not answer.pop("ok"):
            raise HandFailedError(answer["error"])
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Caller:
    """A client of the station's interface, or of another one; every write has a key of its own.

    `passwords` are those of the people who ask, by login; the first of them reads. They log in when they first ask.
    """

    def __init__(self, url: str, *, prefix: str = "e2e", passwords: Mapping[str, str] | None = None) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=20, trust_env=False)
        self._keys = (f"{prefix}-{number}" for number in itertools.count())
        self._passwords = dict(passwords or {})
        self._reader = next(iter(self._passwords), "")
        self._sessions: dict[str, dict[str, str]] = {}

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.fetch(path, **query)
        answer.raise_for_status()
        return answer.json()

    def fetch(self, path: str, **query: Any) -> httpx.Response:
        """Read, whatever the answer is."""
        return self._client.get(path, params=query, headers=self._who(self._reader) if path.startswith("/api/") else {})

    def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Read a list; one that the machine was too busy for is asked for again, as a page does."""
        for _ in range(LISTS_LATE):
            answer = self.fetch(path, **query)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        return answer.raise_for_status().json()["items"]

    def post(self, path: str, body: dict[str, Any] | None = None, *, person: str = "") -> httpx.Response:
        who = person or self._reader
        headers = {"Idempotency-Key": next(self._keys), **self._who(who)}
        answer = self._client.post(path, json=body, headers=headers)
        if answer.status_code == 403 and answer.json()["code"] == "step-up-needed":
            self._client.post("/api/v1/session/step-up", json={"password": self._passwords[who]}, headers=headers).raise_for_status()
            answer = self._client.post(path, json=body, headers=headers)
        return answer

    def _who(self, person: str) -> dict[str, str]:
        if person not in self._sessions and person in self._passwords:
            answer = self._client.post("/api/v1/session", json={"login": person, "password": self._passwords[person]})
            answer.raise_for_status()
            given = SimpleCookie("; ".join(answer.headers.get_list("set-cookie")))
            cookie = f"{SESSION}={given[SESSION].value}"
            self._sessions[person] = {"Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"]}
            self._client.cookies.clear()
        return self._sessions.get(person, {})

    def close(self) -> None:
        self._client.close()
