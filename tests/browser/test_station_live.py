"""The whole station in a real Chromium: what the console shows is what the simulated lane does, and what is pressed happens there."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.live_demo import DEMO, LANE, LiveDemo, live_demo
from tests.e2e.programs import processes_naming, wait_until
from tests.e2e.report_shape import check_shape

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

LANE_UP_MS = 120_000
STANDSTILL_LOOKS = 10


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[LiveDemo]:
    with live_demo(tmp_path, "--pieces", "4", "--seed", "5", "--speed", "2") as running:
        yield running


@pytest.fixture
def live(browser: Browser, demo: LiveDemo) -> Iterator[tuple[LiveDemo, Page]]:
    context = browser.new_context(base_url=demo.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
    context.set_default_timeout(120_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield demo, page
    context.close()
    # The browser itself reports the START that the frozen lane refuses, and that nobody was logged in at first.
    assert [text for text in complaints if "403" not in text and "401" not in text] == []


def state_of(demo: LiveDemo, page: Page, piece_id: str) -> str:
    """The piece's state; the person at the console holds whatever asks for attention."""
    if (request := demo.lane()["request"]) is not None and request["attention"]:
        expect(page.locator("#request")).to_contain_text(request["piece_id"])
        page.keyboard.press("F4")
    return str(demo.piece(piece_id)["state"])


def give_all_clear(demo: LiveDemo, page: Page, login: str) -> None:
    page.locator("#freeze-present").fill("An\nBình")
    expect(page.locator("#all-clear")).to_be_enabled()
    page.keyboard.press("F6")
    page.locator("#confirm-password").fill(demo.passwords[login])
    page.keyboard.press("Enter")
    expect(page.locator("#all-clear-form")).to_be_hidden()


def test_a_shift_at_the_console(live: tuple[LiveDemo, Page], browser: Browser):
    demo, page = live
    demo.log_in(page, f"/lane/{LANE}")
    expect(page.locator("#lane-state")).to_have_text("Đang chạy", timeout=LANE_UP_MS)
    expect(page.locator("#stale")).to_be_hidden()

    gun = demo.feed(kind="packet", threat="handgun")
    expect(page.locator(f'[data-piece="{gun}"]').first).to_be_visible(timeout=LANE_UP_MS)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true", timeout=LANE_UP_MS)
    assert page.locator("img.scan").evaluate("image => image.naturalWidth * image.naturalHeight") > 10_000
    page.keyboard.press("F7")
    expect(page.locator("img.heat")).to_be_visible()
    page.wait_for_function("() => document.querySelector('img.heat').naturalWidth > 0")

    wait_until(lambda: state_of(demo, page, gun) == "held", limit_s=120, what="the station to hold the handgun")
    expect(page.locator("#recent")).to_contain_text(gun)

    page.goto("/review")
    page.locator(f'[data-piece="{gun}"]').click()
    expect(page.locator("#about")).to_contain_text(gun)
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true", timeout=LANE_UP_MS)
    page.keyboard.press("F3")
    expect(page.locator("#reject")).to_be_enabled()
    assert demo.piece(gun)["state"] == "in_review"
    page.keyboard.press("F9")
    expect(page.locator(f'[data-piece="{gun}"]')).to_have_count(0)
    assert demo.piece(gun)["state"] == "rejected"

    page.goto(f"/lane/{LANE}")
    wait_until(lambda: any(demo.lane()["belt_speeds_mm_s"]) and bool(demo.lane()["pieces"]), limit_s=120, what="pieces on running belts")
    page.keyboard.press("F9")
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    wait_until(lambda: demo.hands.do("state")["belts_mm_s"] == [0.0] * 5, limit_s=10, what="the belts to stand")
    where = demo.hands.do("state")["pieces"]
    for _ in range(STANDSTILL_LOOKS):
        page.wait_for_timeout(200)
        assert demo.hands.do("state")["pieces"] == where
    assert demo.hands.do("state")["beam"]["on"] is False
    assert demo.hands.do("world")["world"]["moved_while_frozen"] == 0
    # Nothing at the console takes it back but two people, and the key at the lane.
    with page.expect_response("**/commands") as refused:
        page.locator("[data-command=start]").click()
    assert not refused.value.ok
    assert demo.hands.do("state")["frozen"] is True
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    expect(page.locator("[data-lack=steps]")).to_be_visible(timeout=LANE_UP_MS)
    following = page.locator("#freeze-panel li:has(button:enabled kbd)")
    while page.locator("#freeze-panel li:has(kbd)").count():
        step = following.get_attribute("data-step")
        page.keyboard.press("F3")
        expect(page.locator(f"#freeze-panel li.done[data-step={step}]")).to_be_visible(timeout=LANE_UP_MS)
    give_all_clear(demo, page, DEMO)
    assert demo.hands.do("state")["key_switch"] is False
    other = browser.new_context(base_url=demo.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
    other.set_default_timeout(120_000)
    second = other.new_page()
    demo.log_in(second, f"/lane/{LANE}", "demo-reviewer-1")
    give_all_clear(demo, second, "demo-reviewer-1")
    wait_until(lambda: demo.hands.do("state")["frozen"] is False, limit_s=30, what="the PLC to clear its latch")
    expect(page.locator("#freeze-panel")).to_be_hidden()
    other.close()
    assert demo.hands.do("world")["world"]["moved_while_frozen"] == 0


def test_mail_keeps_coming_and_ctrl_c_ends_it_all(tmp_path: Path):
    with live_demo(tmp_path, "--pieces", "2", "--seed", "6", "--speed", "4") as demo:
        wait_until(lambda: demo.hands.do("state")["queue"] > 4, limit_s=180, what="more mail than was asked for")
    report = json.loads(demo.report_file.read_text(encoding="utf-8"))
    check_shape(report)
    assert len(report["pieces"]) > 4
    tracking = report["tracking"]
    assert tracking["events"] == tracking["receipted"]
    assert "log in as demo" in demo.log.read_text()
    assert processes_naming(str(tmp_path)) == []
