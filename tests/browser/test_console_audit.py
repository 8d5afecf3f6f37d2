"""The page of the audit log: facts found and proved, checkpoints taken along, and nothing for whoever may not see it."""

import json
import re
from contextlib import closing
from pathlib import Path

import pysqlite3.dbapi2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from station.audit.certificate_check import check_certificate
from station.audit.checkpoint import open_checkpoint
from station.audit.merkle import verify_inclusion
from station.domain.access import Role
from station.domain.piece import PieceState, Secrecy
from station.domain.review import ReviewDecision, ReviewOutcome
from station.storage.store import DATABASE_NAME
from tests.browser.conftest import come_in
from tests.support.api_station import START, Desk
from tests.support.audit_logs import KEYS, seal
from tests.support.certificates import facts_of_a_release, tell

pytestmark = pytest.mark.browser
AUDITOR = frozenset({Role.AUDITOR})
MARKUP = "<img src=x onerror=alert(1)>"


def open_audit(page: Page) -> None:
    page.goto("/audit")
    expect(page.locator("#audit-read")).to_contain_text("Đọc lúc")


def test_an_auditor_finds_a_fact_has_it_proved_and_takes_the_checkpoint_along(
    desk: Desk, context: BrowserContext, page: Page, tmp_path: Path
) -> None:
    come_in(context, desk, "soat", roles=AUDITOR, clearance=None)
    for _ in range(8):
        desk.put_piece()
    piece_id, _ = desk.put_piece()
    note = seal(desk.store)
    newest, _ = desk.put_piece()
    page.goto("/")
    page.locator("nav a[href='/audit']").press("Enter")
    expect(page.locator("#audit-holds")).to_contain_text(re.compile(r"^✓ Nhật ký toàn vẹn: \d+ lá"))
    expect(page.locator("#audit-newest")).to_contain_text("Đã ký")
    expect(page.locator("#audit-witnessed")).to_contain_text("Máy chủ trung tâm đã ký làm chứng")
    rows = page.locator("[data-leaf]")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text(re.compile(f"đổi trạng thái.*{newest}.*chưa ký"))
    # What is chosen and not yet asked for is no part of the list on screen.
    page.locator("#audit-type").select_option("Permit")
    page.locator("#audit-more").press("Enter")
    expect(rows).not_to_have_count(50)
    leaves = [int(row.get_attribute("data-leaf") or "") for row in rows.all()]
    assert leaves == sorted(leaves, reverse=True)

    page.keyboard.press("F8")
    expect(page.locator("#audit-holds")).to_contain_text("The log holds")
    page.keyboard.press("F8")
    expect(page.locator("#audit-holds")).to_contain_text("Nhật ký toàn vẹn")
    page.locator("#audit-piece").fill(piece_id)
    page.locator("#audit-type").select_option("Scan")
    page.locator("#audit-piece").press("F2")
    expect(rows).to_have_count(1)
    expect(page.locator("#audit-more")).to_have_count(0)
    expect(rows.first).to_contain_text(re.compile(f"soi.*{piece_id}.*đã ký"))
    expect(page).to_have_url(re.compile(rf"/audit\?type=Scan&piece={piece_id}$"))
    page.locator("[data-act='proof']").press("Enter")
    expect(page.locator("#audit-proof-title")).to_contain_text("nằm trong")
    expect(page.locator("#proof-note")).to_have_text(note)
    page.keyboard.press("F8")
    expect(page.locator("#audit-proof-title")).to_contain_text("is among")
    page.keyboard.press("F8")
    with page.expect_download() as kept:
        page.locator("#proof-keep").press("Enter")
    kept.value.save_as(tmp_path / "proof")
    proof = json.loads((tmp_path / "proof").read_text(encoding="utf-8"))
    checkpoint = open_checkpoint(proof["checkpoint"]["note"], KEYS).checkpoint
    path = [bytes.fromhex(node) for node in proof["path"]]
    assert page.locator("#proof-path li").all_inner_texts() == proof["path"]
    assert verify_inclusion(bytes.fromhex(proof["leaf_hash"]), proof["leaf_index"], checkpoint.size, path, checkpoint.root)
    page.locator("#proof-close").press("Enter")
    expect(page.locator("#audit-proof")).to_have_count(0)
    expect(page.locator("[data-act='proof']")).to_be_focused()
    with page.expect_download() as kept:
        page.locator("#audit-keep-witnessed").press("Enter")
    kept.value.save_as(tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint").read_text(encoding="utf-8") == note
    assert kept.value.suggested_filename == f"kt1-checkpoint-{checkpoint.size}.txt"
    page.reload()
    expect(page.locator("#audit-piece")).to_have_value(piece_id)
    expect(rows).to_have_count(1)


def test_a_released_piece_s_certificate_is_taken_along(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    come_in(context, desk, "soat", roles=AUDITOR, clearance=None)
    held, _ = desk.put_piece()
    released = desk.new_id()
    desk.write(lambda uow: tell(uow, released, facts_of_a_release(released).values()))
    marked = desk.new_id()
    desk.write(lambda uow: tell(uow, marked, facts_of_a_release(marked).values(), secrecy=Secrecy.B))
    open_audit(page)
    # Only of what was released and may be named to this reader, and not before the log is signed so far.
    expect(page.locator("[data-leaf]").filter(has_text=held).first).to_be_visible()
    certificate = page.locator("[data-act='certificate']")
    expect(certificate).to_have_count(1)
    certificate.press("Enter")
    expect(page.locator("#message")).to_contain_text("chưa được ký đến đó")
    assert [text for text in complaints if "409" not in text] == []
    complaints.clear()
    seal(desk.store)
    with page.expect_download() as kept:
        certificate.press("Enter")
    assert kept.value.suggested_filename == f"kt1-certificate-{released}.json"
    kept.value.save_as(tmp_path / "certificate")
    proved = check_certificate((tmp_path / "certificate").read_bytes(), KEYS)
    assert proved.certificate.piece_id == released
    expect(certificate).to_be_focused()


def test_empty_failed_and_broken_logs_are_said(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str], tmp_path: Path
) -> None:
    come_in(context, desk, "soat", roles=AUDITOR, clearance=None)
    page.route("**/api/v1/audit/facts*", lambda route: route.abort())
    page.goto("/audit")
    expect(page.locator("#audit-failed")).to_contain_text("Không đọc được nhật ký: Trạm không trả lời")
    page.unroute("**/api/v1/audit/facts*")
    page.locator("#audit-again").press("Enter")
    expect(page.locator("#audit-newest")).to_contain_text("Chưa có điểm kiểm nào được ký")
    expect(page.locator("#audit-witnessed")).to_contain_text("Chưa có điểm kiểm nào được máy chủ")
    page.locator("#audit-since").fill("2031-01-01T00:00")
    page.locator("#audit-find").press("Enter")
    expect(page.locator("#audit-none")).to_have_text("Không có điều nào như vậy")
    # On the site's clock it is 15:00, whatever the browser's says.
    page.locator("#audit-since").fill("2026-11-21T15:00")
    piece_id, _ = desk.put_piece()
    page.keyboard.press("F2")
    row = page.locator("[data-leaf]").filter(has_text="nhận dạng")
    expect(row).to_contain_text("chưa ký")
    # What is not signed yet cannot be proved yet.
    row.locator("[data-act='proof']").press("Enter")
    expect(page.locator("#message")).to_contain_text("chưa được ký đến đó")
    page.route("**/api/v1/audit/facts*", lambda route: route.abort())
    page.keyboard.press("F2")
    expect(page.locator("#audit-failed")).to_contain_text("từ đó đến nay không đọc lại được")
    expect(row).to_contain_text(piece_id)
    page.unroute("**/api/v1/audit/facts*")
    with closing(pysqlite3.dbapi2.connect(str(tmp_path / "data" / DATABASE_NAME), isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_leaf_no_update")
        connection.execute("UPDATE audit_leaf SET commitment = randomblob(32) WHERE leaf_index = 0")
    page.keyboard.press("F2")
    expect(page.locator("#audit-holds")).to_contain_text("Nhật ký không toàn vẹn")
    expect(page.locator('[data-leaf="0"]')).to_contain_text("KHÔNG khớp với lá của nó")
    assert [text for text in complaints if not re.search("ERR_FAILED|409", text)] == []
    complaints.clear()


def test_it_is_nothing_for_others_and_marked_pieces_are_nothing_for_an_auditor_who_is_not_cleared(
    desk: Desk, context: BrowserContext, page: Page
) -> None:
    hidden, _ = desk.put_piece(secrecy=Secrecy.B)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    come_in(context, desk, "lan", roles=frozenset(Role) - {Role.MACHINE, Role.AUDITOR})
    page.goto("/audit")
    expect(page.locator("#audit-refused")).to_contain_text("dành cho kiểm toán")
    expect(page.locator("nav a[href='/audit']")).to_have_count(0)
    page.keyboard.press("F2")
    expect(page.locator("#main button, #main table, dialog[open]")).to_have_count(0)
    assert [url for url in asked if "/api/v1/audit" in url] == []
    come_in(context, desk, "soat", roles=AUDITOR, clearance=None)
    open_audit(page)
    assert hidden not in page.content()
    page.locator("#audit-piece").fill(hidden)
    page.keyboard.press("F2")
    expect(page.locator("#audit-none")).to_be_visible()
    come_in(context, desk, "mat", roles=AUDITOR, clearance=Secrecy.B)
    open_audit(page)
    page.locator("#audit-piece").fill(hidden)
    page.keyboard.press("F2")
    expect(page.locator("[data-leaf]").first).to_contain_text("có độ mật: không nêu nội dung")


def test_hostile_words_are_text_and_stay_in_their_place(desk: Desk, context: BrowserContext, page: Page) -> None:
    come_in(context, desk, "soat", roles=AUDITOR, clearance=None)
    piece_id, sha256 = desk.put_piece(destination=MARKUP)
    note = f"{MARKUP} \u202enope {'W' * 200}"
    decision = ReviewDecision(
        piece_id=piece_id, visit=1, at=START, scan_sha256=str(sha256), person=MARKUP, outcome=ReviewOutcome.REJECT, note=note
    )
    desk.write(
        lambda uow: [
            uow.append(decision),
            *(uow.change_state(piece_id, state, START) for state in (PieceState.IN_REVIEW, PieceState.REJECTED)),
        ]
    )
    page.goto(f"/audit?type=ReviewDecision&piece={piece_id}")
    words = page.locator("[data-leaf] bdi").last
    expect(words).to_contain_text(MARKUP)
    expect(words).to_contain_text("\\u202enope")
    assert page.locator("#main img").count() == 0
    page.goto(f"/audit?piece={MARKUP}&type=Nonsense")
    expect(page.locator("#audit-none")).to_be_visible()
    expect(page.locator("#audit-type")).to_have_value("")
    page.goto(f"/audit?piece={piece_id}")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.locator("[data-leaf]").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
