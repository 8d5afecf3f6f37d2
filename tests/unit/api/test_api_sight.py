"""Every operation of the interface, for every role and clearance, about pieces of every level: nobody is told what they may not see.

What may not be seen answers with the same status, body and headers as what does not exist, and none of its secrets stands in any answer.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
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
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import StoreError
from station.domain.piece import PieceState, Secrecy
from station.domain.projection import ProjectionAnswer
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.vault import ImageViewed, Rendering
from station.workflow.feed import EventFeed, FeedBatch
from station.workflow.views import ExerciseView, PieceOnLane
from tests.support.accounts import PASSWORD, run
from tests.support.api_station import LANE, START, Desk
from tests.support.reports import ReportsHere

LEVELS = {"unmarked": None, "C": "C", "B": "B", "A": "A", "unknown": "A"}
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
    ("post", "/api/v1/reports/shift/hand-over"): {"date": "2026-11-21", "shift": 2, "note": "all quiet"},
    ("post", "/api/v1/reports/shift/take-over"): {"date": "2026-11-21", "shift": 2, "handed_over_at": "2026-11-21T08:00:00Z"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A piece whose every secret can be recognised."""

    level: str | None
    piece_id: str
    sha256: str
    leaf: int
    secrets: tuple[str, ...]


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


def put(desk: Desk, name: str) -> Marked:
    secrecy = Secrecy(name) if name in set(Secrecy) else None
    destination = f"destination-{name}-secret"
    piece_id, sha256 = desk.put_piece(
        secrecy=secrecy, announced=name != "unknown", destination=destination, reasons=(Reason.MODEL_ALARM, Reason.OPAQUE_AREA)
    )
    note, detail, viewer = f"note-{name}-secret", f"detail-{name}-secret", f"viewer-{name}-secret"

    def work(uow: Any) -> None:
        uow.append(
            ReviewDecision(piece_id=piece_id, visit=1, at=START, scan_sha256=sha256, person="thu", outcome=ReviewOutcome.HOLD, note=note)
        )
        uow.append(ImageViewed(piece_id=piece_id, visit=1, at=START, person=viewer, scan_sha256=sha256, rendering=Rendering.STANDARD))
        uow.raise_alarm(AlarmCode.EXERCISE_UNCONFIRMED, AlarmPriority.HIGH, f"lane-of-{LEVELS[name]}", piece_id, START)
        uow.raise_alarm(AlarmCode.TRACKING_DIFFERS, AlarmPriority.HIGH, f"day-of-{LEVELS[name]}", f"missing 1 ({piece_id} 3)", START)
        uow.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.HIGH, piece_id, detail, START)
        uow.raise_alarm(AlarmCode.TRACKING_BLOCKED, AlarmPriority.HIGH, f"receiver-{LEVELS[name]}", f"site:{piece_id}:3", START)

    desk.write(work)
    return Marked(
        level=LEVELS[name],
        piece_id=piece_id,
        sha256=str(sha256),
        leaf=desk.store.read(lambda view: view.evidence(piece_id))[0].leaf_index,
        secrets=(piece_id, str(sha256), destination, note, detail, f"viewer-{name}-secret"),
    )


def on_lane(desk: Desk, pieces: dict[str, Marked], asked: Marked) -> None:
    """All of them lie on the lane, it asks about one, and tells the truth about an exercise in it."""
    desk.ask_operator(asked.piece_id, asked.sha256, secrecy=Secrecy(asked.level) if asked.level else None)
    exercise = ExerciseView(
        piece_id=asked.piece_id,
        visit=1,
        answer=ProjectionAnswer.MISSED,
        threat_class="blade",
        box_share=(0.1, 0.2, 0.3, 0.4),
        confirmed=False,
        silence_freezes=False,
        level=Secrecy(asked.level) if asked.level else None,
    )
    desk.lane.show(
        exercise=exercise,
        pieces=tuple(
            PieceOnLane(
                piece_id=one.piece_id,
                visit=1,
                state=PieceState.SCANNED,
                marked=one.level is not None,
                secrecy=Secrecy(name) if name in set(Secrecy) else None,
                urgency=None,
                destination=one.secrets[2],
                head_mm=2000.0,
                length_mm=300.0,
                outcome=None,
            )
            for name, one in pieces.items()
        ),
    )


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


def headers_of(desk: Desk, role: Role, clearance: Secrecy | None) -> dict[str, str]:
    name = f"{role}-{clearance or 'none'}".lower()
    if role is Role.MACHINE:
        return {"Authorization": f"Bearer {run(desk.door.accounts.add_token(name, clearance=clearance)).secret}"}
    return desk.door.signed(name, roles=frozenset({role}), clearance=clearance).headers


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


class Heard:
    """What has come over a stream of events so far."""

    def __init__(self) -> None:
        self.text = ""
        self._more = asyncio.Event()

    async def take(self, message: Any) -> None:
        assert message.get("status", 200) == 200
        self.text += message.get("body", b"").decode()
        self._more.set()

    async def until(self, wanted: str, since: int = 0) -> str:
        """What came from that place on, as soon as something wanted is among it."""
        while wanted not in self.text[since:]:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 20)
        return self.text[since:]


@asynccontextmanager
async def listening(app: FastAPI, headers: dict[str, str]) -> AsyncIterator[Heard]:
    """Somebody listens to the stream of events."""
    heard = Heard()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    raw = [(name.lower().encode(), value.encode()) for name, value in {**headers, "Host": "localhost"}.items()]
    scope = {"type": "http", "method": "GET", "path": "/api/v1/events", "raw_path": b"/api/v1/events", "query_string": b"", "headers": raw}
    rest = {"http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "root_path": ""}
    stream = asyncio.create_task(app({**scope, **rest, "asgi": {"version": "3.0"}}, receive, heard.take))
    try:
        yield heard
    finally:
        stream.cancel()
        with suppress(asyncio.CancelledError):
            await stream


@pytest.mark.parametrize("clearance", [None, *Secrecy])
async def test_the_stream_tells_of_nothing_that_may_not_be_seen(
    desk: Desk, app: FastAPI, pieces: dict[str, Marked], clearance: Secrecy | None
) -> None:
    on_lane(desk, pieces, pieces["A"])
    headers = desk.door.signed(f"operator-{clearance or 'none'}".lower(), roles=frozenset({Role.OPERATOR}), clearance=clearance).headers
    headers["Last-Event-ID"] = desk.feed.event_id(desk.feed.last_number)
    for one in pieces.values():
        desk.handlers._tell_piece(one.piece_id, "held")
    async with listening(app, headers) as heard:
        text = await heard.until("event: tick")
    for one in pieces.values():
        seen = may_see(clearance, one.level)
        assert (f'{{"piece_id": "{one.piece_id}"' in text) is seen
        assert (one.piece_id in text) is seen
        assert (one.secrets[2] in text) is seen
    assert text.count('"restricted":true') >= sum(not may_see(clearance, one.level) for one in pieces.values())


@pytest.mark.parametrize("first", [Role.OPERATOR, Role.AUDITOR])
async def test_who_sees_no_images_is_told_no_content_by_the_stream_whoever_listens_first(
    desk: Desk, app: FastAPI, pieces: dict[str, Marked], first: Role
) -> None:
    on_lane(desk, pieces, pieces["C"])
    desk.lane.stale = True
    told = {}
    for role in (first, Role.AUDITOR if first is Role.OPERATOR else Role.OPERATOR):
        headers = desk.door.signed(f"{role}-hears", roles=frozenset({role}), clearance=Secrecy.C).headers
        async with listening(app, headers) as heard:
            told[role] = await heard.until("event: tick")
    desk.lane.stale = False
    for secret in (pieces["C"].sha256, "opaque-area"):
        assert secret in told[Role.OPERATOR]
        assert secret not in told[Role.AUDITOR]


async def test_who_listens_at_the_same_time_is_shown_their_own(desk: Desk, app: FastAPI, pieces: dict[str, Marked]) -> None:
    on_lane(desk, pieces, pieces["A"])
    # One snapshot for all of them.
    desk.lane.stale = True

    async def told(number: int, role: Role, clearance: Secrecy | None) -> str:
        headers = desk.door.signed(f"together-{number}", roles=frozenset({role}), clearance=clearance).headers
        async with listening(app, headers) as heard:
            return await heard.until("event: tick")

    readers = [(role, clearance) for role in (Role.AUDITOR, Role.OPERATOR) for clearance in (Secrecy.A, None, Secrecy.C, Secrecy.B)] * 2
    texts = await asyncio.gather(*(told(number, *reader) for number, reader in enumerate(readers)))
    desk.lane.stale = False
    for (role, clearance), text in zip(readers, texts, strict=True):
        seen = {one.piece_id for one in pieces.values() if one.secrets[2] in text}
        assert seen == {one.piece_id for one in pieces.values() if may_see(clearance, one.level)}
        assert (pieces["A"].sha256 in text) is (role is Role.OPERATOR and clearance is Secrecy.A)


async def test_who_is_cleared_for_less_while_listening_is_told_less(desk: Desk, app: FastAPI, pieces: dict[str, Marked]) -> None:
    on_lane(desk, pieces, pieces["A"])
    headers = desk.door.signed("lowered", roles=frozenset({Role.OPERATOR}), clearance=Secrecy.A).headers
    highest = desk.door.signed("not-lowered", roles=frozenset({Role.OPERATOR}), clearance=Secrecy.A).headers
    async with listening(app, headers) as heard, listening(app, highest) as other:
        assert pieces["A"].piece_id in await heard.until("event: tick")
        desk.door.let_in("lowered", roles=frozenset({Role.OPERATOR}), clearance=None)
        for one in pieces.values():
            desk.handlers._tell_piece(one.piece_id, "held")
        since, since_other = len(heard.text), len(other.text)
        await heard.until(f'"piece_id": "{pieces["unmarked"].piece_id}"', since)
        told = await heard.until("event: tick", since)
        assert pieces["A"].piece_id in await other.until("event: tick", since_other)
    for one in pieces.values():
        assert (one.secrets[2] in told) is (one.piece_id in told) is (one.level is None)


async def test_what_comes_while_the_session_ends_is_not_told(
    desk: Desk, app: FastAPI, pieces: dict[str, Marked], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = desk.door.signed("leaver", roles=frozenset({Role.OPERATOR}), clearance=Secrecy.A).headers
    headers["Last-Event-ID"] = desk.feed.event_id(desk.feed.last_number)
    desk.handlers._tell_piece(pieces["A"].piece_id, "held")
    user_id, since = desk.door.accounts.called("leaver").user.user_id, EventFeed.since

    def leave_meanwhile(feed: EventFeed, after: int) -> FeedBatch:
        batch = since(feed, after)
        desk.write(lambda uow: uow.drop_sessions_of(user_id))
        desk.door.access.memory.reload()
        return batch

    monkeypatch.setattr(EventFeed, "since", leave_meanwhile)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        told = (await client.get("/api/v1/events", headers=headers)).text
    assert "event: resumed" in told
    assert "event: piece" not in told


async def test_who_cannot_be_told_which_news_are_theirs_is_told_to_read_anew(
    desk: Desk, app: FastAPI, pieces: dict[str, Marked], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_query: Any) -> Any:
        raise StoreError("The disk does not answer")

    headers = desk.door.signed("unsure", roles=frozenset({Role.OPERATOR}), clearance=None).headers
    async with listening(app, headers) as heard:
        since = len(await heard.until("event: tick"))
        monkeypatch.setattr(desk.store, "read", fail)
        desk.handlers._tell_piece(pieces["unmarked"].piece_id, "held")
        assert f'"piece_id": "{pieces["unmarked"].piece_id}"' not in await heard.until("event: reset", since)


async def test_without_log_in_nothing_is_told(app: FastAPI, needs: dict[tuple[str, str], Action | None], pieces: dict[str, Marked]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for method, path, _ in operations(app):
            for headers in ({}, {"Authorization": "Bearer nothing"}, {"Cookie": "__Host-kt1-session=nothing"}):
                if needs[method, path] is not None:
                    told = await ask(client, method, path, headers, pieces["unmarked"])
                    assert (told.status, '"not-logged-in"' in told.body, told.headers["www-authenticate"]) == (401, True, "Bearer")
                    assert told.headers["cache-control"] == "no-store"
        assert (await client.get("/api/v1/nowhere")).status_code == 401
