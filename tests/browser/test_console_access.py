"""Log-in, log-out, the first start's link, an ended session, confirmation: in a real browser, by keys."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station.api.cookies import BROWSER, SESSION
from station.domain.access import Role
from station.domain.piece import PieceState, Secrecy
from station.domain.reasons import Reason
from tests.browser.conftest import come_in, hold_session, leave_unanswered, let_pass, open_review
from tests.support.accounts import PASSWORD, run
from tests.support.api_station import LANE, Desk

pytestmark = pytest.mark.browser


def log_in(page: Page, login: str, password: str) -> None:
    page.locator("#login").fill(login)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_who_logs_in_gets_the_page_that_was_asked_for_and_who_logs_out_is_out(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    context.clear_cookies()
    desk.door.let_in("lan")
    page.goto("/review")
    expect(page).to_have_url(re.compile("/login\\?next=%2Freview$"))
    expect(page.locator("#login")).to_be_focused()
    log_in(page, "lan", "một mật khẩu khác")
    expect(page.locator("#message")).to_contain_text("Tên đăng nhập hoặc mật khẩu không đúng")
    words = leave_unanswered(page, "**/locales/en.json")
    with page.expect_request("**/locales/en.json"):
        page.locator("#language").click()
    page.locator("#password").focus()
    let_pass(page, "**/locales/en.json", words)
    expect(page.locator("#language")).to_have_attribute("lang", "vi")
    # What was typed stays, and what is still being typed goes on in the same field.
    expect(page.locator("#password")).to_be_focused()
    expect(page.locator("#login")).to_have_value("lan")
    expect(page.locator("#password")).to_have_value("một mật khẩu khác")
    log_in(page, "lan", "another password")
    expect(page.locator("#message")).to_contain_text("Login or password is wrong")
    log_in(page, "LAN", PASSWORD)
    expect(page).to_have_url(re.compile("/review$"))
    expect(page.locator("#who")).to_have_text("lan")
    given = {cookie["name"]: cookie for cookie in context.cookies()}
    assert {name: (one["secure"], one["httpOnly"], one["sameSite"], one["path"]) for name, one in given.items()} == dict.fromkeys(
        (SESSION, BROWSER), (True, True, "Strict", "/")
    )
    assert page.evaluate("document.cookie") == ""
    page.locator("#log-out").press("Enter")
    expect(page).to_have_url(re.compile("/login$"))
    assert [cookie["name"] for cookie in context.cookies()] == [BROWSER]
    page.goto(f"/lane/{LANE}")
    expect(page).to_have_url(re.compile("/login\\?next="))
    complaints.clear()


def test_who_logs_out_does_not_wait_for_what_is_told_of_the_pictures(desk: Desk, page: Page, complaints: list[str]) -> None:
    desk.put_piece()
    leave_unanswered(page, "**/looked?*")
    page.clock.install()
    open_review(page)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.clock.run_for(1_000)
    with page.expect_request("**/looked?*"):
        page.locator("#log-out").press("Enter")
    page.clock.run_for(3_000)
    expect(page).to_have_url(re.compile("/login$"))
    # What the page asked while the session ended was refused.
    assert all("401" in text for text in complaints)
    complaints.clear()


@pytest.mark.parametrize("next_page", ["//evil.example/x", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/login"])
def test_log_in_never_leads_elsewhere(desk: Desk, context: BrowserContext, page: Page, next_page: str) -> None:
    context.clear_cookies()
    desk.door.let_in("lan")
    page.goto(f"/login?next={next_page}")
    log_in(page, "lan", PASSWORD)
    expect(page.locator("#who")).to_have_text("lan")
    expect(page).to_have_url(f"{desk.server.url}/")


def test_a_session_that_ends_leads_to_the_log_in_page_and_back(desk: Desk, page: Page, complaints: list[str]) -> None:
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#lane-state")).to_have_text("Đang chạy")
    desk.clock.forward(31 * 60)
    expect(page).to_have_url(re.compile("/login\\?next=%2Flane%2Flane-1$"))
    log_in(page, "operator", PASSWORD)
    expect(page.locator("#lane-state")).to_have_text("Đang chạy")
    complaints.clear()


def test_a_page_of_an_earlier_session_does_nothing_in_the_wrong_name_but_freezes_all_the_same(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    def wait_for_decision() -> str:
        piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED)
        desk.ask_operator(piece_id, str(sha256))
        expect(page.locator("#request")).to_contain_text(piece_id)
        expect(page.locator("#hold")).to_be_enabled()
        return piece_id

    for login in ("lan", "minh", "nam"):
        desk.door.let_in(login)
    page.goto(f"/lane/{LANE}")
    first = wait_for_decision()
    with desk.stranger() as client:
        given = client.post("/api/v1/session", json={"login": "operator", "password": PASSWORD}).headers["set-cookie"]
    hold_session(context, desk, given.partition(f"{SESSION}=")[2].partition(";")[0])
    page.keyboard.press("F4")
    expect(page.locator("#message")).to_contain_text(first)
    second = wait_for_decision()
    come_in(context, desk, "lan")
    page.keyboard.press("F4")
    expect(page.locator("#who")).to_have_text("lan")
    expect(page.locator("#request")).to_contain_text(second)
    come_in(context, desk, "minh")
    page.keyboard.press("F9")
    expect(page.locator("#who")).to_have_text("minh")
    assert [(asked[0], asked[1], asked[-1]) for asked in desk.lane.asked] == [("decide", first, "operator"), ("freeze", second, "minh")]
    # Whoever logs in in another tab ends the session of this page, which then says who is in.
    elsewhere = context.new_page()
    elsewhere.goto("/login")
    log_in(elsewhere, "nam", PASSWORD)
    expect(page.locator("#who")).to_have_text("nam")
    assert [text for text in complaints if "403" not in text] == []
    complaints.clear()


def test_the_first_administrator_chooses_a_password_once(desk: Desk, context: BrowserContext, page: Page, complaints: list[str]) -> None:
    context.clear_cookies()
    made = run(desk.door.accounts.add("quan-tri", display_name="Quản trị", roles=[Role.ADMINISTRATOR], clearance=None))
    page.goto(f"/welcome#{made.secret}")
    expect(page.locator("#password")).to_be_focused()
    assert str(made.secret) not in page.url
    page.keyboard.type("mưa rơi trên phố cũ")
    page.keyboard.press("Tab")
    page.keyboard.type("mưa rơi trên phố")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("không giống nhau")
    page.locator("#again").fill("mưa rơi trên phố cũ")
    page.keyboard.press("Enter")
    expect(page.locator("#who")).to_have_text("Quản trị")
    page.goto(f"/welcome#{made.secret}")
    for name in ("#password", "#again"):
        page.locator(name).fill("mưa rơi trên phố mới")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("Liên kết đã dùng")
    complaints.clear()


def test_whoever_wants_another_password_changes_it_by_the_present_one(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    context.clear_cookies()
    desk.door.let_in("lan")
    page.goto("/password")
    expect(page).to_have_url(re.compile("/login\\?next=%2Fpassword$"))
    log_in(page, "lan", PASSWORD)
    expect(page.locator("#present")).to_be_focused()
    page.locator("#back").click()
    expect(page).to_have_url(f"{desk.server.url}/")
    page.locator("#who").click()
    expect(page.locator("form")).to_contain_text("lan: mọi phiên đăng nhập khác của bạn sẽ kết thúc")
    for name, text in (("#present", "một mật khẩu khác"), ("#password", "mưa rơi trên phố cũ"), ("#again", "mưa rơi trên phố")):
        page.locator(name).fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("không giống nhau")
    page.locator("#again").fill("mưa rơi trên phố cũ")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("không đúng")
    page.locator("#present").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{desk.server.url}/")
    page.locator("#log-out").click()
    log_in(page, "lan", "mưa rơi trên phố cũ")
    expect(page.locator("#who")).to_have_text("lan")
    complaints.clear()


def test_clearing_what_takes_two_people_asks_for_the_password(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    piece_id, _ = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    come_in(context, desk, "lan", confirmed=False)
    page.goto("/review")
    expect(page.locator("#about")).to_contain_text(piece_id)
    expect(page.locator("#stale")).to_be_hidden()
    page.keyboard.press("F3")
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press("F2")
    expect(page.locator("#confirm-password")).to_be_focused()
    page.keyboard.type("không phải mật khẩu")
    page.keyboard.press("Enter")
    expect(page.locator("#confirm-message")).to_be_visible()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("Chờ người duyệt thứ hai")
    complaints.clear()


def test_who_is_not_cleared_sees_that_something_lies_there_and_nothing_more(desk: Desk, context: BrowserContext, page: Page) -> None:
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED, secrecy=Secrecy.B)
    desk.ask_operator(piece_id, str(sha256), secrecy=Secrecy.B)
    come_in(context, desk, "nam", clearance=Secrecy.C)
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#request")).to_contain_text("người được xem độ mật này phải quyết định")
    expect(page.locator("#lane-picture .piece.hidden")).to_have_count(1)
    expect(page.locator("#hold")).to_be_disabled()
    expect(page.locator("#freeze")).to_be_enabled()
    assert piece_id not in page.content()
