"""Users, their links and passwords, and programs, over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from station.auth.passwords import Argon2Passwords
from station.domain.access import Role
from station.domain.accounts import AccessEvent
from station.domain.errors import StationError
from station.ports.access import Passwords
from station.workflow.access import Access, Visitor
from station.workflow.accounts import Change
from station.workflow.refusals import NotLoggedInError, NotPermittedError
from tests.support.accounts import CHEAP, PASSWORD, run
from tests.support.api_station import Desk
from tests.support.log_ins import KEYS, facts, log_in, signed


def test_users_are_added_changed_and_told_once_of_their_link(desk: Desk) -> None:
    body = {"login": "Thu", "display_name": "Lê Thu", "roles": ["reviewer"], "clearance": "C"}
    first, again = desk.post("/users", body, key="add"), desk.post("/users", body, key="add")
    assert (first.status_code, again.json()) == (201, first.json() | {"link": None})
    assert desk.post("/users", body).json()["code"] == "login-taken"
    for bad in ({"login": "Bình"}, {"roles": ["machine"]}, {"roles": ["king"]}, {"clearance": "D"}):
        assert desk.post("/users", {"login": "x", "roles": ["operator"]} | bad).status_code in {403, 422}, bad
    link = first.json()["link"].partition("#")[2]
    user = f"/users/{first.json()['user_id']}"
    assert desk.get(user)["link_expires_at"] == first.json()["link_expires_at"]
    with desk.stranger() as client:
        short = client.post("/api/v1/session/link", json={"link": link, "password": "short"})
        assert short.json()["code"] == "password-refused"
        came = client.post("/api/v1/session/link", json={"link": link, "password": PASSWORD})
        assert (came.status_code, came.json()["login"], came.json()["clearance"]) == (201, "thu", "C")
        assert desk.get(user)["link_expires_at"] is None
        for secret in (link, "no such link"):
            assert client.post("/api/v1/session/link", json={"link": secret, "password": PASSWORD}).json()["code"] == "link-invalid"
        newer = desk.post(f"{user}/password-link").json()["link"].partition("#")[2]
        assert desk.get(user)["link_expires_at"] is not None
        desk.clock.forward(timedelta(hours=25).total_seconds())
        assert desk.door.accounts.link_expires_at(first.json()["user_id"]) is None
        assert client.post("/api/v1/session/link", json={"link": newer, "password": PASSWORD}).json()["code"] == "link-invalid"


def test_nobody_changes_their_own_rights_and_one_administrator_is_left(desk: Desk) -> None:
    me = desk.door.accounts.called("an").user
    with desk.stranger() as client:
        headers = desk.door.signed("an").headers | {"Idempotency-Key": "x"}

        def patch(user_id: str, body: dict[str, Any]) -> httpx.Response:
            return client.patch(f"/api/v1/users/{user_id}", json=body, headers=headers | {"Idempotency-Key": f"p{next(KEYS)}"})

        for body in ({"roles": ["auditor"]}, {"clearance": None}, {"disabled": True}):
            assert patch(me.user_id, body).json()["code"] == "own-account"
        assert patch(me.user_id, {"display_name": "An"}).json()["display_name"] == "An"
        other = desk.door.let_in("binh", roles=frozenset({Role.OPERATOR}), clearance=None)
        assert patch(other.user_id, {"clearance": "B"}).json()["clearance"] == "B"
        assert patch(other.user_id, {"display_name": "Bình"}).json()["clearance"] == "B"
        assert patch(other.user_id, {"clearance": None, "disabled": True}).json()["disabled"] is True
        assert patch("u-00", {"disabled": True}).status_code == 404
        assert {one["login"]: one["disabled"] for one in desk.get("/users")["items"]} == {"an": False, "binh": True}
    with pytest.raises(StationError, match="let people in"):
        run(desk.door.accounts.change(me.user_id, Change(disabled=True)))


def test_whoever_loses_the_role_while_asking_changes_nobody(desk: Desk) -> None:
    other = desk.door.let_in("binh", roles=frozenset({Role.OPERATOR}), clearance=None)
    session = desk.door.signed("quan", roles=frozenset({Role.ADMINISTRATOR}), clearance=None).session
    asking = desk.door.access.memory.by_session(session)
    assert asking is not None
    run(desk.door.accounts.change(asking.user_id, Change(roles=frozenset({Role.OPERATOR}))))
    for change in (
        desk.door.accounts.change(other.user_id, Change(roles=frozenset({Role.ADMINISTRATOR})), by=asking),
        desk.door.accounts.add("them", roles=[Role.ADMINISTRATOR], clearance=None, by=asking),
        desk.door.accounts.new_link(other.user_id, by=asking),
        desk.door.accounts.add_token("tracking", clearance=None, by=asking),
    ):
        with pytest.raises(NotPermittedError):
            run(change)
    assert desk.door.accounts.user(other.user_id).user.roles == {Role.OPERATOR}
    assert {one.user.login for one in desk.door.accounts.users()} == {"an", "binh", "quan"}


def test_a_program_asks_by_its_token_until_it_is_revoked(same_desk: Desk) -> None:
    made = same_desk.post("/tokens", {"name": "tracking", "clearance": "A"}).json()
    assert same_desk.post("/tokens", {"name": "tracking"}).json()["code"] == "token-name-taken"
    bearer = {"Authorization": f"Bearer {made['token']}"}
    with same_desk.stranger() as client:
        body = {"piece_id": same_desk.new_id(), "secrecy": "B"}
        assert client.post("/api/v1/pieces", json=body, headers=bearer | {"Idempotency-Key": "1"}).status_code == 201
        assert client.get("/metrics", headers=bearer).status_code == 200
        assert client.get("/metrics").status_code == 401
        assert client.get("/api/v1/lanes", headers=bearer).json()["code"] == "not-permitted"
        assert client.get("/api/v1/session", headers=bearer).json()["csrf_token"] is None
        # A token that is shown counts alone, whatever session comes along.
        assert client.get("/api/v1/lanes", headers=same_desk.door.signed("an").headers | {"Authorization": "Bearer x"}).status_code == 401
        low = same_desk.post("/tokens", {"name": "other"}).json()
        refused = client.post("/api/v1/pieces", json=body, headers={"Authorization": f"Bearer {low['token']}", "Idempotency-Key": "2"})
        assert refused.json()["code"] == "not-permitted"
        assert same_desk.post(f"/tokens/{made['token_id']}/revoke").json()["revoked"] is True
        assert client.get("/metrics", headers=bearer).status_code == 401


def test_people_change_their_own_password_by_the_present_one(desk: Desk) -> None:
    desk.door.let_in("lan")
    new = "năm con mèo trắng"
    with desk.stranger() as client:
        here, elsewhere = signed(log_in(client, "lan")), signed(log_in(client, "lan"))
        link = run(desk.door.accounts.new_link(desk.door.accounts.called("lan").user.user_id)).secret

        def change(present: str, password: str, headers: dict[str, str] = here) -> httpx.Response:
            client.cookies.clear()
            return client.post("/api/v1/session/password", json={"present_password": present, "password": password}, headers=headers)

        assert change("another password", new).json()["code"] == "log-in-refused"
        assert change(PASSWORD, "short").json()["code"] == "password-refused"
        assert change(PASSWORD, new, {name: value for name, value in here.items() if name == "Cookie"}).status_code == 403
        assert client.get("/api/v1/session", headers=elsewhere).status_code == 200
        changed = change(PASSWORD, new)
        assert (changed.status_code, changed.json()["login"], changed.json()["confirmed_for_s"]) == (200, "lan", 0)
        assert client.get("/api/v1/session", headers=signed(changed)).json()["login"] == "lan"
        for old in (here, elsewhere):
            assert client.get("/api/v1/session", headers=old).status_code == 401
        assert log_in(client, "lan", PASSWORD).status_code == 401
        assert log_in(client, "lan", new).status_code == 201
        assert client.post("/api/v1/session/link", json={"link": link, "password": PASSWORD}).json()["code"] == "link-invalid"
        chosen = [fact for fact in facts(desk) if fact.event is AccessEvent.PASSWORD_CHOSEN]
        assert [(fact.login, fact.person) for fact in chosen] == [("lan", "lan")]


def test_a_present_password_is_not_guessed_at_and_programs_have_none(desk: Desk) -> None:
    desk.door.let_in("lan")
    token = desk.post("/tokens", {"name": "tracking"}).json()["token"]
    body = {"present_password": "another password", "password": "năm con mèo trắng"}
    with desk.stranger() as client:
        headers = signed(log_in(client, "lan"))
        client.cookies.clear()
        tries = [client.post("/api/v1/session/password", json=body, headers=headers).status_code for _ in range(4)]
        assert tries == [401, 401, 401, 429]
        right = client.post("/api/v1/session/password", json=body | {"present_password": PASSWORD}, headers=headers)
        assert right.json()["code"] == "too-many-tries"
        bearer = client.post("/api/v1/session/password", json=body, headers={"Authorization": f"Bearer {token}"})
        assert bearer.json()["code"] == "not-logged-in"


class Interrupted:
    """Something happens while a new password is hashed."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def hash(self, password: str) -> str:
        if self.meanwhile is not None:
            await self.meanwhile()
        return await self._passwords.hash(password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        return await self._passwords.matches(password_hash, password)


def test_whoever_was_logged_out_while_the_password_was_hashed_sets_none(desk: Desk) -> None:
    desk.door.let_in("lan")
    passwords, here = Interrupted(Argon2Passwords(CHEAP)), Visitor(source="10.0.0.1")
    access = Access(store=desk.store, clock=desk.clock, passwords=passwords)

    async def changed() -> None:
        came = await access.log_in("lan", PASSWORD, here)
        passwords.meanwhile = lambda: access.log_out(came.caller)
        with pytest.raises(NotLoggedInError):
            await access.change_password(came.caller, PASSWORD, "năm con mèo trắng", here)
        await access.log_in("lan", PASSWORD, here)

    run(changed())
    assert AccessEvent.PASSWORD_CHOSEN not in {fact.event for fact in facts(desk)}
