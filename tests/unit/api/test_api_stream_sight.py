"""The stream tells each reader of their own pieces, and of nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from station.domain.access import Role, may_see
from station.domain.errors import StoreError
from station.domain.piece import Secrecy
from station.workflow.feed import EventFeed, FeedBatch
from tests.support.api_station import Desk
from tests.support.marked_pieces import LEVELS, Marked, on_lane, put


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("sight"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def app(desk: Desk) -> FastAPI:
    return desk.app()


@pytest.fixture(scope="module")
def pieces(desk: Desk) -> dict[str, Marked]:
    return {name: put(desk, name) for name in LEVELS}


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
