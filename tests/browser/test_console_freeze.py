"""A frozen lane in a real browser: the checklist by keys and buttons, and the all clear of two people who do not see each other's."""

import pytest
from playwright.sync_api import Browser, Page, expect

from station.domain.access import Role
from station.domain.freeze import FreezeOrigin
from station.domain.piece import Secrecy
from station.workflow.freeze_steps import begin_freeze, end_freeze
from station.workflow.views import FreezeProgress, LaneState
from tests.browser.conftest import come_in, leave_unanswered, let_pass, settle
from tests.support.accounts import PASSWORD
from tests.support.api_station import CHECKLIST, LANE, Desk

pytestmark = pytest.mark.browser
NEEDED = [step.id for step in CHECKLIST.steps if not step.powder_only]

PRESS_TOO_EARLY = """() => {
  let done = 0;
  new MutationObserver(() => {
    const before = done;
    done = document.querySelectorAll('#freeze-panel li.done').length;
    if (done === before && !document.querySelector('#freeze-panel li button:disabled')) return;
    document.body.dispatchEvent(new KeyboardEvent('keydown', {code: 'F3', bubbles: true}));
  }).observe(document.getElementById('freeze-panel'), {childList: true, subtree: true});
}"""


def freeze_by(desk: Desk, person: str) -> None:
    how = {"origin": FreezeOrigin.CONSOLE, "suspects": (), "on_belts": ()}
    desk.write(lambda uow: begin_freeze(uow, LANE, desk.clock.utc_now(), person=person, **how))
    progress = FreezeProgress(latched=True, key_on=False)
    desk.lane.show(state=LaneState.FROZEN, frozen=True, belt_speeds_mm_s=(0, 0, 0, 0, 0), freeze=progress)


def give(page: Page, *, by_key: bool) -> None:
    """Write down who was present, give the all clear, and the password that it takes."""
    page.locator("#freeze-present").fill("Nguyễn Lan\nTrần Minh")
    if by_key:
        page.keyboard.press("F6")
    else:
        page.locator("#all-clear").click()
    page.locator("#confirm-password").fill(PASSWORD)
    page.keyboard.press("Enter")


def test_from_frozen_to_free_by_two_people(desk: Desk, browser: Browser, page: Page, complaints: list[str]) -> None:
    desk.door.let_in("minh", roles=frozenset({Role.SUPERVISOR}), clearance=Secrecy.C)
    other = browser.new_context(base_url=desk.server.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
    other.set_default_timeout(10_000)
    come_in(other, desk, "minh", confirmed=False)
    second = other.new_page()
    try:
        page.goto(f"/lane/{LANE}")
        expect(page.locator("#lane-state")).to_have_text("Đang chạy")
        expect(page.locator("#freeze-panel")).to_be_hidden()
        freeze_by(desk, "operator")
        second.route("**/freeze", lambda route: route.abort())
        second.goto(f"/lane/{LANE}")
        # A lane whose checklist cannot be read is frozen all the same.
        expect(second.locator("#freeze-state")).to_contain_text("⚠ Không đọc được danh mục việc phải làm")
        second.unroute("**/freeze")
        for one in (page, second):
            expect(one.locator("#freeze-title")).to_have_text("■ Giữ nguyên hiện trạng, lần 1")
            expect(one.locator("#all-clear")).to_be_disabled()
            expect(one.locator("#freeze-lacks")).to_contain_text("Còn việc chưa làm")
        page.evaluate(PRESS_TOO_EARLY)
        for step in NEEDED[:-1]:
            # A key that is pressed before the next step has been seen is not taken: one press must not do two steps.
            expect(page.locator(f"[data-step={step}] button")).to_be_enabled()
            page.keyboard.press("F3")
            expect(page.locator(f"[data-step={step}]")).to_contain_text("operator")
        second.route("**/freeze", lambda route: route.abort())
        expect(second.locator("#freeze-state")).to_contain_text("từ đó đến nay không đọc lại được")
        second.unroute("**/freeze")
        expect(second.locator("#freeze-state")).to_have_text("")
        page.locator(f"[data-step={NEEDED[-1]}] button").click()
        expect(second.locator("[data-step=call-police]")).to_contain_text("✓ Báo công an operator")
        expect(second.locator("#freeze-lacks li")).to_have_count(1)
        expect(second.locator("[data-step=powder-wash] button")).to_be_visible()

        desk.clock.forward(61)
        give(page, by_key=False)
        expect(page.locator("#my-all-clear")).to_contain_text("Bạn đã báo an toàn lúc")
        expect(page.locator("#all-clear-form")).to_be_hidden()
        expect(page.locator("#freeze-said")).to_contain_text("Đã có 1 trên 2")
        # The second person sees nothing of the first one's.
        for _ in range(2):
            # It asks again only once it has shown what it was answered.
            with second.expect_request(f"**/lanes/{LANE}/freeze"):
                pass
        expect(second.locator("#freeze-said")).to_have_text("")
        give(second, by_key=True)
        for one in (page, second):
            expect(one.locator("#all-clear-people")).to_have_text("Đã báo an toàn: operator, minh")
            expect(one.locator("[data-lack=key]")).to_contain_text("bật khóa điện và giữ")
        desk.lane.show(freeze=FreezeProgress(latched=True, key_on=True, all_clear=True, refused="word-result-wrong-state"))
        expect(page.locator("#freeze-lacks")).to_contain_text("Bộ điều khiển làn trả lời: sai trạng thái")
        size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        assert (size[0] <= 1366, size[1] <= 768) == (True, True)
        page.locator("#language").click()
        expect(page.locator("#freeze-title")).to_have_text("■ Frozen in place, number 1")
        # A lane that starts again with its station is frozen all the same, and nobody may be told otherwise.
        asked = leave_unanswered(second, f"**/lanes/{LANE}/freeze")
        desk.lane.show(state=LaneState.STARTING, frozen=False, freeze=None)
        for one in (page, second):
            expect(one.locator("#freeze-panel")).to_be_hidden()
        settle(second)
        let_pass(second, f"**/lanes/{LANE}/freeze", asked)
        assert all(route.request.response() for route in asked)
        settle(second)
        expect(second.locator("#message")).not_to_contain_text("Làn vẫn dừng")
        desk.lane.show(state=LaneState.FROZEN, frozen=True, freeze=FreezeProgress(latched=True, key_on=True, all_clear=True))
        for one in (page, second):
            expect(one.locator("#all-clear-people")).to_be_visible()
        assert desk.write(lambda uow: end_freeze(uow, LANE, 1, CHECKLIST, desk.clock.utc_now()))
        desk.lane.show(state=LaneState.STOPPED, frozen=False, freeze=None)
        for one in (page, second):
            expect(one.locator("#freeze-panel")).to_be_hidden()
        expect(second.locator("#message")).to_contain_text("Làn vẫn dừng")
    finally:
        other.close()
    # Both were asked for their passwords.
    assert [complaint for complaint in complaints if "403" not in complaint] == []
    complaints.clear()


def test_a_freeze_that_cannot_be_read_is_asked_for_once_at_a_time(desk: Desk, page: Page) -> None:
    unanswered = leave_unanswered(page, f"**/lanes/{LANE}/freeze")
    freeze_by(desk, "operator")
    page.clock.install()
    with page.expect_request(f"**/lanes/{LANE}/freeze"):
        page.goto(f"/lane/{LANE}")
    page.clock.run_for(5_000)
    # Each one that waits takes one of the browser's few connections, and the next freeze needs one.
    expect(page.locator("#freeze-panel")).to_be_visible()
    settle(page)
    assert len(unanswered) == 1
