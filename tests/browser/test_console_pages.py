"""The start page, the review page, the description of the interface."""

import re
from datetime import timedelta
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import PieceState, Secrecy, Urgency
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision
from station.domain.vault import ImageLookedAt
from station.workflow.views import LaneState
from tests.browser.conftest import come_in, open_review, settle, state_of
from tests.support.api_station import LANE, START, Desk

pytestmark = pytest.mark.browser

LISTS = ("**/api/v1/reviews?*", "**/api/v1/alarms?*", "**/api/v1/lanes/*/recent?*")
GLANCE_MS = 200
"""For so long somebody must look before it counts."""


def test_the_start_page_leads_on(desk: Desk, page: Page) -> None:
    desk.put_piece()
    page.goto("/")
    expect(page.locator("#lanes")).to_contain_text("Đang chạy")
    expect(page.locator("#review-card")).to_contain_text("1")
    desk.lane.show(state=LaneState.FROZEN)
    expect(page.locator("#lanes")).to_contain_text("Giữ nguyên hiện trạng")
    page.locator("#lanes a").press("Enter")
    expect(page).to_have_url(re.compile(f"/lane/{LANE}$"))
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")


def test_a_held_piece_is_claimed_looked_at_and_cleared_by_keys(desk: Desk, page: Page) -> None:
    first, sha256 = desk.put_piece()
    second, _ = desk.put_piece(reasons=(Reason.OPERATOR_HOLDS,))
    open_review(page)
    expect(page.locator("#about")).to_contain_text(first)
    expect(page.locator("#reasons")).to_contain_text("Mô hình báo nghi vấn")
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text("Hãy bấm Nhận thẩm định trước")
    page.keyboard.press("Enter")
    expect(page.locator("#clear")).to_be_enabled()
    assert state_of(desk, first) is PieceState.IN_REVIEW
    page.locator("#note").fill("hóa đơn")
    page.keyboard.press("F7")
    expect(page.locator("#viewer .heat")).to_be_visible()
    page.wait_for_timeout(GLANCE_MS)
    desk.clock.forward(5)
    with page.expect_response(lambda answer: "/looked" in answer.url) as told:
        page.keyboard.press("F2")
    assert told.value.ok
    expect(page.locator("#message")).to_contain_text("không nghi vấn")
    expect(page.locator("#about")).to_contain_text(second)
    expect(page.locator(f'[data-piece="{first}"]')).to_have_count(0)
    assert state_of(desk, first) is PieceState.CLEARED
    facts = [row.evidence for row in desk.store.read(lambda view: view.evidence(first))]
    look = next(fact for fact in facts if isinstance(fact, ImageLookedAt))
    assert (look.person, look.scan_sha256) == ("operator", sha256)
    assert look.shown_ms > look.heat_ms >= GLANCE_MS
    decision = next(fact for fact in facts if isinstance(fact, ReviewDecision))
    assert (decision.person, decision.note, decision.scan_sha256) == ("operator", "hóa đơn", sha256)


def test_two_people_on_two_screens(desk: Desk, context: BrowserContext, page: Page) -> None:
    piece_id, _ = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    come_in(context, desk, "binh")
    open_review(page)
    expect(page.locator("#who")).to_have_text("binh")
    expect(page.locator("#two-people")).to_be_visible()
    page.locator("#claim").click()
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text("Chờ người duyệt thứ hai")
    come_in(context, desk, "chi")
    open_review(page)
    expect(page.locator("#history li").first).to_be_visible()
    expect(page.locator("#history")).not_to_contain_text("binh")
    page.locator("#claim").click()
    expect(page.locator("#clear")).to_be_enabled()
    page.locator("#clear").click()
    expect(page.locator("#queue-empty")).to_be_visible()
    assert state_of(desk, piece_id) is PieceState.CLEARED


def test_hold_reject_and_giving_back(desk: Desk, page: Page) -> None:
    piece_id, _ = desk.put_piece()
    open_review(page)
    page.keyboard.press("F3")
    expect(page.locator("#release")).to_be_enabled()
    page.keyboard.press("F6")
    expect(page.locator("#claim")).to_be_enabled()
    assert state_of(desk, piece_id) is PieceState.HELD
    page.keyboard.press("F3")
    expect(page.locator("#hold")).to_be_enabled()
    page.keyboard.press("F4")
    expect(page.locator("#reasons")).to_contain_text("Thẩm định giữ lại")
    page.keyboard.press("F3")
    expect(page.locator("#reject")).to_be_enabled()
    page.keyboard.press("F9")
    expect(page.locator("#queue-empty")).to_be_visible()
    assert state_of(desk, piece_id) is PieceState.REJECTED


def test_urgent_and_marked_pieces_come_first_and_arrows_move(desk: Desk, page: Page) -> None:
    plain, _ = desk.put_piece()
    marked, _ = desk.put_piece(secrecy=Secrecy.A)
    urgent, _ = desk.put_piece(urgency=Urgency.EXPRESS)
    open_review(page)
    items = page.locator(".queue-item")
    expect(items).to_have_count(3)
    order = [items.nth(at).get_attribute("data-piece") for at in range(3)]
    assert set(order[:2]) == {marked, urgent}
    assert order[2] == plain
    page.keyboard.press("ArrowDown")
    expect(page.locator("#about")).to_contain_text(str(order[1]))
    page.keyboard.press("ArrowDown")
    expect(page.locator("#about")).to_contain_text(plain)
    # Enter on another piece chooses that one, and claims none; once it is chosen, Enter claims it.
    for key, piece_id in (("Enter", order[0]), ("NumpadEnter", order[1])):
        page.locator(f'[data-piece="{piece_id}"]').press(key)
        expect(page.locator("#about")).to_contain_text(str(piece_id))
        expect(page.locator("#claim")).to_be_enabled()
        settle(page)
        assert {state_of(desk, each) for each in (plain, marked, urgent)} == {PieceState.HELD}
    page.keyboard.press("Enter")
    expect(page.locator("#release")).to_be_enabled()
    assert state_of(desk, str(order[1])) is PieceState.IN_REVIEW
    page.locator("#release").click()
    expect(page.locator("#claim")).to_be_enabled()
    page.locator(f'[data-piece="{marked}"]').click()
    expect(page.locator("#about")).to_contain_text("Tuyệt mật")
    expect(page.locator("#two-people")).to_be_visible()
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#clear")).to_be_enabled()
    # Somebody else shall look at it.
    page.keyboard.press("F1")
    expect(page.locator("#message")).to_contain_text("đang giữ")
    page.locator(f'[data-piece="{marked}"]').click()
    expect(page.locator("#reasons")).to_contain_text("xin thêm ý kiến")
    # No printer shows what is inside the mail.
    page.emulate_media(media="print")
    expect(page.locator("img.scan")).to_be_hidden()


def test_what_another_person_does_shows_by_itself(desk: Desk, page: Page) -> None:
    open_review(page)
    expect(page.locator("#queue-empty")).to_be_visible()
    piece_id, _ = desk.put_piece(destination="<img src=x onerror=alert(1)>")
    desk.feed.publish("piece", "{}")
    expect(page.locator("#about")).to_contain_text("<img src=x onerror=alert(1)>")
    assert desk.post(f"/reviews/{piece_id}/claim", person="dung").status_code == 200
    expect(page.locator("#about")).to_contain_text("dung đang thẩm định")


def test_times_are_the_site_s_and_those_of_another_day_are_told_with_it(desk: Desk, browser: Browser) -> None:
    desk.put_piece()
    # A browser on the clock of another place.
    context = browser.new_context(base_url=desk.server.url, locale="vi-VN", timezone_id="America/New_York")
    come_in(context, desk, "operator")
    page = context.new_page()
    # 23:30 on the site, of the day on which the piece was held at 15:00.
    page.clock.set_fixed_time(START + timedelta(hours=8.5))
    open_review(page)
    since = page.locator(".queue-item .quiet")
    expect(since).to_have_text("15:00:00")
    expect(page.locator("#history li").first).to_contain_text("15:00:00 nhận dạng")
    page.clock.set_fixed_time(START + timedelta(hours=9.5))
    desk.feed.publish("piece", "{}")
    expect(since).to_have_text("15:00:00 21/11/26")
    expect(page.locator("#history li").first).to_contain_text("15:00:00 21/11/26 nhận dạng")
    context.close()


def test_a_refusal_is_told_in_the_language_on_screen(desk: Desk, page: Page, complaints: list[str]) -> None:
    piece_id, _ = desk.put_piece()
    open_review(page)
    page.keyboard.press("F8")
    expect(page.locator("#claim")).to_contain_text("Claim")
    # That somebody else has it does not reach the page.
    page.route(LISTS[0], lambda route: route.abort())
    desk.post(f"/reviews/{piece_id}/claim", person="dung")
    page.locator("#claim").click()
    expect(page.locator("#message")).to_contain_text("Somebody else is deciding about this piece")
    # It asks on, in vain.
    page.close()
    complaints.clear()


def test_the_description_of_the_interface_works_offline(desk: Desk, page: Page) -> None:
    elsewhere = []
    page.on("request", lambda request: None if request.url.startswith(desk.server.url) else elsewhere.append(request.url))
    page.goto("/docs")
    expect(page.locator(".operation").first).to_be_visible()
    page.get_by_text("POST /api/v1/reviews/{piece_id}/decision").click()
    expect(page.get_by_text("Clearing what takes two people")).to_be_visible()
    expect(page.locator(".operation[open]")).to_contain_text("(path, bắt buộc)")
    assert elsewhere == []


@pytest.mark.parametrize("path", ["/", f"/lane/{LANE}", "/review", "/users", "/audit"])
@pytest.mark.parametrize(("scheme", "priority"), [("light", AlarmPriority.HIGH), ("dark", AlarmPriority.MEDIUM)])
def test_text_has_enough_contrast(desk: Desk, page: Page, path: str, scheme: Literal["light", "dark"], priority: AlarmPriority) -> None:
    desk.put_piece()
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.LAMP, priority, LANE, "lamp 2", START))
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#alarms")).to_contain_text("lamp 2")
    expect(page.get_by_text("Đang tải").filter(visible=True)).to_have_count(0)
    page.keyboard.press("Tab")
    poor = page.evaluate(
        """() => {
          const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
          const ground = (element) => {
            for (let at = element; at; at = at.parentElement) {
              const colour = parse(getComputedStyle(at).backgroundColor);
              if (colour.length === 3 || colour[3] === 1) return colour;
            }
            return [255, 255, 255];
          };
          const contrast = (one, other) => {
            const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
            return (bright + 0.05) / (dark + 0.05);
          };
          const ring = (element) => {
            element.focus();
            const {outlineColor, outlineOffset, outlineStyle} = getComputedStyle(element);
            const seen = element.matches(':focus-visible') && outlineStyle === 'solid';
            return seen ? contrast(parse(outlineColor), ground(parseFloat(outlineOffset) < 0 ? element : element.parentElement)) : 0;
          };
          const rings = [...document.querySelectorAll('a, button:enabled, input, select, textarea')]
            .filter((element) => element.checkVisibility() && !element.closest('dialog'))
            .map((element) => [`ring: ${element.outerHTML.slice(0, 80)}`, ring(element)]).filter(([, ratio]) => ratio < 3);
          const texts = [...document.querySelectorAll('body *')]
            .filter((element) => element.checkVisibility() && !element.closest('svg'))
            .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
            .map((element) => [element.outerHTML.slice(0, 80), contrast(parse(getComputedStyle(element).color), ground(element))])
            .filter(([, ratio]) => ratio < 4.5);
          return rings.concat(texts);
        }"""
    )
    assert poor == []


def test_what_of_a_piece_cannot_be_had_is_said_and_asked_for_again(desk: Desk, page: Page, complaints: list[str]) -> None:
    piece_id, _ = desk.put_piece()
    details, view, heat = "**/api/v1/pieces/*", "**/view.png*", "**/heat.png*"
    for path in (details, view, heat):
        page.route(path, lambda route: route.abort())
    open_review(page)
    expect(page.locator("#detail-failed")).to_have_text("⚠ Không đọc được bưu gửi này: Trạm không trả lời")
    expect(page.locator("#viewer")).to_have_text("Không đọc được bưu gửi này")
    page.unroute(details)
    desk.feed.publish("piece", "{}")
    expect(page.locator("#about")).to_contain_text(piece_id)
    expect(page.locator("#viewer")).to_have_text("Không hiện được ảnh soi")
    page.unroute(view)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    expect(page.locator("#viewer .placeholder")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#clear")).to_be_enabled()
    # A map that did not come is none on which nothing is marked, and nobody looked at it.
    page.keyboard.press("F7")
    expect(page.locator("#heat-note")).to_contain_text("Không hiện được bản đồ nhiệt")
    expect(page.locator("#heat")).to_have_attribute("aria-pressed", "false")
    page.route(details, lambda route: route.abort())
    desk.feed.publish("piece", "{}")
    expect(page.locator("#detail-old")).to_contain_text("từ đó đến nay không đọc lại được")
    expect(page.locator("#about")).to_contain_text(piece_id)
    page.unroute(details)
    with page.expect_request("**/looked?*") as told:
        page.keyboard.press("F2")
    looked = told.value.post_data_json
    assert looked["shown_ms"] > GLANCE_MS
    assert looked["heat_ms"] == 0
    page.goto("about:blank")
    assert [text for text in complaints if "ERR_FAILED" not in text] == []
    complaints.clear()


def test_lists_that_cannot_be_read_are_called_old_and_hide_nothing_else(desk: Desk, page: Page, complaints: list[str]) -> None:
    piece_id, _ = desk.put_piece()
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, LANE, "", START))

    def fail() -> None:
        for path in LISTS:
            page.route(path, lambda route: route.abort())

    def mend() -> None:
        for path in LISTS:
            page.unroute(path)

    open_review(page)
    fail()
    expect(page.locator("#queue-old")).to_contain_text("từ đó đến nay không đọc lại được")
    expect(page.locator(f'[data-piece="{piece_id}"]')).to_be_visible()
    expect(page.locator("#about")).to_contain_text(piece_id)
    expect(page.locator("#alarms")).to_contain_text("Không đọc được báo động")
    page.keyboard.press("F10")
    mend()
    expect(page.locator("#alarms")).to_contain_text("Lỗi đèn UV")
    expect(page.locator("#queue-old")).to_have_count(0)
    # What the bar did not show was not acknowledged.
    assert [alarm.acknowledged_at for alarm in desk.store.read(lambda view: view.alarms(active_only=True, limit=9))] == [None]
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#recent")).to_contain_text(piece_id)
    fail()
    expect(page.locator("#recent-old")).to_be_visible(timeout=15_000)
    expect(page.locator("#recent")).to_contain_text(piece_id)
    with page.expect_event("requestfailed", lambda request: "/api/v1/reviews?" in request.url):
        page.goto("/")
    settle(page)
    expect(page.locator("#lanes")).to_contain_text("Đang chạy")
    expect(page.locator("#review-card")).to_contain_text("–")
    # A page that is open asks again, and complains again.
    page.goto("about:blank")
    assert [text for text in complaints if "ERR_FAILED" not in text] == []
    complaints.clear()


def test_a_page_whose_first_question_fails_says_so_and_asks_again(desk: Desk, page: Page, complaints: list[str]) -> None:
    page.clock.install()
    firsts = {
        "/docs": "**/openapi.json",
        "/password": "**/api/v1/session",
        "/login": "**/locales/vi.json",
        f"/lane/{LANE}": "**/locales/vi.json",
    }
    for path, first in firsts.items():
        page.route(first, lambda route: route.fulfill(status=503), times=1)
        page.goto(path)
        expect(page.locator("#waits")).to_contain_text("Trạm chưa trả lời")
        expect(page.locator("#waits")).to_contain_text("The station does not answer")
        page.route("**/api/v1/session", lambda route: route.abort(), times=1)
        page.keyboard.press("F9")
        page.clock.run_for(4_000)
        expect(page.locator("#main")).to_be_visible()
        expect(page.locator("#waits")).to_have_count(0)
        page.unroute("**/api/v1/session")
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    # What was pressed in vain was not lost.
    assert desk.lane.asked == [("freeze", "operator")]
    assert [text for text in complaints if not re.search("503|ERR_FAILED", text)] == []
    complaints.clear()
