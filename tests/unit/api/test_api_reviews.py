"""Deciding about held pieces, over real HTTP and a real store."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from station.domain.access import Role
from station.domain.people import people_needed
from station.domain.piece import PieceState, Secrecy
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading, ReviewOutcome
from station.domain.scan import Finding
from station.domain.vault import ImageViewed, Rendering
from station.workflow.once import Once
from station.workflow.refusals import NotPermittedError, StepUpNeededError
from station.workflow.reviewing import ReviewRequest
from tests.support.api_station import START, Desk
from tests.support.staff import Staff


def decide(desk: Desk, piece_id: str, outcome: str, sha256: str | None, *, person: str = "an", note: str = ""):
    claimed = desk.post(f"/reviews/{piece_id}/claim", person=person)
    assert claimed.status_code == 200, claimed.text
    body = {"outcome": outcome, "scan_sha256": sha256, "note": note}
    return desk.post(f"/reviews/{piece_id}/decision", body, person=person)


def state(desk: Desk, piece_id: str) -> str:
    return desk.get(f"/pieces/{piece_id}")["state"]


def test_one_person_clears_what_only_the_model_held(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    answer = decide(desk, piece_id, "clear", sha256, note="bill")
    assert answer.json() == {"piece_id": piece_id, "state": "cleared", "visit": 1, "awaiting_second_person": False}
    event = desk.events[-1]
    assert (event.status, event.policy_sha256, event.reasons) == ("cleared", "ab" * 32, ())
    detail = desk.get(f"/pieces/{piece_id}")
    assert [fact["values"]["note"] for fact in detail["evidence"] if fact["type"] == "ReviewDecision"] == ["bill"]
    assert detail["claim"] is None


def test_what_a_device_found_takes_two_people(desk: Desk) -> None:
    reason = Reason.OPAQUE_AREA
    piece_id, sha256 = desk.put_piece(reasons=(Reason.MODEL_ALARM, reason))
    before = len(desk.events)
    first = decide(desk, piece_id, "clear", sha256)
    assert first.json()["awaiting_second_person"] is True
    assert state(desk, piece_id) == "held"
    # Another event would tell the second reader, in a report, that a first one has cleared it.
    assert len(desk.events) == before
    stored = desk.store.read(lambda view: view.piece(piece_id))
    assert stored is not None
    assert set(stored.reasons) == {Reason.MODEL_ALARM, reason, Reason.AWAITING_SECOND_PERSON}
    again = decide(desk, piece_id, "clear", sha256, person="an")
    assert (again.status_code, again.json()["code"]) == (403, "second-person-needed")
    assert desk.post(f"/reviews/{piece_id}/release", person="an").status_code == 200
    assert decide(desk, piece_id, "clear", sha256, person="binh").json()["state"] == "cleared"


def test_only_the_model_and_people_can_be_overridden_by_one() -> None:
    alone = {reason for reason in Reason if people_needed(None, [reason]) == 1}
    assert {Reason.MODEL_ALARM, Reason.OPERATOR_HOLDS, Reason.DECISION_TIMEOUT} <= alone
    for reason in (Reason.WEIGHT_DIFFERS, Reason.RADIATION, Reason.UNANNOUNCED, Reason.TRACK_LOST, Reason.DOSE_SHORT, Reason.PIECE_CLIPPED):
        assert reason not in alone
        assert people_needed(None, [Reason.MODEL_ALARM, reason]) == 2
    assert people_needed(None, ["not-a-known-code"]) == 2


def test_a_finding_of_the_scan_counts_even_when_the_piece_is_held_for_something_else(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(findings=(Finding(reason=Reason.OPAQUE_AREA, box_px=(1, 2, 3, 4)),))
    assert desk.get("/reviews")["items"][0]["people_needed"] == 2
    assert decide(desk, piece_id, "clear", sha256).json()["awaiting_second_person"] is True


def test_the_second_reader_is_told_nothing_of_the_first(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    decide(desk, piece_id, "hold", sha256, person="chi")
    before = desk.get(f"/pieces/{piece_id}")["reasons"]
    decide(desk, piece_id, "clear", sha256, note="harmless book")
    assert desk.get(f"/pieces/{piece_id}")["reasons"] == before == ["opaque-area", "review-holds"]
    seen = desk.client.get(f"/api/v1/pieces/{piece_id}").text + desk.client.get("/api/v1/reviews").text
    for secret in ("harmless book", "awaiting-second-person", "ReviewDecision", '"an"'):
        assert secret not in seen


def test_two_readers_who_differ_leave_it_held_and_start_again(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    decide(desk, piece_id, "clear", sha256, person="an")
    assert decide(desk, piece_id, "reject", sha256, person="binh").json()["state"] == "held"
    assert decide(desk, piece_id, "clear", sha256, person="chi").json()["awaiting_second_person"] is True
    assert decide(desk, piece_id, "hold", sha256, person="dung").json()["state"] == "held"
    assert decide(desk, piece_id, "reject", sha256, person="binh").json()["state"] == "rejected"


def test_holding_once_more_does_not_wash_a_finding_away(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    decide(desk, piece_id, "hold", sha256)
    assert desk.get(f"/pieces/{piece_id}")["reasons"] == ["opaque-area", "review-holds"]
    assert decide(desk, piece_id, "clear", sha256).json()["awaiting_second_person"] is True


@pytest.mark.parametrize("level", Secrecy)
def test_a_marked_piece_takes_two_people_who_are_cleared_and_confirm_it(desk: Desk, level: Secrecy) -> None:
    piece_id, sha256 = desk.put_piece(secrecy=level)
    assert desk.get("/reviews")["items"][0]["people_needed"] == 2
    picture = f"/api/v1/scans/{sha256}/view.png?piece={piece_id}"
    assert desk.client.get(picture).content.startswith(b"\x89PNG")
    assert desk.post(f"/reviews/{piece_id}/claim", person="an").status_code == 200
    desk.clock.forward(61)
    stale = desk.door.signed("late", confirmed=False).headers
    body = {"outcome": "clear", "scan_sha256": sha256}
    assert desk.post(f"/reviews/{piece_id}/release", person="an").status_code == 200
    assert desk.client.post(f"/api/v1/reviews/{piece_id}/claim", headers={**stale, "Idempotency-Key": "c"}).status_code == 200
    answer = desk.client.post(f"/api/v1/reviews/{piece_id}/decision", json=body, headers={**stale, "Idempotency-Key": "d"})
    assert (answer.status_code, answer.json()["code"]) == (403, "step-up-needed")
    assert desk.client.post(f"/api/v1/reviews/{piece_id}/release", headers={**stale, "Idempotency-Key": "r"}).status_code == 200
    assert decide(desk, piece_id, "clear", sha256, person="an").json()["awaiting_second_person"] is True
    assert decide(desk, piece_id, "clear", sha256, person="binh").json()["state"] == "cleared"


def test_who_is_not_cleared_high_enough_cannot_tell_that_it_is_there(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(secrecy=Secrecy.B)
    low = {**desk.door.signed("low", clearance=Secrecy.C).headers, "Idempotency-Key": "k"}
    for path in (f"pieces/{piece_id}", f"scans/{sha256}/view.png?piece={piece_id}", f"scans/{sha256}/heat.png?piece={piece_id}"):
        assert desk.client.get(f"/api/v1/{path}", headers=low).status_code == 404
    for path, body in (("claim", None), ("decision", {"outcome": "reject", "scan_sha256": sha256})):
        assert desk.client.post(f"/api/v1/reviews/{piece_id}/{path}", json=body, headers=low).status_code == 404
    assert state(desk, piece_id) == "held"


def test_who_sees_no_images_is_told_nothing_of_the_content(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(secrecy=Secrecy.C, reasons=(Reason.MODEL_ALARM, Reason.RESTARTED))
    auditor = desk.door.signed("auditor", roles=frozenset({Role.AUDITOR})).headers
    detail = desk.client.get(f"/api/v1/pieces/{piece_id}", headers=auditor)
    assert (detail.json()["restricted"], detail.json()["scan"], detail.json()["reasons"]) == (True, None, ["restarted"])
    seen = detail.text + desk.client.get("/api/v1/reviews", headers=auditor).text
    for secret in (sha256, "model-alarm", "0.7"):
        assert str(secret) not in seen


async def test_the_transaction_itself_refuses_who_may_not_any_more(desk: Desk) -> None:
    """What the door let in may have been disabled, or lost role, clearance or session, before the decision is written."""
    staff = Staff(desk.store, desk.clock, "ha")
    piece_id, sha256 = desk.put_piece(secrecy=Secrecy.B)
    keys = (Once(key=f"race{number}", fingerprint="") for number in itertools.count())
    changes: tuple[dict[str, Any], ...] = ({"disabled": True}, {"roles": frozenset({Role.OPERATOR})}, {"clearance": Secrecy.C})
    request = ReviewRequest(piece_id=piece_id, outcome=ReviewOutcome.CLEAR, scan_sha256=sha256, note="", by=await staff.confirmed("ha"))
    await desk.handlers.claim(piece_id, by=request.by, once=next(keys))
    for change in changes:
        staff.add("ha", **change)
        with pytest.raises(NotPermittedError):
            await desk.handlers.review_decide(request, once=next(keys))
        with pytest.raises(NotPermittedError):
            await desk.handlers.claim(piece_id, by=request.by, once=next(keys))
        staff.add("ha")
    assert request.by.session is not None
    session = request.by.session
    desk.write(lambda uow: uow.drop_session(session))
    with pytest.raises(StepUpNeededError):
        await desk.handlers.review_decide(request, once=next(keys))
    assert desk.events == []
    assert (await desk.handlers.review_decide(replace(request, by=await staff.confirmed("ha")), once=next(keys)))["awaiting_second_person"]


@pytest.mark.parametrize("state", [PieceState.SCANNED, PieceState.HELD])
def test_the_second_person_is_told_nothing_of_the_first_one_at_the_lane(desk: Desk, state: PieceState) -> None:
    piece_id, sha256 = desk.put_piece(secrecy=Secrecy.A, state=state)
    first = OperatorReading(
        piece_id=piece_id, visit=1, at=START, scan_sha256=str(sha256), person="first", decision=OperatorDecision.CLEAR, blind=True
    )
    desk.write(lambda uow: uow.append(first))
    assert "first" not in desk.client.get(f"/api/v1/pieces/{piece_id}").text
    if state is PieceState.HELD:
        decide(desk, piece_id, "clear", sha256, person="chi", note="a book")
        for after in (PieceState.ARRIVED, PieceState.FROZEN):
            desk.write(lambda uow, after=after: uow.change_state(piece_id, after, START, visit=2, lane_id="lane-1"))
            assert "a book" not in desk.client.get(f"/api/v1/pieces/{piece_id}").text


def test_the_figures_of_a_marked_scan_are_given_to_nobody_unrecorded(desk: Desk) -> None:
    piece_id, _ = desk.put_piece(secrecy=Secrecy.A)
    for _ in range(2):
        assert desk.get(f"/pieces/{piece_id}")["scan"]["score"] == 0.7
    rows = desk.store.read(lambda view: view.evidence(piece_id))
    assert [row.evidence.rendering for row in rows if isinstance(row.evidence, ImageViewed)] == [Rendering.FIGURES]


def test_somebody_asks_for_a_second_opinion(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    assert decide(desk, piece_id, "second_opinion", sha256, person="an", note="what is this wire?").json()["state"] == "held"
    held = desk.get("/reviews")["items"][0]
    assert (held["people_needed"], held["reasons"]) == (2, ["model-alarm", "second-opinion"])
    # Whoever looks next forms an opinion without the first one's words.
    assert "wire" not in desk.client.get(f"/api/v1/pieces/{piece_id}").text
    assert decide(desk, piece_id, "clear", sha256, person="binh").json()["awaiting_second_person"] is True
    assert decide(desk, piece_id, "clear", sha256, person="an").json()["state"] == "cleared"


def test_a_piece_that_nobody_announced_counts_as_top_secret(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(announced=False, reasons=(Reason.UNANNOUNCED, Reason.OPAQUE_AREA))
    below = desk.door.signed("below", clearance=Secrecy.B).headers
    assert desk.client.get(f"/api/v1/pieces/{piece_id}", headers=below).status_code == 404
    answer = decide(desk, piece_id, "clear", sha256)
    assert (answer.status_code, answer.json()["code"]) == (403, "level-unknown")
    assert decide(desk, piece_id, "reject", sha256).json()["state"] == "rejected"


def test_without_a_scan_nothing_can_be_cleared(desk: Desk) -> None:
    piece_id, _ = desk.put_piece(scanned=False, reasons=(Reason.RESTARTED,))
    answer = decide(desk, piece_id, "clear", None)
    assert (answer.status_code, answer.json()["code"]) == (403, "no-scan-to-clear")
    assert state(desk, piece_id) == "in_review"
    assert decide(desk, piece_id, "hold", None).json()["state"] == "held"


def test_a_decision_on_another_scan_is_too_late(desk: Desk) -> None:
    piece_id, _ = desk.put_piece()
    answer = decide(desk, piece_id, "clear", "0" * 64)
    assert (answer.status_code, answer.json()["code"]) == (409, "scan-outdated")


def test_the_lease_is_one_persons_and_runs_out(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    body = {"outcome": "clear", "scan_sha256": sha256}
    assert desk.post(f"/reviews/{piece_id}/decision", body).json()["code"] == "wrong-state"
    claimed = desk.post(f"/reviews/{piece_id}/claim", person="an").json()
    assert claimed["lease_s"] == 120
    assert desk.post(f"/reviews/{piece_id}/claim", person="binh").json()["code"] == "lease-taken"
    assert desk.post(f"/reviews/{piece_id}/decision", body, person="binh").json()["code"] == "lease-lost"
    desk.clock.forward(100)
    assert desk.post(f"/reviews/{piece_id}/claim", person="an").status_code == 200
    desk.clock.forward(100)
    assert desk.get("/reviews")["items"][0]["claim"]["person"] == "an"
    desk.clock.forward(21)
    assert desk.post(f"/reviews/{piece_id}/decision", body, person="an").json()["code"] == "lease-lost"
    assert desk.post(f"/reviews/{piece_id}/claim", person="binh").status_code == 200


async def test_a_piece_whose_lease_ran_out_is_held_again_with_its_reasons(desk: Desk) -> None:
    piece_id, _ = desk.put_piece()
    desk.post(f"/reviews/{piece_id}/claim")
    assert await desk.handlers.hold_expired_claims() == 0
    desk.clock.forward(121)
    assert await desk.handlers.hold_expired_claims() == 1
    held = desk.store.read(lambda view: view.piece(piece_id))
    assert held is not None
    assert (held.state, held.reasons) == (PieceState.HELD, ("model-alarm",))


def test_a_rejected_piece_leaves_by_hand(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    assert desk.post(f"/pieces/{piece_id}/hand-over", {"how": "returned", "to": "BĐTW"}).json()["code"] == "wrong-state"
    assert decide(desk, piece_id, "reject", sha256).json()["state"] == "rejected"
    assert [event.status for event in desk.events] == ["rejected"]
    assert Reason.REVIEW_REJECTS in desk.events[-1].reasons
    assert desk.post(f"/pieces/{piece_id}/hand-over", {"how": "handed_over", "to": "CA TP"}).json()["state"] == "handed_over"
    assert desk.events[-1].status == "handed_over"


def test_the_same_decision_twice_has_one_effect(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    desk.post(f"/reviews/{piece_id}/claim")
    body = {"outcome": "clear", "scan_sha256": sha256}
    first = desk.post(f"/reviews/{piece_id}/decision", body, key="same")
    again = desk.post(f"/reviews/{piece_id}/decision", body, key="same")
    assert first.json() == again.json()
    assert len(desk.events) == 1
    other = desk.post(f"/reviews/{piece_id}/decision", body | {"note": "x"}, key="same")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
