"""A real Chromium against a real server; every page must end without a console error."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.support.api_station import Desk

_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# Not for the session: while Playwright's own loop runs in this thread, no asynchronous test can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    system = os.environ.get("KT1_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        program = system or playwright.chromium.executable_path
        if not Path(program).exists():
            pytest.skip("no Chromium here (Debian package chromium, or `playwright install chromium`)")
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGS))
        yield browser
        browser.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


@pytest.fixture
def context(browser: Browser, desk: Desk) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=desk.server.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about; a test that expects a complaint clears it."""
    return []


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Iterator[Page]:
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []
