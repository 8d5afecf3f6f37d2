"""Every view of an image is written down, and a destroyed image is told apart from an unknown one only to those who may know."""

from pathlib import Path

import pytest

from station.domain.errors import StoreError
from station.domain.piece import Secrecy
from station.domain.scan import Scan
from station.domain.vault import ImageLookedAt, ImageViewed, Rendering
from station.workflow.viewing import ViewLog
from tests.support.api_station import Desk
from tests.support.damaged_files import Spoil, cut, empty, flip, remove
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


def test_for_how_long_a_picture_was_looked_at_is_written_down_and_nobody_says_more_than_can_be(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    other_id, other = desk.put_piece()

    def looked(shown_ms: int, heat_ms: int = 0, *, person: str = "an", sha: str | None = sha256, of: str = piece_id) -> bool | int:
        answer = desk.post(f"/scans/{sha}/looked?piece={of}", {"shown_ms": shown_ms, "heat_ms": heat_ms}, person=person)
        return bool(answer.json()["written"]) if answer.is_success else answer.status_code

    def looks() -> list[tuple[str, str | None, int, int]]:
        rows = [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id))]
        return [(one.person, one.scan_sha256, one.shown_ms, one.heat_ms) for one in rows if isinstance(one, ImageLookedAt)]

    assert looked(100) is False
    for name in ("", "/view.png"):
        desk.client.get(f"/api/v1/scans/{sha256}{name}", params={"piece": piece_id})
    desk.clock.forward(10)
    assert looked(9_000, person="binh") is False
    assert [looked(9_000, of=other_id), looked(9_000, sha=other), looked(9_000, sha="0" * 64)] == [404] * 3
    assert [looked(9_000, 9_001), looked(-1)] == [422] * 2
    assert looks() == []
    assert looked(9_000, 1_000) is True
    desk.client.get(f"/api/v1/scans/{sha256}/heat.png", params={"piece": piece_id})
    desk.clock.forward(5)
    path, body = f"/scans/{sha256}/looked?piece={piece_id}", {"shown_ms": 99_000, "heat_ms": 98_000}
    assert [desk.post(path, body, key="same").json() for _ in range(2)] == [{"written": True}] * 2
    assert looks() == [("an", sha256, 9_000, 0), ("an", sha256, 15_000, 5_000)]
    assert "shown_ms" not in desk.client.get(f"/api/v1/pieces/{piece_id}").text


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


DAMAGE: tuple[tuple[Spoil, int, str], ...] = (
    (flip, 503, "image-damaged"),
    (cut, 503, "image-damaged"),
    (empty, 503, "image-damaged"),
    (remove, 404, "not-found"),
)


@pytest.mark.parametrize(("spoil", "status", "code"), DAMAGE)
@pytest.mark.parametrize("suffix", [".views", ".key"])
def test_of_a_damaged_image_nothing_is_shown_until_it_is_mended(
    desk: Desk, tmp_path: Path, suffix: str, spoil: Spoil, status: int, code: str
) -> None:
    """Between its scan and the look of whoever reviews it. Nobody has seen it then, it stays held, and no other one is touched."""
    piece_id, sha256 = desk.put_piece()
    other_id, other = desk.put_piece()
    assert sha256 is not None

    def picture(name: str, scan: str | None = sha256, of: str = piece_id) -> tuple[int, str | None, bytes]:
        answer = desk.client.get(f"/api/v1/scans/{scan}/{name}.png", params={"piece": of})
        return answer.status_code, None if answer.is_success else answer.json()["code"], answer.content

    whole = {name: picture(name) for name in ("view", "heat")}
    assert {answer[0] for answer in whole.values()} == {200}
    desk.clock.forward(60)
    path = tmp_path / "images" / sha256[:2] / f"{sha256}{suffix}"
    before, seen = path.read_bytes(), _views(desk, piece_id)
    spoil(path)
    for name in whole:
        answer = picture(name)
        assert answer[:2] == (status, code)
        # One image says nothing about what can be stored.
        assert b"cannot be stored" not in answer[2]
        assert b"PNG" not in answer[2]
        assert picture(name, other, other_id)[0] == 200
    assert _views(desk, piece_id) == seen
    assert desk.get(f"/pieces/{piece_id}")["state"] == "held"
    assert desk.get(f"/scans/{sha256}?piece={piece_id}")["score"] == 0.7
    path.write_bytes(before)
    assert {name: picture(name) for name in whole} == whole


def _views(desk: Desk, piece_id: str) -> list[ImageViewed]:
    """Who was shown a picture of the piece."""
    rows = [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id))]
    return [fact for fact in rows if isinstance(fact, ImageViewed) and fact.rendering is not Rendering.FIGURES]


def test_who_has_pictures_before_them_on_end_is_asked_to_rest(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()

    def look(name: str, minutes: float, person: str = "an") -> tuple[int, bool]:
        desk.clock.forward(minutes * 60)
        headers = desk.door.signed(person).headers
        assert desk.client.get(f"/api/v1/scans/{sha256}{name}", params={"piece": piece_id}, headers=headers).status_code == 200
        return rest(person)

    def rest(person: str = "an") -> tuple[int, bool]:
        session = desk.client.get("/api/v1/session", headers=desk.door.signed(person).headers).json()
        return session["viewing_min"], session["rest_due"]

    assert rest() == (0, False)
    assert [look("/view.png", minutes) for minutes in (0, 9, 9)] == [(0, False), (9, False), (18, False)]
    # What is no picture tires nobody; a look that ends does.
    assert look("", 2.0) == (18, False)
    assert desk.post(f"/scans/{sha256}/looked?piece={piece_id}", {"shown_ms": 60_000, "heat_ms": 0}, person="an").json()["written"]
    assert rest() == (20, False)
    assert look("/heat.png", 1) == (21, True)
    assert look("/view.png", 0, "binh") == (0, False)
    desk.clock.forward(9 * 60)
    assert rest() == (21, True)
    desk.clock.forward(60)
    assert rest() == (0, False)
    assert look("/view.png", 0) == (0, False)
