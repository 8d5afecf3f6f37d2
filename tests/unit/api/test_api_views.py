"""Every view of an image is written down, and a destroyed image is told apart from an unknown one only to those who may know."""

import pytest

from station.domain.errors import StoreError
from station.domain.piece import Secrecy
from station.domain.scan import Scan
from station.domain.vault import ImageViewed, Rendering
from station.workflow.viewing import ViewLog
from tests.support.api_station import Desk
from tests.support.vault_killed import ORDER


def test_each_view_is_written_down_once_a_minute_and_told_to_nobody_who_reviews(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()

    def views() -> list[tuple[str, str]]:
        rows = desk.store.read(lambda view: view.evidence(piece_id))
        return [(row.evidence.person, row.evidence.rendering.value) for row in rows if isinstance(row.evidence, ImageViewed)]

    def look(name: str, person: str) -> int:
        headers = desk.door.signed(person).headers if person else {"Cookie": ""}
        return desk.client.get(f"/api/v1/scans/{sha256}{name}", params={"piece": piece_id}, headers=headers).status_code

    for _ in range(3):
        for person in ("an", "binh"):
            for name in ("", "/view.png", "/heat.png"):
                assert look(name, person) == 200
    assert views() == [(person, what) for person in ("an", "binh") for what in ("figures", "standard", "heat")]
    desk.clock.forward(60)
    assert look("/view.png", "an") == 200
    assert views()[6:] == [("an", "standard")]
    assert look("/view.png", "") == 401
    desk.client.get(f"/api/v1/scans/{'0' * 64}/view.png", params={"piece": piece_id})
    assert len(views()) == 7
    assert "binh" not in desk.client.get(f"/api/v1/pieces/{piece_id}").text


async def test_a_marked_piece_is_written_down_each_time(desk: Desk) -> None:
    piece_id, _ = desk.put_piece(secrecy=Secrecy.C)
    piece = desk.store.read(lambda view: view.piece(piece_id))
    facts = [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id))]
    scan = next(fact for fact in facts if isinstance(fact, Scan))
    assert piece is not None
    log = ViewLog(store=desk.store, clock=desk.clock)
    for _ in range(3):
        await log.note(piece, scan, Rendering.STANDARD, "an")
    written = [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id)) if isinstance(row.evidence, ImageViewed)]
    assert len(written) == 3


def test_what_cannot_be_written_down_is_not_shown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    piece_id, sha256 = desk.put_piece()

    def fails(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(desk.store), "write", fails)
        answer = desk.client.get(f"/api/v1/scans/{sha256}/view.png", params={"piece": piece_id})
    assert (answer.status_code, answer.json()["code"]) == (503, "store-error")
    assert b"PNG" not in answer.content


def test_a_destroyed_image_is_told_to_be_so_to_those_who_may_see_it(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    other, _ = desk.put_piece()
    marked_id, marked = desk.put_piece(secrecy=Secrecy.A)
    for key in desk.images.existing_keys():
        desk.images.destroy(key, (), ORDER)
    for name in ("view.png", "heat.png"):
        answer = desk.client.get(f"/api/v1/scans/{sha256}/{name}", params={"piece": piece_id})
        assert (answer.status_code, answer.json()["code"]) == (404, "image-destroyed")
    below = desk.door.signed("below", clearance=Secrecy.B).headers
    for asked, of in ((sha256, other), (marked, marked_id)):
        hidden = desk.client.get(f"/api/v1/scans/{asked}/view.png", params={"piece": of}, headers=below)
        assert (hidden.status_code, hidden.json()["code"]) == (404, "not-found")
    # The evidence stays.
    assert desk.get(f"/scans/{sha256}?piece={piece_id}")["score"] == 0.7
