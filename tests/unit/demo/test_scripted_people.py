"""The demo's scripted reviewers, over real HTTP and a real store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.demo.accounts import REVIEWERS, let_people_in
from station.demo.client import StationClient
from station.demo.people import LanePeople
from station.demo.processes import SimulatorControl
from station.domain.reasons import Reason
from tests.support.api_station import LANE, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_they_go_on_where_a_round_broke_off_after_the_first_of_two(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(reasons=(Reason.DEVICE_LOST,))

    async def go_on() -> tuple[bool, bool]:
        client = StationClient(desk.server.url, await let_people_in(desk.door.accounts, lambda _: None))
        people = LanePeople(
            lane_id=LANE,
            client=client,
            control=SimulatorControl("127.0.0.1:1"),
            decide=True,
            note=lambda _: None,
            truth={piece_id: "benign"},
        )
        try:
            await client.post(f"/api/v1/reviews/{piece_id}/claim", person=REVIEWERS[0])
            first = await client.post(
                f"/api/v1/reviews/{piece_id}/decision", {"outcome": "clear", "scan_sha256": sha256, "note": ""}, person=REVIEWERS[0]
            )
            return first["awaiting_second_person"], await people.review(await client.get(f"/api/v1/pieces/{piece_id}"))
        finally:
            await client.close()

    assert asyncio.run(go_on()) == (True, True)
    assert desk.get(f"/pieces/{piece_id}")["state"] == "cleared"
