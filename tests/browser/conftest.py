"""A real Chromium against a real server; every page must end without a console error."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Route, expect, sync_playwright

from station.api.cookies import SESSION
from station.domain.piece import PieceState
from tests.e2e.programs import wait_until
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

# A page asks again every five seconds: an expectation waits for longer than that, on a busy machine too.
expect.set_options(timeout=15_000)


def _program(playwright: Playwright) -> str:
    program = os.environ.get("KT1_CHROMIUM") or shutil.which("chromium") or playwright.chromium.executable_path
    if not Path(program).exists():
        pytest.skip("no Chromium here (Debian package chromium, or `playwright install chromium`)")
    return program


# Not for the session: while Playwright's own loop runs in this thread, no asynchronous test can.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program(playwright), args=list(_ARGS))
        yield browser
        browser.close()


@pytest.fixture
def window(tmp_path: Path, desk: Desk) -> Iterator[BrowserContext]:
    """One window of a Chromium as people start it: of its tabs one is seen, and the pages that it leaves are put aside.

    A browser that Playwright starts shows every page at once and puts none aside.
    """
    profile = tmp_path / "profile"
    port = profile / "DevToolsActivePort"
    with sync_playwright() as playwright:
        arguments = [
            _program(playwright),
            "--headless=new",
            "--remote-debugging-port=0",
            f"--user-data-dir={profile}",
            *_ARGS,
            "about:blank",
        ]
        with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: port.exists() and "/devtools/" in port.read_text(), what="the browser's port")
                url = f"http://127.0.0.1:{port.read_text().split()[0]}"
                context = playwright.chromium.connect_over_cdp(url, no_defaults=True).contexts[0]
                context.set_default_timeout(10_000)
                come_in(context, desk, "operator")
                yield context
            finally:
                process.terminate()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def come_in(context: BrowserContext, desk: Desk, login: str, **what: Any) -> None:
    """Let the browser hold that person's session, as after a log-in."""
    hold_session(context, desk, desk.door.signed(login, **what).session)


def hold_session(context: BrowserContext, desk: Desk, secret: str) -> None:
    """Let the browser hold this session, in place of any other."""
    cookie = {"name": SESSION, "value": secret, "url": desk.server.url, "path": "/"}
    # Playwright's own way names the domain, which a cookie with this prefix must not have.
    page = context.new_page()
    wire = context.new_cdp_session(page)
    assert wire.send("Network.setCookie", {**cookie, "secure": True, "httpOnly": True, "sameSite": "Strict"})["success"]
    page.close()


def leave_unanswered(page: Page, *patterns: str) -> list[Route]:
    """Let the requests for these addresses hang; those that have come so far."""
    came: list[Route] = []

    def hang(route: Route) -> None:
        came.append(route)

    for pattern in patterns:
        page.route(pattern, hang)
    return came


def let_pass(page: Page, pattern: str, routes: list[Route]) -> None:
    """Let those that hang, and all that come after them, have their answers."""
    page.route(pattern, lambda route: route.continue_())
    for route in routes:
        route.continue_()


def settle(page: Page) -> None:
    """Whatever the page has asked for until now has been seen: a question of its own has come back since."""
    page.evaluate("() => fetch('/api/v1/session')")


def open_review(page: Page) -> None:
    page.goto("/review")
    expect(page.locator(".queue-item, #queue-empty").first).to_be_visible()
    expect(page.locator("#stale")).to_be_hidden()


def state_of(desk: Desk, piece_id: str) -> PieceState:
    piece = desk.store.read(lambda view: view.piece(piece_id))
    assert piece is not None
    return piece.state


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
