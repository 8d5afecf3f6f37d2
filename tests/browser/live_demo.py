"""`station demo` with somebody at the console, as a program of its own."""

import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.programs import Caller, HandFailedError, Hands, program, wait_until

LANE = "lane-1"
DEMO = "demo"


@dataclass(slots=True, kw_only=True)
class LiveDemo:
    """A running demo: its console, its simulated world, and what it said so far."""

    url: str
    caller: Caller
    hands: Hands
    log: Path
    report_file: Path
    passwords: dict[str, str]

    def log_in(self, page: Page, path: str, login: str = DEMO) -> None:
        """Open a page, and log in on the way."""
        page.goto(path)
        page.locator("#login").fill(login)
        page.locator("#password").fill(self.passwords[login])
        page.keyboard.press("Enter")
        # Longer than a busy machine takes to look at a password while it starts a lane.
        expect(page).to_have_url(re.compile(f"{re.escape(path)}$"), timeout=60_000)

    def lane(self) -> dict[str, Any]:
        return self.caller.get(f"/api/v1/lanes/{LANE}")

    def piece(self, piece_id: str) -> dict[str, Any]:
        return self.caller.get(f"/api/v1/pieces/{piece_id}")

    def feed(self, **wishes: Any) -> str:
        """Draw a piece as wished, announce it, and lay it before the others; its id."""
        cover = self.hands.do("piece", **wishes)["piece"]
        assert self.caller.post("/api/v1/pieces", cover).is_success
        # The demo's own hands may have taken it from the shelf already.
        with suppress(HandFailedError):
            self.hands.do("feed", piece_id=cover["piece_id"], first=True)
        return str(cover["piece_id"])


def _press_start(url: str, password: str, over: threading.Event) -> None:
    """Somebody at the lane who presses START whenever a busy machine has let a device wait too long. A frozen lane refuses it."""
    caller = Caller(url, prefix="start", passwords={DEMO: password})
    while not over.wait(1.0):
        try:
            if caller.get(f"/api/v1/lanes/{LANE}")["state"] in {"stopped", "offline"}:
                caller.post(f"/api/v1/lanes/{LANE}/commands", {"command": "start"})
        except httpx.HTTPError:
            continue
    caller.close()


@contextmanager
def live_demo(directory: Path, *options: str) -> Iterator[LiveDemo]:
    """Run it with its data in `directory`; at the end it is interrupted as by Ctrl-C and has written its report."""
    log, report_file = directory / "said.txt", directory / "report.json"
    arguments = ["--port", "0", "--data", str(directory / "data"), "--report", str(report_file), *options]
    with program("station", "demo", *arguments, log=log) as process:

        def up() -> bool:
            assert process.poll() is None, log.read_text()
            return "/review" in log.read_text()

        wait_until(up, what="the console")
        found = re.search(r"(http://[0-9.]+:[0-9]+)/review", log.read_text())
        assert found is not None
        endpoints = json.loads((directory / "data" / f"{LANE}-endpoints.json").read_text())

        def told() -> bool:
            return re.search(r"^ +demo-admin: (\S+) ", log.read_text(), re.MULTILINE) is not None

        wait_until(told, what="the demo's passwords")
        passwords = dict(re.findall(r"^ +([a-z0-9-]+): (\S+)  \(", log.read_text(), re.MULTILINE))
        caller, hands = Caller(found.group(1), prefix="live", passwords={DEMO: passwords[DEMO]}), Hands(endpoints["control"])
        over = threading.Event()
        starter = threading.Thread(target=_press_start, args=(found.group(1), passwords[DEMO], over))
        starter.start()
        try:
            yield LiveDemo(url=found.group(1), caller=caller, hands=hands, log=log, report_file=report_file, passwords=passwords)
        finally:
            over.set()
            starter.join()
            hands.close()
            caller.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0, log.read_text()
