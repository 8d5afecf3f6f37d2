"""The page of users: people let in, changed and sent away, programs' tokens, and secrets that are shown once."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from station.domain.access import Role
from station.ports.access import Account
from station.workflow.accounts import Change
from tests.browser.conftest import come_in, leave_unanswered, settle
from tests.support.accounts import PASSWORD, run, user
from tests.support.api_station import START, Desk

pytestmark = pytest.mark.browser
ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
MARKUP = "<img src=x onerror=alert(1)>"
EVERYWHERE = """async () => JSON.stringify([location.href, history.state, document.cookie, document.documentElement.outerHTML,
  [...document.querySelectorAll('input, textarea')].map((field) => field.value), {...localStorage}, {...sessionStorage},
  await caches.keys(), await indexedDB.databases(), window.name])"""
"""Whatever of a page a browser may keep or show."""


@pytest.fixture
def elsewhere(browser: Browser, desk: Desk) -> Iterator[Page]:
    """Another person's browser."""
    context = browser.new_context(base_url=desk.server.url, locale="vi-VN")
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def open_users(page: Page) -> None:
    page.goto("/users")
    expect(page.locator("#users-read")).to_contain_text("Đọc lúc")


def act(page: Page, login: str, what: str) -> None:
    page.locator(f'[data-login="{login}"] [data-act="{what}"]').press("Enter")


def test_an_administrator_lets_a_person_in_changes_their_work_and_sends_them_away(
    desk: Desk, context: BrowserContext, page: Page, elsewhere: Page, complaints: list[str]
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    come_in(context, desk, "quan-tri", roles=ADMINISTRATOR, clearance=None, confirmed=False)
    page.goto("/")
    page.locator("nav a[href='/users']").press("Enter")
    expect(page.locator('[data-login="quan-tri"]')).to_contain_text("người quản trị")
    page.keyboard.press("F2")
    expect(page.locator("#user-login")).to_be_focused()
    page.keyboard.type("Lan Nguyễn")
    page.locator("#user-name").fill("Nguyễn Thị Lan")
    page.locator("#user-role-operator").press("Space")
    page.locator("#user-clearance").select_option("B")
    page.locator("#user-clearance").press("F8")
    expect(page.locator("#user-form-go")).to_have_text("Add a user")
    expect(page.locator("#user-clearance")).to_be_focused()
    page.keyboard.press("F8")
    expect(page.locator("#user-form-go")).to_have_text("Thêm người dùng")
    page.locator("#user-form-go").press("Enter")
    # What is asked for comes back to the form as it was.
    page.locator("#confirm-password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#user-form-message")).to_contain_text("Tên đăng nhập hoặc tên hiển thị không dùng được")
    for login, words in (("quan-tri", "Tên đăng nhập này đang hoặc đã là của người khác"), ("Lan", "")):
        page.locator("#user-login").fill(login)
        page.keyboard.press("Enter")
        if words:
            expect(page.locator("#user-form-message")).to_contain_text(words)

    expect(page.locator("#link-title")).to_have_text("Liên kết dùng một lần của lan")
    link = page.locator("#link-secret").inner_text()
    assert re.fullmatch(re.escape(f"{desk.server.url}/welcome#") + r"[\w-]{43}", link)
    expect(page.locator("#link")).to_contain_text(re.compile(r"đến .*22/11/26.*một lần.*chính máy này", re.DOTALL))
    page.locator("#link-copy").press("Enter")
    expect(page.locator("#link-state")).to_contain_text("Đã sao chép")
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.keyboard.press("F8")
    expect(page.locator("#link-title")).to_have_text("One-time link for lan")
    assert page.locator("#link-secret").inner_text() == link
    page.keyboard.press("F8")
    expect(page.locator("#link-title")).to_have_text("Liên kết dùng một lần của lan")
    page.locator("#link-close").press("Enter")
    row = page.locator('[data-login="lan"]')
    expect(row).to_contain_text(
        re.compile("Nguyễn Thị Lan.*nhân viên soi.*Tối mật.*được vào.*chưa chọn mật khẩu.*có liên kết đang chờ, dùng được đến .*22/11/26")
    )
    assert link.partition("#")[2] not in page.evaluate(EVERYWHERE)

    elsewhere.goto(link)
    for name in ("#password", "#again"):
        elsewhere.locator(name).fill("mưa rơi trên phố cũ")
    elsewhere.keyboard.press("Enter")
    expect(elsewhere.locator("#who")).to_have_text("Nguyễn Thị Lan")
    expect(elsewhere.locator("nav a[href='/users']")).to_have_count(0)
    act(page, "lan", "change")
    page.locator("#user-role-reviewer").check()
    page.locator("#user-form-go").press("Enter")
    expect(page.locator("#message")).to_contain_text("lan: đã lưu. Mọi phiên đăng nhập của người này đã kết thúc")
    expect(row).to_contain_text(re.compile("nhân viên soi, người thẩm định.*đã chọn mật khẩu"))
    expect(row.locator('[data-act="change"]')).to_be_focused()
    expect(elsewhere).to_have_url(re.compile("/login"))

    act(page, "lan", "disable")
    page.locator("#user-disable-go").press("Enter")
    expect(row).to_contain_text("đã khóa")
    act(page, "lan", "enable")
    expect(row).to_contain_text("được vào")
    act(page, "lan", "link")
    expect(page.locator("#link-secret")).not_to_have_text(link)
    page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert "welcome#" not in page.evaluate(EVERYWHERE)
    assert [text for text in complaints if not re.search("40[139]", text)] == []
    complaints.clear()


def test_what_is_typed_stays_when_the_person_is_changed_meanwhile_and_refusals_are_said(
    desk: Desk, context: BrowserContext, page: Page, complaints: list[str]
) -> None:
    come_in(context, desk, "quan-tri", roles=ADMINISTRATOR, clearance=None)
    other = desk.door.let_in("binh", roles=frozenset({Role.OPERATOR, Role.REVIEWER}), clearance=None)
    open_users(page)
    act(page, "binh", "change")
    page.locator("#user-name").fill("Trần Bình")
    page.locator("#user-role-technician").check()
    run(desk.door.accounts.change(other.user_id, Change(roles=frozenset({Role.OPERATOR}))))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator('[data-login="binh"]')).not_to_contain_text("người thẩm định")
    expect(page.locator("#user-name")).to_have_value("Trần Bình")
    page.locator("#user-form-go").press("Enter")
    expect(page.locator("#user-news")).to_contain_text("Người khác vừa sửa")
    expect(page.locator("#user-role-reviewer")).not_to_be_checked()
    expect(page.locator("#user-name")).to_have_value("Trần Bình")
    page.locator("#user-form-go").press("Enter")
    expect(page.locator('[data-login="binh"]')).to_contain_text(re.compile("Trần Bình.*nhân viên soi, kỹ thuật viên"))
    expect(page.locator("#user-form")).to_have_count(0)

    act(page, "quan-tri", "change")
    page.locator("#user-role-operator").check()
    page.locator("#user-form-go").press("Enter")
    expect(page.locator("#user-form-message")).to_contain_text("Không ai tự đổi quyền của chính mình")
    page.keyboard.press("Escape")
    expect(page.locator("#user-form")).to_have_count(0)
    # The role of whoever works here is taken away at this very moment.
    desk.write(
        lambda uow: [
            uow.put_account(replace(one, user=replace(one.user, roles=frozenset())))
            for one in uow.accounts()
            if one.user.login == "quan-tri"
        ]
    )
    act(page, "binh", "disable")
    page.locator("#user-disable-go").press("Enter")
    expect(page.locator("#user-disable-message")).to_contain_text("Bạn không có quyền làm việc này")
    assert not desk.door.accounts.user(other.user_id).user.disabled
    assert [text for text in complaints if "403" not in text] == []
    complaints.clear()


def test_a_programs_token_is_shown_once_and_revoked(desk: Desk, context: BrowserContext, page: Page, complaints: list[str]) -> None:
    come_in(context, desk, "quan-tri", roles=ADMINISTRATOR, clearance=None)
    page.route("**/api/v1/tokens", lambda route: route.abort())
    page.goto("/users")
    expect(page.locator("#users-failed")).to_contain_text("Không đọc được danh sách: Trạm không trả lời")
    page.unroute("**/api/v1/tokens")
    page.locator("#users-again").press("Enter")
    expect(page.locator("#tokens-none")).to_be_visible()
    complaints.clear()
    page.keyboard.press("F4")
    page.keyboard.type("tracking")
    page.locator("#token-clearance").select_option("A")
    page.locator("#token-form-go").press("Enter")
    secret = page.locator("#token-secret").inner_text()
    assert secret.startswith("kt1m_")
    with desk.stranger() as client:
        bearer = {"Authorization": f"Bearer {secret}"}
        assert client.get("/metrics", headers=bearer).status_code == 200
        page.keyboard.press("Escape")
        expect(page.locator("#token")).to_have_count(0)
        row = page.locator('[data-token="tracking"]')
        expect(row).to_contain_text("Tuyệt mật")
        assert secret not in page.evaluate(EVERYWHERE)
        for _ in range(4):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.locator("#token-revoke-go").press("Enter")
        expect(row).to_contain_text("đã thu hồi")
        expect(row.locator("button")).to_have_count(0)
        assert client.get("/metrics", headers=bearer).status_code == 401
    # The answer that holds the secret is lost, and so the repetition is told without it.
    lost: list[Route] = []

    def lose_first(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route)
        route.fetch()
        route.abort()

    page.route("**/api/v1/tokens", lose_first)
    page.keyboard.press("F4")
    page.keyboard.type("other")
    page.keyboard.press("Enter")
    expect(page.locator("#token-lost")).to_contain_text("Hãy thu hồi rồi thêm lại")
    complaints.clear()


def test_the_page_is_nothing_for_whoever_may_not_see_it_and_changes_nothing_for_an_auditor(
    desk: Desk, context: BrowserContext, page: Page
) -> None:
    desk.door.let_in("binh")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    come_in(context, desk, "lan", roles=frozenset(Role) - {Role.MACHINE, Role.ADMINISTRATOR, Role.AUDITOR})
    page.goto("/users")
    expect(page.locator("#users-refused")).to_contain_text("dành cho người quản trị và kiểm toán")
    expect(page.locator("nav a[href='/users']")).to_have_count(0)
    page.keyboard.press("F2")
    expect(page.locator("#main")).not_to_contain_text("binh")
    expect(page.locator("#main button, #main table, dialog[open]")).to_have_count(0)
    assert [url for url in asked if url.endswith(("/api/v1/users", "/api/v1/tokens"))] == []
    page.clock.install(time=START)
    come_in(context, desk, "soat", roles=frozenset({Role.AUDITOR}), clearance=None)
    open_users(page)
    expect(page.locator('[data-login="binh"]')).to_contain_text("đã chọn mật khẩu")
    expect(page.locator("#main button")).to_have_count(0)
    # It reads anew while somebody is here, and does not keep alone the session of one who has gone.
    with page.expect_response("**/api/v1/users"):
        page.clock.pause_at(START + timedelta(seconds=60))
    asked.clear()
    with page.expect_response("**/api/v1/users"):
        page.clock.fast_forward(6_000)
    page.clock.fast_forward(130_000)
    with page.expect_response("**/api/v1/users"):
        page.mouse.move(5, 5)
    assert len([url for url in asked if url.endswith("/api/v1/users")]) == 2
    # What comes late is shown all the same, until something newer has come.
    desk.door.let_in("cuong")
    unanswered = leave_unanswered(page, "**/api/v1/users")
    for _ in range(2):
        with page.expect_request("**/api/v1/users"):
            page.clock.fast_forward(6_000)
    unanswered[0].continue_()
    expect(page.locator('[data-login="cuong"]')).to_be_visible()


def test_a_click_hits_nobody_who_has_just_come_under_the_pointer(desk: Desk, context: BrowserContext, page: Page) -> None:
    come_in(context, desk, "quan-tri", roles=ADMINISTRATOR, clearance=None)
    binh = desk.door.let_in("binh")
    run(desk.door.accounts.change(binh.user_id, Change(disabled=True)))
    open_users(page)
    page.evaluate(
        """() => {
          const users = document.getElementById('users');
          const click = () => users.querySelector('[data-act="enable"]').dispatchEvent(new MouseEvent('click', {detail: 1}));
          new MutationObserver((_, observer) => { observer.disconnect(); click(); }).observe(users, {childList: true});
        }"""
    )
    desk.door.let_in("cuong")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#message")).to_contain_text("Danh sách vừa thay đổi")
    settle(page)
    assert desk.door.accounts.user(binh.user_id).user.disabled
    # A key presses what has the focus.
    act(page, "binh", "enable")
    expect(page.locator('[data-login="binh"]')).to_contain_text("được vào")


def test_hostile_names_are_text_and_stay_in_their_place(desk: Desk, context: BrowserContext, page: Page) -> None:
    come_in(context, desk, "quan-tri", roles=ADMINISTRATOR, clearance=None)
    names = {"a": MARKUP, "b": "\u202eadmin\u2066 שלום", "c" * 32: "W" * 80}
    for login, name in names.items():
        account = Account(user=replace(user(login), display_name=name), password_hash=None)
        run(desk.door.access.change(lambda uow, account=account: uow.put_account(account)))
    open_users(page)
    for login, name in names.items():
        expect(page.locator(f'[data-login="{login}"] bdi')).to_have_text(name)
    assert page.locator("#main img").count() == 0
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        act(page, "c" * 32, "change")
        expect(page.locator("#user-name")).to_have_value("W" * 80)
        assert page.locator("dialog[open]").evaluate("(box) => box.scrollWidth <= box.clientWidth")
        page.locator("#user-form-close").press("Enter")
