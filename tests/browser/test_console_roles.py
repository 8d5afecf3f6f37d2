"""What each role is offered, and what it is told that it does not see: no page asks for what the station would refuse."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station.domain.access import Role
from station.domain.piece import PieceState
from tests.browser.conftest import come_in
from tests.support.api_station import LANE, Desk

pytestmark = pytest.mark.browser
DECIDING, FREEZING, COMMANDS = "#clear, #hold", "#freeze", "[data-command]"
REVIEWING = "#claim, #release, #note, #clear, #hold, #reject, #second-opinion"


@pytest.fixture
def waiting(desk: Desk) -> str:
    """A lane that waits for a decision, and a held piece; the id of the piece that waits."""
    desk.put_piece()
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED)
    desk.ask_operator(piece_id, str(sha256))
    return piece_id


def come_as(context: BrowserContext, page: Page, desk: Desk, role: Role) -> None:
    # What the page before still asks would be asked by whoever comes now.
    page.goto("about:blank")
    come_in(context, desk, f"p-{role.value}", roles=frozenset({role}))


def open_lane(page: Page, *, decide: int, freeze: int, command: int, pictures: bool) -> None:
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#lane-state")).to_have_text("Đang chạy")
    expect(page.locator(DECIDING)).to_have_count(decide)
    expect(page.locator(FREEZING)).to_have_count(freeze)
    expect(page.locator(COMMANDS)).to_have_count(command)
    for name, offered in (("quyết định", decide), ("giữ nguyên hiện trạng", freeze), ("điều khiển", command)):
        expect(page.locator("#not-yours").filter(has_text=name)).to_have_count(0 if offered else 1)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", str(pictures).lower())
    if not pictures:
        expect(page.locator("#viewer")).to_have_text("Vai trò của bạn không xem ảnh soi.")


@pytest.mark.usefixtures("waiting")
def test_an_administrator_is_told_that_lanes_pieces_and_reports_are_not_theirs(desk: Desk, context: BrowserContext, page: Page) -> None:
    come_as(context, page, desk, Role.ADMINISTRATOR)
    page.goto("/")
    expect(page.locator("#lanes")).to_contain_text("Vai trò của bạn không xem các làn soi")
    expect(page.locator("#review-card")).to_contain_text("Vai trò của bạn không xem các bưu gửi đang giữ")
    expect(page.locator("#main a")).to_have_count(0)
    for path, refused in ((f"/lane/{LANE}", "#lane-refused"), ("/review", "#review-refused"), ("/reports", "#reports-refused")):
        page.goto(path)
        expect(page.locator(refused)).to_contain_text("Vai trò của bạn không")
        expect(page.locator("#main button")).to_have_count(0)
        expect(page.locator("#stale")).to_be_hidden()


def test_each_role_is_offered_what_it_may_do_and_told_what_it_may_not(
    desk: Desk, context: BrowserContext, page: Page, waiting: str
) -> None:
    come_as(context, page, desk, Role.AUDITOR)
    open_lane(page, decide=0, freeze=0, command=0, pictures=False)
    expect(page.locator("#recent li[data-piece]")).to_have_count(1)
    page.keyboard.press("F9")
    expect(page.locator("#message")).to_contain_text("hãy báo người tại làn")
    page.goto("/review")
    expect(page.locator("#history li").first).to_be_visible()
    expect(page.locator(REVIEWING)).to_have_count(0)
    expect(page.locator("#not-yours")).to_contain_text("người thẩm định mới quyết định ở đây")
    expect(page.locator("#viewer")).to_have_text("Vai trò của bạn không xem ảnh soi.")
    come_as(context, page, desk, Role.SUPERVISOR)
    open_lane(page, decide=0, freeze=1, command=4, pictures=True)
    page.goto("/review")
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    expect(page.locator(REVIEWING)).to_have_count(0)
    come_as(context, page, desk, Role.REVIEWER)
    open_lane(page, decide=2, freeze=1, command=0, pictures=True)
    page.goto("/review")
    expect(page.locator("#claim")).to_be_enabled()
    expect(page.locator("#not-yours")).to_have_count(0)
    come_as(context, page, desk, Role.TECHNICIAN)
    page.goto("/review")
    expect(page.locator("#review-refused")).to_be_visible()
    open_lane(page, decide=0, freeze=1, command=4, pictures=False)
    expect(page.locator("#recent")).to_have_text("Vai trò của bạn không xem kết quả của từng bưu gửi.")
    page.keyboard.press("F2")
    page.keyboard.press("F9")
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    assert desk.lane.asked == [("freeze", waiting, "p-technician")]
