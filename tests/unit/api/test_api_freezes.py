"""The interface's rules of a frozen lane: who is told what before two people have given the all clear, and what is refused how."""

from typing import Any

import httpx
import pytest

from station.domain.access import Role
from station.domain.freeze import FreezeOrigin, LaneFrozen, freeze_subject
from station.domain.piece import PieceState, Secrecy
from station.ports.store import UnitOfWork
from station.workflow.freeze_steps import begin_freeze
from station.workflow.views import FreezeProgress, LaneState
from tests.support.api_station import CHECKLIST, LANE, Desk

WHERE = f"/lanes/{LANE}"
REVIEWER, SUPERVISOR, OPERATOR = frozenset({Role.REVIEWER}), frozenset({Role.SUPERVISOR}), frozenset({Role.OPERATOR})
NEEDED = [step.id for step in CHECKLIST.steps if not step.powder_only]


@pytest.fixture
def people(desk: Desk) -> None:
    for login, roles, clearance in (
        ("lan", REVIEWER, Secrecy.A),
        ("minh", SUPERVISOR, None),
        ("op", OPERATOR, None),
        ("tu", REVIEWER, None),
    ):
        desk.door.let_in(login, roles=roles, clearance=clearance)


def freeze(desk: Desk, *suspects: str) -> None:
    def work(uow: UnitOfWork) -> None:
        for suspect in suspects:
            uow.change_state(suspect, PieceState.FROZEN, desk.clock.utc_now())
        how: dict[str, Any] = {"origin": FreezeOrigin.CONSOLE, "person": "op", "suspects": suspects, "on_belts": suspects}
        begin_freeze(uow, LANE, desk.clock.utc_now(), **how)

    desk.write(work)
    desk.lane.show(state=LaneState.FROZEN, frozen=True, freeze=FreezeProgress(latched=True, key_on=False))


def see(desk: Desk, person: str) -> dict[str, Any]:
    answer = desk.client.get(f"/api/v1{WHERE}/freeze", headers=desk.door.signed(person).headers)
    answer.raise_for_status()
    return answer.json()


def tick_all(desk: Desk) -> None:
    for step in NEEDED:
        assert desk.post(f"{WHERE}/freeze/steps", {"number": 1, "step": step}, person="op").status_code == 200


def clear(desk: Desk, person: str, *, number: int = 1, **more: Any) -> httpx.Response:
    return desk.post(f"{WHERE}/unfreeze", {"number": number, "present": ["Lan", "Minh"], **more}, person=person)


@pytest.mark.usefixtures("people")
def test_nobody_sees_the_other_s_all_clear_before_giving_their_own(desk: Desk) -> None:
    freeze(desk)
    tick_all(desk)
    before = {person: see(desk, person) for person in ("minh", "op", "tu")}
    heard = desk.feed.last_number
    told = clear(desk, "lan")
    assert (told.status_code, told.json()) == (200, {"lane_id": LANE, "number": 1, "all_clear": False})
    # Not in what is shown, not in what is refused, and not in the news.
    assert {person: see(desk, person) for person in before} == before
    assert desk.feed.last_number == heard
    assert before["minh"]["lacks"] == ["all-clears"]
    own = see(desk, "lan")
    assert (own["my_all_clear_at"] is not None, own["all_clears"], own["people"]) == (True, 1, ["lan"])
    again = clear(desk, "lan")
    assert (again.status_code, again.json()["code"]) == (403, "second-person-needed")
    assert clear(desk, "minh").json()["all_clear"]
    for person in ("op", "tu", "lan"):
        after = see(desk, person)
        assert (after["all_clears"], after["people"], after["lacks"]) == (2, ["lan", "minh"], ["key"])
    assert desk.feed.last_number == heard + 1
    desk.lane.show(freeze=FreezeProgress(latched=True, key_on=True, all_clear=True))
    assert see(desk, "op")["lacks"] == ["latch"]
    desk.lane.show(freeze=FreezeProgress())
    assert see(desk, "op")["lacks"] == ["plc"]
    desk.lane.show(freeze=FreezeProgress(latched=True, key_on=True, unrecorded=True))
    assert see(desk, "op")["lacks"] == ["record"]


@pytest.mark.usefixtures("people")
def test_the_checklist_comes_first_and_each_step_with_who_and_when(desk: Desk) -> None:
    assert see(desk, "op")["number"] is None
    assert desk.post(f"{WHERE}/freeze/steps", {"number": 1, "step": NEEDED[0]}, person="op").json()["code"] == "freeze-over"
    assert clear(desk, "lan").json()["code"] == "freeze-over"
    freeze(desk)
    assert see(desk, "op")["lacks"] == ["steps", "all-clears"]
    refused = clear(desk, "lan")
    assert (refused.status_code, refused.json()["code"]) == (403, "freeze-steps-missing")
    for _ in range(2):
        assert desk.post(f"{WHERE}/freeze/steps", {"number": 1, "step": NEEDED[0]}, person="op", key="once").status_code == 200
    first, second, *_ = see(desk, "lan")["steps"]
    assert (first["id"], first["done_by"], first["needed"], first["vi"]) == (NEEDED[0], "op", True, CHECKLIST.steps[0].vi)
    assert (second["done_by"], second["done_at"]) == (None, None)
    tick_all(desk)
    for body in ({}, {"number": 1}, {"number": 1, "present": []}, {"number": 1, "present": ["An"], "person": "minh"}):
        assert desk.post(f"{WHERE}/unfreeze", body, person="lan").status_code == 422
    assert desk.post(f"{WHERE}/freeze/steps", {"number": 1, "step": "no-such-step"}, person="op").status_code == 404
    assert clear(desk, "lan", present=[" "]).json()["code"] == "present-unnamed"
    assert desk.post("/lanes/lane-9/unfreeze", {"number": 1, "present": ["An"]}, person="lan").status_code == 404
    assert desk.client.get("/api/v1/lanes/lane-9/freeze").status_code == 404


@pytest.mark.usefixtures("people")
def test_an_all_clear_takes_a_role_and_a_fresh_confirmation(desk: Desk) -> None:
    freeze(desk)
    tick_all(desk)
    assert clear(desk, "op").json()["code"] == "not-permitted"
    headers = {"Idempotency-Key": "late", **desk.door.signed("lan").headers}
    desk.clock.forward(61)
    stale = desk.client.post(f"/api/v1{WHERE}/unfreeze", json={"number": 1, "present": ["Lan"]}, headers=headers)
    assert (stale.status_code, stale.json()["code"]) == (403, "step-up-needed")
    assert clear(desk, "lan").status_code == 200
    assert not desk.get(f"{WHERE}/freeze")["people"]


@pytest.mark.usefixtures("people")
def test_a_marked_suspect_is_told_to_whom_it_may_be_told(desk: Desk) -> None:
    marked, _ = desk.put_piece(secrecy=Secrecy.B)
    plain, _ = desk.put_piece()
    freeze(desk, marked, plain)
    assert (see(desk, "lan")["suspects"], see(desk, "lan")["suspects_restricted"]) == (sorted([marked, plain]), 0)
    for person in ("minh", "op", "tu"):
        seen = see(desk, person)
        assert (seen["suspects"], seen["suspects_restricted"]) == ([plain], 1)
        assert marked not in str(seen)
    (row,) = desk.store.read(lambda view: view.evidence(freeze_subject(LANE)))
    assert isinstance(row.evidence, LaneFrozen)
    assert desk.client.get(f"/api/v1/pieces/{freeze_subject(LANE)}", headers=desk.door.signed("lan").headers).status_code == 404
