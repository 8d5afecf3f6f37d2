"""Coming in and going out over HTTP: cookies, foreign pages, guesses, revocation, links, tokens, and what is kept of secrets."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from station.api.cookies import BROWSER, CSRF_HEADER, SESSION
from station.domain.access import Role
from station.domain.errors import StoreError
from station.domain.guesses import ACCOUNT
from station.domain.piece import Secrecy
from station.workflow.access import Visitor, source_of
from station.workflow.accounts import Change
from tests.support.accounts import PASSWORD, run
from tests.support.api_station import LANE, Desk
from tests.support.log_ins import facts, given, log_in, signed


def test_a_session_is_a_new_secret_that_scripts_and_other_sites_cannot_get_at(desk: Desk) -> None:
    desk.door.let_in("lan", roles=frozenset({Role.OPERATOR}), clearance=Secrecy.B)
    with desk.stranger() as client:
        planted = {"Cookie": f"{SESSION}=planted-by-somebody; {BROWSER}=planted-too"}
        first, second = log_in(client, "Lan", **planted), log_in(client, "lan")
        assert first.status_code == 201
        for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
            assert attribute in given(first)[SESSION]
            assert attribute in given(first)[BROWSER]
        assert "Domain" not in given(first)[SESSION]
        assert "Max-Age" not in given(first)[SESSION]
        assert "planted" not in str(given(first))
        assert given(first)[SESSION] != given(second)[SESSION]
        me = client.get("/api/v1/session", headers=signed(first)).json()
        assert me["utc_offset_min"] == 7 * 60
        assert (me["login"], me["roles"], me["clearance"], me["confirmed_for_s"]) == ("lan", ["operator"], "B", 0)
        assert "decide-on-lane" in me["permissions"]
        assert "change-users" not in me["permissions"]
        assert client.delete("/api/v1/session", headers=signed(first)).status_code == 204
        assert client.get("/api/v1/session", headers=signed(first)).json()["code"] == "not-logged-in"
        assert client.get("/api/v1/session", headers=signed(second)).status_code == 200
    assert [fact.event for fact in facts(desk)] == ["logged-in", "logged-in", "logged-out"]


def test_logging_in_again_ends_the_session_that_the_browser_had(same_desk: Desk) -> None:
    same_desk.door.let_in("lan")
    with same_desk.stranger() as client:
        first = log_in(client, "lan")
        held = f"{signed(first)['Cookie']}; {BROWSER}={given(first)[BROWSER].partition(';')[0]}"
        again = log_in(client, "lan", Cookie=held)
        assert BROWSER not in given(again)
        assert client.get("/api/v1/session", headers=signed(first)).status_code == 401


def test_of_two_cookie_headers_one_session_counts_for_everything(same_desk: Desk) -> None:
    cookie = same_desk.door.signed("an").headers["Cookie"]
    with same_desk.stranger() as client:
        alone = client.get("/api/v1/session", headers={"Cookie": cookie}).json()
        both = client.get("/api/v1/session", headers=[("Cookie", cookie), ("Cookie", "__Host-kt1-session=other")]).json()
    assert both["csrf_token"] == alone["csrf_token"]


def test_what_another_sites_page_asks_is_not_done(same_desk: Desk) -> None:
    for foreign in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {CSRF_HEADER: ""},
        {CSRF_HEADER: "0" * 64},
    ):
        answer = same_desk.client.post(f"/api/v1/lanes/{LANE}/freeze", headers={"Idempotency-Key": "f"} | foreign)
        assert (answer.status_code, answer.json()["code"]) == (403, "request-foreign"), foreign
        assert same_desk.lane.asked == [], foreign
        if CSRF_HEADER not in foreign:
            with same_desk.stranger() as client:
                assert log_in(client, "an", **foreign).json()["code"] == "request-foreign", foreign
    own = {"Idempotency-Key": "f", "Origin": same_desk.server.url, "Sec-Fetch-Site": "same-origin"}
    assert same_desk.client.post(f"/api/v1/lanes/{LANE}/freeze", headers=own).status_code == 200


def test_whoever_is_disabled_or_changed_is_out_at_once_and_so_is_their_stream(desk: Desk) -> None:
    headers = desk.door.signed("lan").headers
    user = desk.door.accounts.called("lan").user
    with desk.stranger() as client, client.stream("GET", "/api/v1/events", headers=headers) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert client.get("/api/v1/lanes", headers=headers).status_code == 200
        run(desk.door.accounts.change(user.user_id, Change(disabled=True)))
        # It ends by itself; until then it may say a few words more.
        assert sum(1 for _ in itertools.islice(lines, 200)) < 200
        assert client.get("/api/v1/lanes", headers=headers).json()["code"] == "not-logged-in"
        assert log_in(client, "lan").status_code == 401
        run(desk.door.accounts.change(user.user_id, Change(disabled=False)))
        fresh = signed(log_in(client, "lan"))
        run(desk.door.accounts.change(user.user_id, Change(roles=frozenset({Role.AUDITOR}))))
        assert client.get("/api/v1/lanes", headers=fresh).status_code == 401


def test_sessions_end_unused_and_old_and_outlive_a_restart(desk: Desk) -> None:
    desk.door.let_in("lan")
    with desk.stranger() as client:
        headers = signed(log_in(client, "lan"))
        for _ in range(24):
            desk.clock.forward(29 * 60)
            assert client.get("/api/v1/session", headers=headers).status_code == 200
        desk.store.write(lambda _: None).result()
        desk.door.access.memory.__init__(desk.store, desk.clock)
        assert client.get("/api/v1/session", headers=headers).status_code == 200
        desk.clock.forward(29 * 60)
        assert client.get("/api/v1/session", headers=headers).status_code == 401
        headers = signed(log_in(client, "lan"))
        desk.clock.forward(31 * 60)
        assert client.get("/api/v1/session", headers=headers).status_code == 401


def test_nothing_that_is_stored_or_answered_twice_lets_anybody_in(desk: Desk, tmp_path: Path) -> None:
    added = desk.post("/users", {"login": "thu", "roles": ["operator"]}).json()["link"].partition("#")[2]
    token = desk.post("/tokens", {"name": "tracking"}).json()["token"]
    with desk.stranger() as client:
        answer = log_in(client, "an")
    secrets = [added, token, PASSWORD, *(value.partition(";")[0] for value in given(answer).values()), answer.json()["csrf_token"]]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("station.db*"))
    assert [secret for secret in secrets if secret.encode() in stored] == []
    state = desk.store.read(lambda view: view.access_state())
    assert all(str(one.password_hash).startswith("$argon2id$") for one in state.accounts if one.password_hash)


def test_with_a_failing_store_whoever_is_in_still_freezes_and_nobody_comes_in(desk: Desk) -> None:
    desk.door.let_in("lan")
    desk.store.close()
    assert desk.client.post(f"/api/v1/lanes/{LANE}/freeze", headers={"Idempotency-Key": "f"}).status_code == 200
    with desk.stranger() as client:
        assert log_in(client, "lan").json()["code"] == "store-error"
    # However often they try: what the disk hinders is no wrong password.
    for _ in range(ACCOUNT.free + 2):
        with pytest.raises(StoreError):
            run(desk.door.access.log_in("lan", PASSWORD, Visitor(source="10.0.0.7")))


def test_nobody_who_asks_waits_for_a_disk_that_hangs_while_people_are_read_again(same_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, memory = same_desk.door.signed("an").session, same_desk.door.access.memory
    reading, hangs = threading.Event(), threading.Event()

    state = same_desk.store.read(lambda view: view.access_state())

    def read(_: Any) -> Any:
        reading.set()
        assert hangs.wait(20)
        return state

    with ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr(same_desk.store, "read", read)
        again = threads.submit(memory.reload)
        assert reading.wait(20)
        try:
            caller = threads.submit(memory.by_session, secret).result(5)
        finally:
            hangs.set()
        again.result(20)
    assert caller is not None


async def test_what_becomes_durable_late_counts_all_the_same(same_desk: Desk) -> None:
    secret, access = same_desk.door.signed("mai").session, same_desk.door.access
    account = same_desk.door.accounts.called("mai")
    same_desk.write(lambda uow: uow.put_account(replace(account, user=replace(account.user, disabled=True))))
    await access.sweep()
    assert access.memory.by_session(secret) is None


async def test_a_password_chosen_while_an_administrator_takes_rights_away_does_not_bring_them_back(
    same_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_desk.door.let_in("hoa", clearance=Secrecy.A)
    access, accounts = same_desk.door.access, same_desk.door.accounts
    user = accounts.called("hoa").user
    link = (await accounts.new_link(user.user_id)).secret

    class Slow:
        async def hash(self, password: str) -> str:
            await accounts.change(user.user_id, Change(roles=frozenset({Role.AUDITOR}), clearance=None))
            return await same_desk.door.passwords.hash(password)

    monkeypatch.setattr(access, "_passwords", Slow())
    came = await access.choose_password(str(link), PASSWORD, Visitor(source="10.0.0.7"))
    assert (came.caller.roles, came.caller.clearance) == ({Role.AUDITOR}, None)


def test_what_is_no_text_is_refused_and_nothing_of_it_is_told(same_desk: Desk) -> None:
    broken = b'"secret-\\ud800-secret"'
    with same_desk.stranger() as client:
        for path, body in (("/session", b'{"login":"an","password":%s}'), ("/session/link", b'{"link":%s,"password":"x"}')):
            answer = client.post(f"/api/v1{path}", content=body % broken, headers={"Content-Type": "application/json"})
            assert (answer.status_code, "secret-" in answer.text) == (422, False)


def test_addresses_count_as_their_network() -> None:
    assert [source_of(host) for host in ("10.0.0.7", "::ffff:10.0.0.7", "2001:db8::1", "2001:db8::2:1", "fe80::1%eth0", "?")] == [
        "10.0.0.7",
        "10.0.0.7",
        "2001:db8::/64",
        "2001:db8::/64",
        "fe80::/64",
        "unknown",
    ]


def test_the_answers_of_log_in_are_kept_nowhere(same_desk: Desk) -> None:
    with same_desk.stranger() as client:
        answer = log_in(client, "an")
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert PASSWORD not in answer.text
