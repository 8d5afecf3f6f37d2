"""Every operation of the interface, for every role and clearance, about pieces of every level: nobody is told what they may not see.

What may not be seen answers with the same status, body and headers as what does not exist, and none of its secrets stands in any answer.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from station.api.callers import Needs, open_to_all
from station.api.texts import Texts
from station.domain.access import PERMISSIONS, Action, Role, may_see, permitted
from station.domain.piece import Secrecy
from tests.support.accounts import PASSWORD
from tests.support.api_station import LANE, Desk
from tests.support.marked_pieces import LEVELS, Marked, headers_of, on_lane, put
from tests.support.reports import ReportsHere

CALLERS = list(itertools.product(Role, (None, *Secrecy)))
BODIES: dict[tuple[str, str], dict[str, Any] | None] = {
    ("post", "/api/v1/session"): {"login": "an", "password": PASSWORD},
    ("post", "/api/v1/session/link"): {"link": "no link", "password": PASSWORD},
    ("post", "/api/v1/session/step-up"): {"password": PASSWORD},
    ("post", "/api/v1/session/password"): {"present_password": "another one", "password": PASSWORD},
    ("post", "/api/v1/users"): {"login": "-", "roles": []},
    ("patch", "/api/v1/users/{user_id}"): {"display_name": "x"},
    ("post", "/api/v1/users/{user_id}/password-link"): None,
    ("post", "/api/v1/tokens"): {"name": "-"},
    ("post", "/api/v1/tokens/{token_id}/revoke"): None,
    ("post", "/api/v1/pieces"): {"piece_id": "{piece}", "secrecy": None, "destination": "elsewhere"},
    ("post", "/api/v1/pieces/{piece_id}/cancel"): None,
    ("post", "/api/v1/pieces/{piece_id}/hand-over"): {"how": "returned", "to": "x"},
    ("post", "/api/v1/scans/{sha256}/looked"): {"shown_ms": 0, "heat_ms": 0},
    ("post", "/api/v1/reviews/{piece_id}/claim"): None,
    ("post", "/api/v1/reviews/{piece_id}/release"): None,
    ("post", "/api/v1/reviews/{piece_id}/decision"): {"outcome": "hold", "scan_sha256": "{sha256}"},
    ("post", "/api/v1/lanes/{lane_id}/decision"): {"piece_id": "{piece}", "visit": 1, "scan_sha256": "{sha256}", "decision": "hold"},
    ("post", "/api/v1/lanes/{lane_id}/exercise/shown"): {"piece_id": "{piece}", "visit": 1},
    ("post", "/api/v1/lanes/{lane_id}/freeze"): {"piece_id": "{piece}"},
    ("post", "/api/v1/lanes/{lane_id}/freeze/steps"): {"number": 1, "step": "leave-it"},
    ("post", "/api/v1/lanes/{lane_id}/unfreeze"): {"number": 1, "present": ["An"]},
    ("post", "/api/v1/lanes/{lane_id}/commands"): {"command": "stop"},
    ("post", "/api/v1/lanes/{lane_id}/test-piece/reference-ended"): {"note": "new tube"},
    ("post", "/api/v1/alarms/{alarm_id}/acknowledge"): None,
    ("post", "/api/v1/alarms/{alarm_id}/settle"): {"note": "x"},
    ("post", "/api/v1/reports/shift/hand-over"): {"date": "2026-11-21", "shift": 2, "note": "all quiet"},
    ("post", "/api/v1/reports/shift/take-over"): {"date": "2026-11-21", "shift": 2, "handed_over_at": "2026-11-21T08:00:00Z"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer, without what the question itself named."""

    status: int
    body: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("sight"))
    desk.reports = ReportsHere(desk.store, in_clear=Texts())
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def app(desk: Desk) -> FastAPI:
    return desk.app()


@pytest.fixture(scope="module")
def needs(app: FastAPI) -> dict[tuple[str, str], Action | None]:
    return actions(app)


@pytest.fixture(scope="module")
def pieces(desk: Desk) -> dict[str, Marked]:
    return {name: put(desk, name) for name in LEVELS}


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, path, description) of everything that the interface says it can do."""
    return [(method, path, what) for path, methods in app.openapi()["paths"].items() for method, what in methods.items()]


def actions(app: FastAPI) -> dict[tuple[str, str], Action | None]:
    """What each route itself says that it needs, by method and path; None for what is open to all."""
    found: dict[tuple[str, str], Action | None] = {}
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            calls = [dependency.call for dependency in route.dependant.dependencies]
            needed = [call.action for call in calls if isinstance(call, Needs)]
            if route.include_in_schema:
                assert len(needed) + calls.count(open_to_all) == 1, f"{route.path} does not say who may ask it"
            found |= {(method.lower(), str(route.path)): needed[0] if needed else None for method in route.methods or ()}
    return found


KEYS = itertools.count()


async def ask(client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], one: Marked) -> Told:
    """One operation about one piece."""
    ways = {
        "piece_id": one.piece_id,
        "sha256": one.sha256,
        "lane_id": LANE,
        "alarm_id": "99999",
        "user_id": "u-0",
        "token_id": "m-0",
        "kind": "shift",
        "leaf_index": str(one.leaf),
    }
    body = BODIES[method, path] if method in {"post", "patch"} else None
    if body is not None:
        put_in = {"{piece}": one.piece_id, "{sha256}": one.sha256}
        body = {name: put_in.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
    query = {"piece": one.piece_id} if "{sha256}" in path else {"figure": "pieces.held"} if path.endswith("/evidence") else None
    answer = await client.request(
        method, path.format(**ways), json=body, params=query, headers=headers | {"Idempotency-Key": f"k{next(KEYS)}"}
    )
    assert answer.status_code < 500, (method, path, answer.text)

    def blank(text: str) -> str:
        return text.replace(one.piece_id, "<piece>").replace(one.sha256, "<sha256>").replace(f"/leaves/{one.leaf}/", "/leaves/<leaf>/")

    return Told(status=answer.status_code, body=blank(answer.text), headers={name: blank(value) for name, value in answer.headers.items()})


def test_every_route_says_what_it_needs(app: FastAPI, needs: dict[tuple[str, str], Action | None]) -> None:
    described = {(method, path) for method, path, _ in operations(app)}
    assert {where for where in described if needs[where] is None} == {
        ("post", "/api/v1/session"),
        ("post", "/api/v1/session/link"),
        ("get", "/healthz"),
        ("get", "/readyz"),
    }
    assert {needs[where] for where in described} - {None} == set(Action) == set(PERMISSIONS)
    pages = {
        "/",
        "/lane/{lane_id}",
        "/review",
        "/reports",
        "/users",
        "/audit",
        "/login",
        "/welcome",
        "/password",
        "/docs",
        "/locales/{language}.json",
        "/static/{path:path}",
    }
    assert {path for method, path in needs.keys() - described if method != "head"} == pages


def test_only_one_layer_reads_the_store(desk: Desk) -> None:
    from station.api import app as application  # noqa: PLC0415

    reading = {
        path.name
        for path in Path(application.__file__).parent.glob("*.py")
        if "context.store" in path.read_text(encoding="utf-8") or ".store.read(" in path.read_text(encoding="utf-8")
    }
    assert reading == {"health.py"}


@pytest.mark.parametrize(("role", "clearance"), CALLERS, ids=lambda value: str(value or "none"))
async def test_what_may_not_be_seen_is_as_if_it_did_not_exist(
    desk: Desk,
    app: FastAPI,
    needs: dict[tuple[str, str], Action | None],
    pieces: dict[str, Marked],
    role: Role,
    clearance: Secrecy | None,
) -> None:
    headers = headers_of(desk, role, clearance)
    absent = Marked(level=None, piece_id=desk.new_id(), sha256="ab" * 32, leaf=10**9, secrets=())
    hidden = [one for one in pieces.values() if not may_see(clearance, one.level)]
    secrets = [secret for one in hidden for secret in one.secrets]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for method, path, what in operations(app):
            if path == "/api/v1/events" or (method, path) in {("delete", "/api/v1/session"), ("post", "/api/v1/session")}:
                continue
            named = (
                any(way in path for way in ("{piece_id}", "{sha256}", "{leaf_index}"))
                or "{piece}" in (BODIES.get((method, path)) or {}).values()
            )
            on_lane(desk, pieces, pieces["unknown"])
            reference = await ask(client, method, path, headers, absent)
            action = needs[method, path]
            allowed = action is None or permitted([role], action, clearance)
            if not allowed:
                assert (reference.status, '"not-permitted"' in reference.body) == (403, True), (method, path)
            elif named and hidden and action is not Action.ANNOUNCE_PIECES:
                # Otherwise all would be alike for a reason of their own.
                assert reference.status == (200 if action is Action.FREEZE_LANE else 404), (method, path, reference)
            # Whoever may not do it is refused before a piece is looked at: one is as good as all.
            for one in hidden if named and allowed else hidden[:1]:
                told = await ask(client, method, path, headers, one)
                if action is Action.ANNOUNCE_PIECES and path.endswith("/pieces") and allowed:
                    raise AssertionError("whoever announces sees everything")
                if named:
                    assert told == reference, (method, path, one.level)
                leaks = [secret for secret in secrets if secret in told.body or secret in str(told.headers)]
                assert leaks == [], (method, path, what.get("summary"))
        if hidden:
            cursor = [await client.get("/api/v1/pieces", params={"after": one.piece_id}, headers=headers) for one in (hidden[0], absent)]
            assert [answer.status_code for answer in cursor] in ([404, 404], [403, 403])
        if permitted([role], Action.SEE_AUDIT, clearance):
            facts = [await client.get("/api/v1/audit/facts", params={"limit": 200}, headers=headers)]
            facts += [await client.get("/api/v1/audit/facts", params={"piece_id": one.piece_id}, headers=headers) for one in hidden]
            assert {answer.status_code for answer in facts} == {200}
            assert [secret for secret in secrets for answer in facts if secret in answer.text] == []
            assert all(answer.json() == {"items": [], "next": None} for answer in facts[1:])
            told_of = {one["piece_id"] for one in facts[0].json()["items"]}
            assert {one.piece_id for one in pieces.values()} & told_of == {
                one.piece_id for one in pieces.values() if may_see(clearance, one.level)
            }
        if permitted([role], Action.SEE_PIECES, clearance):
            listed = {one["piece_id"] for one in (await client.get("/api/v1/pieces?limit=500", headers=headers)).json()["items"]}
            assert {one.piece_id for one in pieces.values()} & listed == {
                one.piece_id for one in pieces.values() if may_see(clearance, one.level)
            }


async def test_without_log_in_nothing_is_told(app: FastAPI, needs: dict[tuple[str, str], Action | None], pieces: dict[str, Marked]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for method, path, _ in operations(app):
            for headers in ({}, {"Authorization": "Bearer nothing"}, {"Cookie": "__Host-kt1-session=nothing"}):
                if needs[method, path] is not None:
                    told = await ask(client, method, path, headers, pieces["unmarked"])
                    assert (told.status, '"not-logged-in"' in told.body, told.headers["www-authenticate"]) == (401, True, "Bearer")
                    assert told.headers["cache-control"] == "no-store"
        assert (await client.get("/api/v1/nowhere")).status_code == 401
