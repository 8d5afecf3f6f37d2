"""The operator's page, driven by keys alone."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.escape import ESCAPE_SUBJECT
from station.domain.piece import PieceState, Secrecy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision
from station.domain.test_piece import TestPieceRun, TestValue, TrendWarning
from station.workflow.lane_alarms import alarm_of_stop
from station.workflow.views import DeviceHealth, LaneCommand, LaneState
from tests.browser.conftest import leave_unanswered, settle
from tests.support.api_station import LANE, START, Desk

pytestmark = pytest.mark.browser


def waiting(desk: Desk, **changes: Any) -> tuple[str, str]:
    cover = {name: changes[name] for name in ("secrecy", "announced") if name in changes}
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED, **cover)
    assert sha256 is not None
    desk.ask_operator(piece_id, sha256, **changes)
    return piece_id, sha256


def open_lane(page: Page) -> None:
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#lane-state")).not_to_have_text("")
    expect(page.locator("#stale")).to_be_hidden()


def test_the_lane_shows_what_it_does(desk: Desk, page: Page) -> None:
    piece_id, _ = waiting(desk)
    open_lane(page)
    expect(page.locator("#lane-state")).to_have_text("Đang chạy")
    expect(page.locator("#request")).to_contain_text(piece_id)
    expect(page.locator("#request")).to_contain_text("Vùng tối")
    expect(page.locator("#score")).to_have_text("Điểm 0,70 (báo nghi vấn từ 0,50)")
    expect(page.locator("#countdown")).to_have_text("Còn 7 giây")
    expect(page.locator(f'[data-piece="{piece_id}"]')).to_be_visible()
    expect(page.locator("[data-tile=beam]")).to_contain_text("đang phát tia X")
    desk.lane.show(beam_on=False, belt_speeds_mm_s=(0, 0, 0, 0, 0), state=LaneState.WAITING)
    expect(page.locator("[data-tile=beam]")).to_contain_text("tắt tia X")
    expect(page.locator("#lane-state")).to_have_text("Đang chờ")
    desk.lane.show(devices=(DeviceHealth(name="xray_generator", ok=False, detail="arc"),), state=LaneState.OFFLINE)
    expect(page.locator("#devices .bad")).to_have_text("▲ xray_generator: arc")
    reached = "zones-reached zones=word-zone-xray,word-zone-gate"
    desk.lane.show(devices=(DeviceHealth(name="lane", ok=False, detail=reached),), state=LaneState.STOPPED)
    expect(page.locator("#devices .bad")).to_have_text("▲ lane: Có người đưa tay vào: buồng tia X, cửa ra")
    refused = "generator-faults faults=arc,over_current"
    desk.lane.show(devices=(DeviceHealth(name="lane", ok=False, detail=refused),))
    expect(page.locator("#devices .bad")).to_have_text("▲ lane: Máy phát tia X báo lỗi: arc, over current")


def test_the_lane_tells_what_of_the_test_piece_failed_and_what_drifts(desk: Desk, page: Page) -> None:
    value = TestValue(name="mark-behind-steel-mm", measured=20.0, limit=26.0, passed=False)
    drift = TrendWarning(name="air-signal-share", reference=0.5, newest=0.4, rises=False)
    run = TestPieceRun(
        piece_id="TEST-0001", visit=1, at=START, lane_id=LANE, passed=False, values=(value,), not_asked=(), warnings=(drift,), error=""
    )
    desk.lane.show(test_piece_run=run, test_piece_passed_at=None)
    open_lane(page)
    expect(page.locator("#test-failed")).to_have_text("▲ Kiểm tra hằng ngày không đạt: Dấu sau thép")
    expect(page.locator("#test-drifts")).to_have_text("△ Trị số của mẫu thử đang trôi: Tín hiệu trong không khí")
    expect(page.locator("[data-tile=test]")).to_contain_text("△")
    desk.lane.show(test_piece_run=None, test_piece_passed_at=START)
    expect(page.locator("#test-failed")).to_have_count(0)


@pytest.mark.parametrize(("code", "decision"), [("F2", "clear"), ("Numpad1", "clear"), ("F4", "hold")])
def test_a_key_decides_the_piece_on_screen(desk: Desk, page: Page, code: str, decision: str) -> None:
    piece_id, sha256 = waiting(desk)
    open_lane(page)
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press(code)
    expect(page.locator("#request")).to_contain_text("Không có ảnh nào chờ quyết định")
    assert desk.lane.asked == [("decide", piece_id, 1, sha256, OperatorDecision(decision), "operator")]


@pytest.mark.parametrize(("code", "decision"), [("F13", OperatorDecision.CLEAR), ("F14", OperatorDecision.HOLD), ("F15", None)])
def test_a_pedal_decides_too(desk: Desk, page: Page, code: str, decision: OperatorDecision | None) -> None:
    piece_id, _ = waiting(desk)
    open_lane(page)
    expect(page.locator("#clear")).to_be_enabled()
    # Chromium's own key injection knows no pedal keys: the event is made as the browser would.
    page.evaluate(
        "code => document.body.dispatchEvent(new KeyboardEvent('keydown', {code, key: code, bubbles: true, cancelable: true}))", code
    )
    expect(page.locator("#request")).to_contain_text("Không có ảnh nào chờ quyết định")
    # Who freezes while a piece is on the screen means that piece.
    assert desk.lane.asked[0] == ("freeze", piece_id, "operator") if decision is None else desk.lane.asked[0][4] is decision


def test_a_freeze_pressed_while_the_page_still_loads_is_not_lost(desk: Desk, page: Page) -> None:
    waiting(desk)
    held_back = leave_unanswered(page, "**/api/v1/session")
    with page.expect_request("**/api/v1/session"):
        page.goto(f"/lane/{LANE}")
    # What is decided of a piece must have been seen; a freeze needs nothing to be seen.
    page.keyboard.press("F2")
    page.keyboard.press("F9")
    assert desk.lane.asked == []
    for route in held_back:
        route.continue_()
    expect(page.locator("#message")).not_to_be_empty()
    assert desk.lane.asked == [("freeze", "operator")]


def test_a_page_is_live_while_what_it_asked_for_hangs(desk: Desk, page: Page) -> None:
    piece_id, sha256 = waiting(desk)
    lists = ("alarms?*", "reviews?*", "lanes", f"lanes/{LANE}", f"lanes/{LANE}/recent?*")
    unanswered = leave_unanswered(page, *[f"**/api/v1/{path}" for path in lists])
    page.goto("/")
    expect(page.locator("#lanes")).to_contain_text("Đang chạy")
    with page.expect_request("**/api/v1/events"):
        page.goto("/review")
    expect(page.locator("#queue")).to_contain_text("Đang tải")
    page.goto(f"/lane/{LANE}")
    expect(page.locator("#hold")).to_be_enabled()
    page.keyboard.press("F4")
    expect(page.locator("#request")).to_contain_text("Không có ảnh nào chờ quyết định")
    assert desk.lane.asked == [("decide", piece_id, 1, sha256, OperatorDecision.HOLD, "operator")]
    assert len({route.request.url for route in unanswered}) == len(lists)


def test_f9_freezes_at_once_and_the_page_says_so(desk: Desk, page: Page) -> None:
    open_lane(page)
    page.keyboard.press("F9")
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    assert desk.lane.asked == [("freeze", "operator")]


def test_letters_and_composed_keys_never_decide(desk: Desk, page: Page) -> None:
    waiting(desk)
    open_lane(page)
    expect(page.locator("#clear")).to_be_enabled()
    for key in ("c", "h", "f", "Enter", "Space", "1", "2"):
        page.keyboard.press(key)
    page.evaluate(
        "() => document.body.dispatchEvent(new KeyboardEvent('keydown', {code: 'F2', key: 'F2', isComposing: true, bubbles: true}))"
    )
    page.keyboard.press("Control+F2")
    settle(page)
    assert desk.lane.asked == []


def test_the_scan_is_shown_and_the_heat_map_lies_over_it(desk: Desk, page: Page) -> None:
    waiting(desk)
    open_lane(page)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    pixel = """name => { const image = document.querySelector(name); const canvas = document.createElement('canvas');
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight; const pen = canvas.getContext('2d');
        pen.drawImage(image, 0, 0); return [...pen.getImageData(40, 50, 1, 1).data]; }"""
    assert page.evaluate(pixel, "img.scan") == [235, 130, 25, 255]
    expect(page.locator("img.heat")).to_be_hidden()
    page.keyboard.press("F7")
    expect(page.locator("img.heat")).to_be_visible()
    expect(page.locator("img.heat")).to_have_js_property("naturalWidth", 96)
    red, _, _, opacity = page.evaluate(pixel, "img.heat")
    assert (red, opacity) == (255, 160)
    waiting(desk)
    expect(page.locator("img.heat")).to_be_hidden()


def test_who_is_cleared_sees_a_marked_piece_and_can_clear_it(desk: Desk, page: Page) -> None:
    piece_id, sha256 = waiting(desk, secrecy=Secrecy.B)
    open_lane(page)
    expect(page.locator("#request")).to_contain_text("Tối mật")
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text(f"{piece_id}: không nghi vấn")
    assert desk.lane.asked == [("decide", piece_id, 1, sha256, OperatorDecision.CLEAR, "operator")]


def test_a_piece_that_nobody_announced_can_only_be_held(desk: Desk, page: Page, complaints: list[str]) -> None:
    waiting(desk, announced=False)
    open_lane(page)
    expect(page.locator("#request")).to_contain_text("không rõ độ mật")
    expect(page.locator("#clear")).to_be_enabled()
    page.keyboard.press("F2")
    expect(page.locator("#message")).to_contain_text("không có báo trước")
    expect(page.locator("#hold")).to_be_enabled()
    assert desk.lane.asked == []
    complaints.clear()


def test_a_blind_read_shows_nothing_of_the_model(desk: Desk, page: Page) -> None:
    waiting(desk, blind=True)
    open_lane(page)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    expect(page.locator("#request")).to_contain_text("Hãy quyết định trước")
    expect(page.locator("#score")).to_have_count(0)
    page.keyboard.press("F7")
    expect(page.locator("img.heat")).to_be_hidden()


def test_old_data_is_loud_and_nothing_can_be_cleared(desk: Desk, page: Page) -> None:
    waiting(desk)
    open_lane(page)
    expect(page.locator("#clear")).to_be_enabled()
    desk.lane.stale = True
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator("#stale")).to_contain_text("DỮ LIỆU CŨ")
    expect(page.locator("#clear")).to_be_disabled()
    page.keyboard.press("F2")
    settle(page)
    assert desk.lane.asked == []
    expect(page.locator("#freeze")).to_be_enabled()
    desk.lane.stale = False
    expect(page.locator("#stale")).to_be_hidden()


def test_a_lost_connection_is_loud_and_comes_back(desk: Desk, page: Page, complaints: list[str]) -> None:
    open_lane(page)
    desk.stop_serving()
    expect(page.locator("#stale")).to_be_visible()
    desk.lane.show(state=LaneState.STOPPED)
    desk.serve_again()
    expect(page.locator("#stale")).to_be_hidden()
    expect(page.locator("#lane-state")).to_have_text("Đã dừng")
    # The browser itself reports the calls that failed meanwhile.
    assert all("ERR_" in complaint for complaint in complaints)
    complaints.clear()


def test_alarms_stand_in_the_bar_until_acknowledged(desk: Desk, page: Page) -> None:
    open_lane(page)
    expect(page.locator("#alarms")).to_contain_text("Không có báo động")
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.DOSE_SHORT, AlarmPriority.HIGH, LANE, "12 mJ/cm²", START))
    desk.feed.publish("alarm", "{}")
    expect(page.locator("#alarms")).to_contain_text("Khử khuẩn UV không đạt")
    expect(page.locator("#alarms")).to_contain_text("thùng trả về")
    expect(page.locator("#alarms")).to_have_attribute("data-level", "high")
    expect(page.locator("#acknowledge")).to_be_enabled()
    # A second tap, or one that was meant for the alarm before, comes at the very moment when the bar changes.
    page.evaluate(
        """() => new MutationObserver(() => document.body.dispatchEvent(new KeyboardEvent('keydown', {code: 'F10', bubbles: true})))
            .observe(document.getElementById('alarms'), {childList: true})"""
    )
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.FROZEN, AlarmPriority.CRITICAL, LANE, "", START))
    desk.feed.publish("alarm", "{}")
    expect(page.locator("#message")).to_contain_text("Báo động này vừa hiện ra")
    for text in ("Gọi công an", "Khử khuẩn UV không đạt"):
        expect(page.locator("#alarms")).to_contain_text(text)
        expect(page.locator("#acknowledge")).to_be_enabled()
        page.keyboard.press("F10")
    expect(page.locator("#alarms")).to_contain_text("đã xác nhận")
    expect(page.locator("#alarms")).to_have_attribute("data-level", "none")
    desk.lane.show(alarm=alarm_of_stop(Reason.STORE_FAILING, lane_id=LANE, detail="store-fails", at=START))
    desk.feed.publish("alarm", "{}")
    expect(page.locator("#alarms")).to_contain_text("Không ghi được hồ sơ")
    expect(page.locator("#acknowledge")).to_have_count(0)


def test_an_escape_stays_in_the_bar_until_somebody_says_where_it_is(desk: Desk, page: Page) -> None:
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.ESCAPED, AlarmPriority.CRITICAL, f"{LANE} #1", "tag-passed tag=7", START))
    open_lane(page)
    expect(page.locator("#alarms")).to_contain_text("ra khỏi cửa mà không có phép")
    expect(page.locator("#acknowledge")).to_be_enabled()
    page.keyboard.press("F10")
    page.click("#settle")
    expect(page.locator("#settle-note")).to_be_focused()
    page.keyboard.type("thấy trong xe thư")
    # Said twice, the second would be refused.
    page.evaluate("() => { for (const _ of [1, 2]) document.getElementById('settle-go').click(); }")
    expect(page.locator("#alarms")).to_contain_text("Không có báo động")
    (fact,) = [row.evidence for row in desk.store.read(lambda view: view.evidence(ESCAPE_SUBJECT))]
    assert (fact.subject, fact.note) == (f"{LANE} #1", "thấy trong xe thư")


def test_who_looks_at_scans_on_end_is_asked_to_rest(desk: Desk, page: Page) -> None:
    piece_id, sha256 = desk.put_piece()
    headers = desk.door.signed("operator").headers

    def look(minutes: float) -> None:
        desk.clock.forward(60 * minutes)
        answer = desk.client.get(f"/api/v1/scans/{sha256}/view.png", params={"piece": piece_id}, headers=headers)
        assert answer.status_code == 200

    for minutes in (0, 9, 9):
        look(minutes)
    page.clock.install()
    page.goto("/")
    expect(page.locator("#who")).to_be_visible()
    expect(page.locator("#rest")).to_be_hidden()
    look(4)
    page.clock.run_for(31_000)
    expect(page.locator("#rest")).to_contain_text("xem ảnh soi liên tục 22 phút")
    page.click("#language")
    expect(page.locator("#rest")).to_contain_text("looking at scans for 22 minutes")
    desk.clock.forward(600)
    page.clock.run_for(31_000)
    expect(page.locator("#rest")).to_be_hidden()


def test_the_last_five_outcomes(desk: Desk, page: Page) -> None:
    ids = []
    for _ in range(6):
        desk.clock.forward(1)
        ids.append(desk.put_piece()[0])
    open_lane(page)
    rows = page.locator("#recent li")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text(ids[-1])
    expect(rows.first).to_contain_text("Mô hình báo nghi vấn")
    desk.clock.forward(1)
    newest, _ = desk.put_piece()
    desk.feed.publish("piece", "{}")
    expect(rows.first).to_contain_text(newest)


def test_the_language_changes_without_losing_the_piece(desk: Desk, page: Page) -> None:
    piece_id, _ = waiting(desk)
    open_lane(page)
    page.keyboard.press("F8")
    expect(page.locator("#lane-state")).to_have_text("Running")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#request")).to_contain_text(piece_id)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.reload()
    expect(page.locator("#lane-state")).to_have_text("Running")
    page.locator("#language").click()
    expect(page.locator("#lane-state")).to_have_text("Đang chạy")


def test_the_keys_are_explained_and_commands_reach_the_lane(desk: Desk, page: Page) -> None:
    open_lane(page)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    expect(page.locator("#help")).to_contain_text("F13")
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.locator("[data-command=stop]").click()
    expect(page.locator("#lane-state")).to_have_text("Đã dừng")
    assert desk.lane.asked == [(LaneCommand.STOP, "operator")]


def test_everything_of_the_lane_fits_a_small_screen(desk: Desk, page: Page) -> None:
    for _ in range(5):
        desk.put_piece()
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.FROZEN, AlarmPriority.CRITICAL, LANE, "", START))
    waiting(desk, attention=True)
    open_lane(page)
    expect(page.locator("#alarms")).to_contain_text("Gọi công an")
    expect(page.locator("#recent li")).to_have_count(5)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    assert size[0] <= 1366
    assert size[1] <= 768
    for name in ("#clear", "#hold", "#freeze", "#countdown", "#lane-picture", "#recent li:nth-child(5)", "[data-command=purge]"):
        expect(page.locator(name)).to_be_in_viewport(ratio=1)


def test_a_lane_that_does_not_run_is_said_loudly(page: Page, complaints: list[str]) -> None:
    page.goto("/lane/lane-9")
    expect(page.locator("#lane-state")).to_have_text("Không tìm thấy")
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator("#clear")).to_be_disabled()
    # What the page still asks may be answered late: nothing of it comes any more once it is closed.
    page.close()
    assert all("404" in complaint for complaint in complaints)
    complaints.clear()
