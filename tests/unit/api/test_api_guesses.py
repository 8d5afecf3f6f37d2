"""Guesses at passwords over HTTP: how many are looked at, what they are told, and that the real person still comes in."""

import asyncio
from typing import Any

import httpx
import pytest

from station.domain.access import Role
from station.domain.accounts import AccessEvent
from station.domain.errors import StationError
from station.workflow.access import Visitor
from station.workflow.accounts import Change
from station.workflow.refusals import LogInRefusedError, TooManyTriesError
from tests.support.accounts import PASSWORD, run
from tests.support.api_station import Desk
from tests.support.log_ins import KEYS, facts, log_in


def test_unknown_wrong_and_disabled_get_the_same_answer(same_desk: Desk) -> None:
    same_desk.door.let_in("lan")
    off = same_desk.door.let_in("off")
    run(same_desk.door.accounts.change(off.user_id, Change(disabled=True)))
    with same_desk.stranger() as client:
        told = [log_in(client, *pair) for pair in (("nobody", PASSWORD), ("lan", "another password"), ("off", PASSWORD))]
    seen = [(one.status_code, one.content, {name: value for name, value in one.headers.items() if name != "date"}) for one in told]
    assert seen == [seen[0]] * 3
    assert told[0].json()["code"] == "log-in-refused"


def test_a_guess_too_many_is_told_when_to_come_again(desk: Desk) -> None:
    desk.door.let_in("lan")
    with desk.stranger() as client:
        for _ in range(5):
            assert log_in(client, "lan", "another password").status_code == 401
        late = log_in(client, "lan")
        assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (429, "too-many-tries", "1")
        desk.clock.forward(1)
        assert log_in(client, "lan").status_code == 201


class Counted:
    """Counts the passwords that are looked at."""

    def __init__(self, passwords: Any) -> None:
        self._passwords = passwords
        self.looked_at = 0

    async def hash(self, password: str) -> str:
        return await self._passwords.hash(password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        self.looked_at += 1
        return await self._passwords.matches(password_hash, password)


@pytest.mark.parametrize("way", ["one account, many addresses", "many names, one address", "many names, many addresses"])
async def test_of_a_thousand_guesses_fewer_than_fifty_are_looked_at_and_the_real_user_gets_in(desk: Desk, way: str) -> None:
    desk.door.let_in("lan")
    access = desk.door.access
    known = await access.log_in("lan", PASSWORD, Visitor(source="10.0.0.7"))
    counted = Counted(desk.door.passwords)
    access._passwords = counted
    before = len(facts(desk))
    for number in range(1_000):
        desk.clock.forward(1)
        login = "lan" if way.startswith("one account") else f"name{number}"
        source = "10.0.0.7" if way.endswith("one address") else f"10.1.{number // 250}.{number % 250}"
        with pytest.raises((LogInRefusedError, TooManyTriesError)):
            await access.log_in(login, "a wrong password", Visitor(source=source))
    assert 5 < counted.looked_at < 50
    came = await access.log_in("lan", PASSWORD, Visitor(source="10.0.0.7", browser=known.browser))
    assert came.caller.name == "lan"
    await access.tell_all()
    told = facts(desk)[before:]
    refused = [fact for fact in told if fact.event is AccessEvent.LOG_IN_REFUSED]
    assert sum(fact.count for fact in refused) == 1_000
    assert len(refused) < 35
    assert {fact.login for fact in refused} == ({"lan"} if way.startswith("one account") else {""})
    # Strangers wait, but are not locked out for good.
    desk.clock.forward(901)
    assert (await access.log_in("lan", PASSWORD, Visitor(source="10.9.9.9"))).caller.name == "lan"


async def test_guesses_at_the_same_moment_do_not_slip_through_together(desk: Desk) -> None:
    desk.door.let_in("lan")
    access = desk.door.access
    counted = Counted(desk.door.passwords)
    access._passwords = counted
    tries = (access.log_in("lan", "a wrong password", Visitor(source="10.0.0.7")) for _ in range(40))
    assert all(isinstance(error, StationError) for error in await asyncio.gather(*tries, return_exceptions=True))
    assert counted.looked_at == 5


def test_a_confirmation_counts_for_a_minute_and_cannot_be_guessed_at(desk: Desk) -> None:
    headers = desk.door.signed("lan", confirmed=False, roles=frozenset({Role.ADMINISTRATOR})).headers

    def add(login: str) -> httpx.Response:
        key = {"Idempotency-Key": f"a{next(KEYS)}"}
        return client.post("/api/v1/users", json={"login": login, "roles": ["operator"]}, headers=headers | key)

    with desk.stranger() as client:
        assert (add("u1").status_code, add("u1").json()["code"]) == (403, "step-up-needed")
        for _ in range(3):
            assert client.post("/api/v1/session/step-up", json={"password": "wrong"}, headers=headers).status_code == 401
        assert client.post("/api/v1/session/step-up", json={"password": PASSWORD}, headers=headers).status_code == 429
        desk.clock.forward(1)
        assert client.post("/api/v1/session/step-up", json={"password": PASSWORD}, headers=headers).json()["confirmed_for_s"] == 60
        assert add("u2").status_code == 201
        desk.clock.forward(61)
        assert add("u3").json()["code"] == "step-up-needed"
