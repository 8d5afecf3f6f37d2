"""The demo's people at a real interface."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from station.demo import people
from station.demo.accounts import REVIEWERS, let_people_in
from station.demo.client import Credentials, StationClient
from station.demo.people import LanePeople, UnderWay
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from tests.support.accounts import PASSWORD
from tests.support.api_station import LANE, Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Somebody who reads at a desk, and the paths of what they asked."""

    desk: Desk
    client: StationClient
    asked: list[str]


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Asking]:
    desk = Desk(tmp_path)
    desk.door.let_in("reader")
    client = StationClient(desk.server.url, Credentials(passwords={"reader": PASSWORD}, reader="reader"))
    asked: list[str] = []

    async def note(request: httpx.Request) -> None:
        asked.append(request.url.path)

    client._client.event_hooks["request"].append(note)
    yield Asking(desk=desk, client=client, asked=asked)
    await client.close()
    desk.close()


async def test_they_learn_every_state_and_ask_alone_only_about_what_has_ended(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PAGE", 2)
    monkeypatch.setattr(people, "ROUND_S", 0.0)
    desk = asking.desk
    held = [desk.put_piece()[0] for _ in range(5)]
    desk.put_piece()
    under_way = UnderWay(asking.client)
    lane = LanePeople(lane_id="lane-1", client=asking.client, under_way=under_way, control=None, decide=True, note=print)  # type: ignore[arg-type]
    lane.truth = dict.fromkeys(held, "benign")
    await lane.look_at_pieces()
    assert lane.states == dict.fromkeys(held, "held")
    assert set(asking.asked[1:]) == {"/api/v1/pieces"}
    for state in (PieceState.IN_REVIEW, PieceState.REJECTED, PieceState.RETURNED):
        desk.write(lambda uow, state=state: uow.change_state(held[0], state, desk.clock.utc_now()))
    for _ in range(2):
        await lane.look_at_pieces()
    assert lane.states == dict.fromkeys(held[1:], "held") | {held[0]: "returned"}
    assert asking.asked.count(f"/api/v1/pieces/{held[0]}") == 1


async def test_the_list_is_read_once_a_round_for_all_lanes(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "ROUND_S", 3600.0)
    piece_id, _ = asking.desk.put_piece()
    under_way = UnderWay(asking.client)
    assert await asyncio.gather(*(under_way.states() for _ in range(4))) == [{piece_id: "held"}] * 4
    assert asking.asked.count("/api/v1/pieces") == 1


async def test_they_go_on_where_a_round_broke_off_after_the_first_of_two(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    piece_id, sha256 = desk.put_piece(reasons=(Reason.DEVICE_LOST,))
    client = StationClient(desk.server.url, await let_people_in(desk.door.accounts, lambda _: None))
    lane = LanePeople(lane_id=LANE, client=client, under_way=UnderWay(client), control=None, decide=True, note=print)  # type: ignore[arg-type]
    lane.truth = {piece_id: "benign"}
    try:
        path = f"/api/v1/reviews/{piece_id}"
        await client.post(f"{path}/claim", person=REVIEWERS[0])
        body = {"outcome": "clear", "scan_sha256": sha256, "note": ""}
        assert (await client.post(f"{path}/decision", body, person=REVIEWERS[0]))["awaiting_second_person"] is True
        assert await lane.review(await client.get(f"/api/v1/pieces/{piece_id}"))
        assert desk.get(f"/pieces/{piece_id}")["state"] == "cleared"
    finally:
        await client.close()
        desk.close()
