"""A real Chromium against a real server; every page must end without a console error."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from station.api.cookies import SESSION
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


def come_in(context: BrowserContext, desk: Desk, login: str, **what: Any) -> None:
    """Let the browser hold that person's session, as after a log-in."""
    cookie = {"name": SESSION, "value": desk.door.signed(login, **what).session, "url": desk.server.url, "path": "/"}
    # Playwright's own way names the domain, which a cookie with this prefix must not have.
    page = context.new_page()
    wire = context.new_cdp_session(page)
    assert wire.send("Network.setCookie", {**cookie, "secure": True, "httpOnly": True, "sameSite": "Strict"})["success"]
    page.close()


@pytest.fixture
def context(browser: Browser, desk: Desk) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=desk.server.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
    context.set_default_timeout(10_000)
    come_in(context, desk, "operator")
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
