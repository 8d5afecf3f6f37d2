"""The page of reports: figures, the facts behind them, files, and a shift that is handed over."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from station.domain.access import Role
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import Secrecy
from station.domain.shift import SHIFT_SUBJECT, ShiftHandedOver
from tests.browser.conftest import come_in
from tests.support.api_station import START, Desk

pytestmark = pytest.mark.browser
MARKUP = "<img src=x onerror=alert(1)>"


def test_a_supervisor_reads_a_shift_opens_a_number_takes_files_and_hands_over(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    come_in(context, desk, "lan", roles=frozenset({Role.SUPERVISOR}), clearance=None)
    page.goto("/reports?kind=year&date=2020-05-05")
    expect(page.locator("#report-empty")).to_have_text("Không có gì trong kỳ này")
    plain, _ = desk.put_piece()
    desk.put_piece(secrecy=Secrecy.A)
    desk.write(lambda uow: uow.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, MARKUP, "=1+1", START))
    page.goto("/")
    page.locator("nav a[href='/reports']").press("Enter")
    expect(page.locator("#report-title")).to_have_text("Báo cáo ca 2026-11-21-2")
    expect(page.locator("#report-about")).to_contain_text("2026-11-21 14:00:00 – 2026-11-21 22:00:00 · chưa hết")
    expect(page.locator("#report-open")).to_contain_text(f"{plain} · đang giữ")
    expect(page.locator("#report-open")).to_contain_text(MARKUP)
    held = page.locator('[data-figure="pieces.held|reason|model-alarm"]')
    expect(held).to_have_text("1")
    held.press("Enter")
    expect(page.locator("#evidence-title")).to_contain_text("Lần giữ lại · lý do: Mô hình báo nghi vấn: 1")
    expect(page.locator("#evidence-list li")).to_have_count(1)
    expect(page.locator("#evidence-list li")).to_contain_text(f"đổi trạng thái · {plain} · đã soi → đang giữ")
    page.keyboard.press("F8")
    expect(page.locator("#evidence-title")).to_contain_text("Facts behind the number: Holds · reason")
    expect(page.locator("#evidence-list li")).to_contain_text("scanned → held")
    page.keyboard.press("F8")
    page.locator("#evidence-close").press("Enter")
    expect(page.locator("#evidence")).to_be_hidden()
    expect(held).to_be_focused()

    # What is chosen and not yet shown is in no file.
    page.locator("#report-kind").select_option("month")
    page.locator("#report-date").fill("2026-10-01")
    for form, start in (("pdf", b"%PDF-"), ("xlsx", b"PK")):
        with page.expect_request(f"**/api/v1/reports/*/{form}*") as asked, page.expect_download() as kept:
            page.locator(f"#report-{form}").click()
        assert asked.value.url.endswith(f"/reports/shift/{form}?date=2026-11-21&shift=2")
        assert kept.value.suggested_filename == f"kt1-shift-2026-11-21-2.{form}"
        kept.value.save_as(tmp_path / form)
        assert (tmp_path / form).read_bytes().startswith(start)
        expect(page.locator("#report-pdf")).to_be_enabled()

    page.locator("#report-note").fill(f"xem làn 1 {MARKUP}")
    page.evaluate("() => { const button = document.getElementById('hand-over'); button.click(); button.click(); }")
    expect(page.locator("#handed-note")).to_have_text(f"Lời dặn: xem làn 1 {MARKUP}")
    expect(page.locator("#take-over")).to_have_count(0)
    facts = desk.store.read(lambda view: view.evidence(SHIFT_SUBJECT))
    assert [type(row.evidence) for row in facts] == [ShiftHandedOver]
    come_in(context, desk, "minh", roles=frozenset({Role.SUPERVISOR}), clearance=None)
    page.reload()
    page.locator("#take-over").press("Enter")
    expect(page.locator("#taken-over")).to_contain_text("Người nhận: minh")
    expect(page.locator("#hand-over")).to_have_count(0)
    page.keyboard.press("F8")
    expect(page.locator("#report-title")).to_have_text("Shift report 2026-11-21-2")

    page.locator("#report-kind").select_option("month")
    page.locator("#report-date").fill("2026-11-22")
    held_back: list[Route] = []

    def hold_back(route: Route) -> None:
        held_back.append(route)

    page.route("**/api/v1/reports/month*", hold_back)
    with page.expect_request("**/api/v1/reports/month*"):
        page.locator("#report-make").press("Enter")
    expect(page.locator("#report-making")).to_be_visible()
    page.locator("#report-kind").select_option("day")
    held_back[0].continue_()
    expect(page.locator("#report-title")).to_have_text("Month report 2026-11")
    expect(page).to_have_url(f"{desk.server.url}/reports?kind=month&date=2026-11-01")
    expect(page.locator("#report-date")).to_have_value("2026-11-22")
    page.locator("#report-make").press("Enter")
    expect(page.locator("#report-failed")).to_contain_text("There is no such period, or it has not begun")
    assert [text for text in complaints if "403" not in text] == []
    complaints.clear()
