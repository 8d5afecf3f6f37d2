"""`make screenshots`: the console's pages in the documentation, taken from a real demo in a real Chromium."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.live_demo import LANE, LiveDemo, live_demo
from tests.e2e.programs import ROOT, wait_until

IMAGES = ROOT / "docs" / "images"
LARGEST_BYTES = 300_000
LANE_UP_MS = 180_000


def take_lane(demo: LiveDemo, page: Page) -> None:
    """The lane at work, with the newest scan and its heat map, after a few pieces have left."""
    demo.log_in(page, f"/lane/{LANE}")
    expect(page.locator("#lane-state")).to_have_text("Đang chạy", timeout=LANE_UP_MS)
    wait_until(lambda: demo.hands.do("world")["world"]["released"] >= 3, limit_s=300, what="released pieces")
    wait_until(lambda: demo.lane()["state"] == "running" and len(demo.lane()["pieces"]) >= 2, limit_s=120, what="pieces on the belts")
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.screenshot(path=IMAGES / "lane.png")


def take_review(demo: LiveDemo, page: Page) -> None:
    """A handgun in the queue of held pieces, with the model's heat map over it."""
    gun = demo.feed(kind="packet", threat="handgun")

    def held() -> bool:
        request = demo.lane()["request"]
        if request is not None and request["attention"]:
            body = {name: request[name] for name in ("piece_id", "visit", "scan_sha256")}
            demo.caller.post(f"/api/v1/lanes/{LANE}/decision", {**body, "decision": "hold"})
        return bool(demo.piece(gun)["state"] == "held")

    wait_until(held, limit_s=180, what="the handgun to be held")
    page.goto("/review")
    page.locator(f'[data-piece="{gun}"]').click()
    expect(page.locator("#about")).to_contain_text(gun)
    page.keyboard.press("F3")
    expect(page.locator("#reject")).to_be_enabled()
    expect(page.locator("#viewer")).to_have_attribute("data-ready", "true")
    page.keyboard.press("F7")
    page.wait_for_function("() => document.querySelector('img.heat').naturalWidth > 0")
    page.screenshot(path=IMAGES / "review.png")


def main() -> int:
    """Take them; 1 when one is too large to be kept."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kt1-screenshots-") as directory, sync_playwright() as playwright:
        program = os.environ.get("KT1_CHROMIUM") or shutil.which("chromium") or playwright.chromium.executable_path
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        with live_demo(Path(directory), "--pieces", "12", "--seed", "9", "--speed", "2") as demo:
            page = browser.new_page(base_url=demo.url, viewport={"width": 1366, "height": 768}, locale="vi-VN")
            take_lane(demo, page)
            take_review(demo, page)
            page.close()
        browser.close()
    for file in IMAGES.glob("*.png"):
        with Image.open(file) as picture:
            small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(file, optimize=True)
    sizes = {file.name: file.stat().st_size for file in sorted(IMAGES.glob("*.png"))}
    print(sizes)  # noqa: T201
    return int(any(size > LARGEST_BYTES for size in sizes.values()))


if __name__ == "__main__":
    sys.exit(main())
