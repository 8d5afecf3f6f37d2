"""Many tabs of one browser, of which one is seen."""

import pytest
from playwright.sync_api import BrowserContext, expect

from station.workflow.views import LaneState
from tests.support.api_station import LANE, Desk

pytestmark = pytest.mark.browser

CONNECTIONS = 6
"""So many a browser has to one server, over all its tabs."""


def test_tabs_that_nobody_sees_leave_the_connections_to_a_freeze(desk: Desk, window: BrowserContext) -> None:
    first = window.new_page()
    first.goto(f"{desk.server.url}/lane/{LANE}")
    for path in ("/", "/review", *[f"/lane/{LANE}"] * (CONNECTIONS - 1)):
        page = window.new_page()
        page.goto(f"{desk.server.url}{path}")
        expect(page.locator("#who")).to_be_visible()
        expect(page.locator("#stale")).to_be_hidden()
    page.keyboard.press("F9")
    expect(page.locator("#lane-state")).to_have_text("Giữ nguyên hiện trạng")
    assert desk.lane.asked == [("freeze", "operator")]
    # What nobody saw is old until it has been read anew.
    expect(first.locator("#stale")).to_have_js_property("hidden", False)
    desk.lane.show(state=LaneState.STOPPED, frozen=False)
    first.bring_to_front()
    expect(first.locator("#stale")).to_be_hidden()
    expect(first.locator("#lane-state")).to_have_text("Đã dừng")


def test_a_page_that_the_browser_had_put_aside_is_loaded_anew(desk: Desk, window: BrowserContext) -> None:
    page = window.new_page()
    page.goto(f"{desk.server.url}/reports")
    expect(page.locator("#report-title")).to_be_visible()
    page.locator("nav a[href='/']").click()
    expect(page.locator("#lanes")).to_be_visible()
    # Playwright's own way waits for a page that at once goes on to load itself anew.
    page.evaluate("() => void setTimeout(() => history.back())")
    expect(page.locator("#report-title")).to_be_visible()
    # Left alone, it would have come back as it was, whoever is logged in by now.
    page.wait_for_function("() => performance.getEntriesByType('navigation')[0].type === 'reload'", timeout=5_000)
