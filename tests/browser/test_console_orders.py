"""Answers in another order than asked, and presses while a question is on its way: nothing is lost, doubled, or about another piece."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from station.domain.freeze import FreezeOrigin
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, ReviewDecision
from station.workflow.freeze_steps import begin_freeze, end_freeze
from station.workflow.views import LaneState
from tests.browser.conftest import come_in, leave_unanswered, let_pass, open_review, settle, state_of
from tests.support.accounts import PASSWORD
from tests.support.api_station import CHECKLIST, LANE, Desk

pytestmark = pytest.mark.browser

QUEUE = "**/api/v1/reviews?*"


def held_pieces(desk: Desk, count: int) -> list[str]:
    """Pieces in the order of the queue."""
    found = []
    for _ in range(count):
        desk.clock.forward(1)
        found.append(desk.put_piece()[0])
    return found


def queued(page: Page, piece_id: str) -> Any:
    return page.locator(f'.queue-item[data-piece="{piece_id}"]')


def claim(page: Page) -> None:
    page.keyboard.press("F3")
    expect(page.locator("#clear")).to_be_enabled()


def hold_first_answer(page: Page, path: str) -> Callable[[], None]:
    """Let the first question for it hang, and no other; what gives it the answer as it is now."""
    answer = page.request.get(path)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(f"**{path}", hold)
    return lambda: held[0].fulfill(response=answer)


def test_what_is_pressed_while_a_decision_is_on_its_way_is_neither_lost_nor_doubled(desk: Desk, page: Page) -> None:
    first, second, third = held_pieces(desk, 3)
    open_review(page)
    expect(page.locator("#about")).to_contain_text(first)
    claim(page)
    deciding = leave_unanswered(page, "**/decision")
    with page.expect_request("**/decision"):
        page.keyboard.press("F2")
    page.keyboard.press("F2")
    queued(page, third).click()
    settle(page)
    assert len(deciding) == 1
    asking = leave_unanswered(page, QUEUE)
    deciding[0].continue_()
    # What was decided is not on screen any more, however long the next piece takes.
    expect(page.locator("#message")).to_contain_text(f"{first}: không nghi vấn")
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "false")
    expect(page.locator("#about")).not_to_contain_text(first)
    let_pass(page, QUEUE, asking)
    expect(page.locator("#about")).to_contain_text(third)
    expect(page.locator("#claim")).to_be_enabled()
    assert [state_of(desk, each) for each in (first, second, third)] == [PieceState.CLEARED, PieceState.HELD, PieceState.HELD]


def test_an_answer_that_was_overtaken_changes_nothing(desk: Desk, page: Page) -> None:
    _, second = held_pieces(desk, 2)
    open_review(page)
    give_old_answer = hold_first_answer(page, f"/api/v1/pieces/{second}")
    queued(page, second).click()
    desk.feed.publish("piece", "{}")
    expect(page.locator("#about")).to_contain_text(second)
    claim(page)
    page.evaluate(
        """() => {
          window.lost = 0;
          const release = document.getElementById('release');
          new MutationObserver(() => { window.lost += release.disabled; }).observe(release, {attributes: true});
        }"""
    )
    give_old_answer()
    with page.expect_response(f"**/api/v1/pieces/{second}"):
        desk.feed.publish("piece", "{}")
    settle(page)
    assert page.evaluate("window.lost") == 0


def test_a_piece_of_one_s_own_is_given_back_before_the_next_is_turned_to(desk: Desk, page: Page) -> None:
    first, second, third = held_pieces(desk, 3)
    open_review(page)
    expect(page.locator("#claim")).to_be_enabled()
    asking = leave_unanswered(page, QUEUE)
    with page.expect_response("**/claim"):
        page.keyboard.press("F3")
    # The page does not show yet that it has been claimed.
    queued(page, second).click()
    let_pass(page, QUEUE, asking)
    expect(page.locator("#about")).to_contain_text(second)
    assert state_of(desk, first) is PieceState.HELD
    claim(page)
    giving_back = leave_unanswered(page, "**/release")
    with page.expect_request("**/release"):
        queued(page, first).click()
    page.keyboard.press("F2")
    queued(page, third).click()
    let_pass(page, "**/release", giving_back)
    expect(page.locator("#about")).to_contain_text(third)
    assert {state_of(desk, each) for each in (first, second, third)} == {PieceState.HELD}


def test_a_key_that_was_meant_for_one_piece_does_not_decide_the_next(desk: Desk, page: Page) -> None:
    first, second = held_pieces(desk, 2)
    # Claimed already, in another tab perhaps.
    assert desk.post(f"/reviews/{second}/claim", person="operator").is_success
    open_review(page)
    expect(page.locator("#about")).to_contain_text(first)
    claim(page)
    page.evaluate(
        """() => {
          const viewer = document.getElementById('viewer');
          const press = () => document.body.dispatchEvent(new KeyboardEvent('keydown', {code: 'F2', bubbles: true}));
          new MutationObserver(() => viewer.dataset.ready === 'true' && press()).observe(viewer, {attributes: true});
        }"""
    )
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text("Chưa được")
    expect(page.locator("#about")).to_contain_text(second)
    expect(page.locator("#clear")).to_be_enabled()
    assert [state_of(desk, each) for each in (first, second)] == [PieceState.CLEARED, PieceState.IN_REVIEW]
    page.keyboard.press("F2")
    expect(page.locator("#queue-empty")).to_be_visible()
    assert state_of(desk, second) is PieceState.CLEARED


def test_a_scan_on_the_lane_is_decided_once_and_only_when_it_is_on_screen(desk: Desk, page: Page) -> None:
    first, sha256 = desk.put_piece(state=PieceState.SCANNED)
    desk.ask_operator(first, str(sha256))
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#clear")).to_be_enabled()
    decided: list[Any] = []

    def take(route: Route) -> None:
        decided.append(route.request.post_data_json)
        route.fulfill(json={"exercise": False, "awaiting_second_person": False})

    # The lane's next snapshot takes its time.
    page.route("**/decision", take)
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_have_text(f"{first}: không nghi vấn")
    for key in ("F2", "F4"):
        page.keyboard.press(key)
    settle(page)
    assert [(one["piece_id"], one["scan_sha256"], one["decision"]) for one in decided] == [(first, sha256, "clear")]
    expect(page.locator("#message")).to_have_text(f"{first}: không nghi vấn")
    page.unroute("**/decision")
    pictures = leave_unanswered(page, "**/view.png*")
    second, sha256 = desk.put_piece(state=PieceState.SCANNED)
    desk.ask_operator(second, str(sha256))
    expect(page.locator("#request")).to_contain_text(second)
    expect(page.locator("#hold")).to_be_enabled()
    assert page.locator("img.scan").evaluate("image => image.naturalWidth") == 0
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text("Chưa được")
    let_pass(page, "**/view.png*", pictures)
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press("F2")
    expect(page.locator("#request")).to_contain_text("Không có ảnh nào chờ quyết định")
    assert desk.lane.asked == [("decide", second, 1, sha256, OperatorDecision.CLEAR, "operator")]


def test_a_start_that_was_lost_is_not_said_again_by_itself_and_a_stop_is(desk: Desk, page: Page, complaints: list[str]) -> None:
    said: list[str] = []

    def lose_first(route: Route) -> None:
        command = (route.request.post_data_json or {})["command"]
        said.append(command)
        if said.count(command) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/commands", lose_first)
    page.goto(f"/lane/{LANE}")
    page.locator("[data-command=start]").click()
    expect(page.locator("#message")).to_contain_text("Trạm không trả lời")
    page.locator("[data-command=stop]").click()
    expect(page.locator("#lane-state")).to_have_text("Đã dừng")
    assert said == ["start", "stop", "stop"]
    assert all("ERR_FAILED" in text for text in complaints)
    complaints.clear()


def test_nothing_is_live_before_it_has_been_told(desk: Desk, page: Page) -> None:
    greeting = "retry: 10\nevent: reset\ndata: {}\n\n"
    page.route("**/api/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body=greeting))
    with page.expect_request("**/api/v1/events"):
        page.goto(f"/lane/{LANE}")
    # It listens again only after it has heard all of that.
    with page.expect_request("**/api/v1/events"):
        pass
    assert page.locator("#stale").is_visible()
    page.unroute("**/api/v1/events")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_lane_s_newest_word_stands_on_the_first_page_and_an_old_one_is_called_old(desk: Desk, page: Page) -> None:
    give_old_answer = hold_first_answer(page, "/api/v1/lanes")
    page.goto("/")
    expect(page.locator("#lanes")).to_contain_text("Đang chạy")
    desk.lane.show(state=LaneState.FROZEN)
    expect(page.locator("#lanes")).to_contain_text("Giữ nguyên hiện trạng")
    page.evaluate(
        """() => {
          const lanes = document.getElementById('lanes');
          window.back = false;
          new MutationObserver(() => { window.back ||= lanes.textContent.includes('Đang chạy'); }).observe(lanes, {childList: true});
        }"""
    )
    give_old_answer()
    # It is asked for after the lanes.
    expect(page.locator("#review-card")).to_contain_text("0")
    assert page.evaluate("window.back") is False
    desk.lane.stale = True
    expect(page.locator("#lanes")).to_contain_text("DỮ LIỆU CŨ")
    desk.lane.stale = False
    expect(page.locator("#lanes")).not_to_contain_text("DỮ LIỆU CŨ")


def test_another_language_that_comes_late_disturbs_nobody_who_types(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    piece_id, _ = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    come_in(context, desk, "lan", confirmed=False)
    open_review(page)
    claim(page)

    def switch(language: str) -> list[Route]:
        words = leave_unanswered(page, f"**/locales/{language}.json")
        with page.expect_request(f"**/locales/{language}.json"):
            page.keyboard.press("F8")
        return words

    page.locator("#note").focus()
    page.keyboard.type("a")
    words = switch("en")
    page.keyboard.type("b")
    words[0].continue_()
    expect(page.locator("#claim")).to_contain_text("Claim")
    page.keyboard.type("c")
    words = switch("vi")
    page.keyboard.press("F2")
    expect(page.locator("#confirm-password")).to_be_focused()
    words[0].continue_()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    assert page.locator("#confirm").evaluate("dialog => dialog.matches(':modal')")
    tries: list[str] = []
    page.on("request", lambda request: tries.append(request.url) if request.url.endswith("/step-up") else None)
    page.keyboard.type(PASSWORD)
    page.evaluate("() => { for (const _ of [1, 2]) document.querySelector('#confirm form').requestSubmit(); }")
    expect(page.locator("#message")).to_contain_text("Chờ người duyệt thứ hai")
    assert len(tries) == 1
    facts = [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id))]
    assert [fact.note for fact in facts if isinstance(fact, ReviewDecision)] == ["abc"]
    assert [text for text in complaints if "403" not in text] == []
    complaints.clear()


def test_who_was_present_at_one_freeze_is_not_said_of_the_next(desk: Desk, page: Page, complaints: list[str]) -> None:
    def freeze() -> None:
        how = {"origin": FreezeOrigin.CONSOLE, "suspects": (), "on_belts": ()}
        desk.write(lambda uow: begin_freeze(uow, LANE, desk.clock.utc_now(), person="an", **how))
        desk.lane.show(state=LaneState.FROZEN, frozen=True)

    page.goto(f"/lane/{LANE}")
    freeze()
    expect(page.locator("#freeze-title")).to_contain_text("lần 1")
    page.locator("#freeze-present").fill("Nguyễn Lan")
    for step in CHECKLIST.steps:
        desk.post(f"/lanes/{LANE}/freeze/steps", {"number": 1, "step": step.id})
    for person in ("an", "minh"):
        desk.clock.forward(61)
        assert desk.post(f"/lanes/{LANE}/unfreeze", {"number": 1, "present": ["Lan"], "note": ""}, person=person).is_success
    # That it is over cannot be asked.
    page.route("**/freeze", lambda route: route.abort())
    assert desk.write(lambda uow: end_freeze(uow, LANE, 1, CHECKLIST, desk.clock.utc_now()))
    desk.lane.show(state=LaneState.STOPPED, frozen=False)
    expect(page.locator("#freeze-panel")).to_be_hidden()
    settle(page)
    page.unroute("**/freeze")
    freeze()
    expect(page.locator("#freeze-title")).to_contain_text("lần 2")
    expect(page.locator("#freeze-present")).to_have_value("")
    assert all("ERR_FAILED" in text for text in complaints)
    complaints.clear()
