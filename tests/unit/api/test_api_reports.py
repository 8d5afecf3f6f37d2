"""Reports over the interface: every number lists its evidence, nobody is told of hidden pieces, shifts are handed over by two."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from station.api.report_shapes import EvidenceOut, ReportOut
from station.domain.access import Role
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.calendar import ReportKind
from station.domain.drift import DriftReset, DriftTrip
from station.domain.events import PieceEvent, PieceStatus
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.projection import ProjectedThreat, ProjectionAnswer, ProjectionResult
from station.domain.reasons import Reason
from station.domain.reconciled import TRACKING_SUBJECT, DayReconciled
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision, ReviewOutcome
from station.domain.test_piece import TestPieceRun
from station.domain.vault import ImageViewed, Rendering
from station.ports.store import UnitOfWork
from station.workflow.once import Once
from station.workflow.refusals import NotPermittedError
from tests.support.api_station import LANE, MODEL, START, Desk
from tests.support.staff import Staff

MIDNIGHT = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
"""At the site 2026-11-21 begins."""


HEIGHTS = ("none", "C", "B", "A", "unknown")


def looks(desk: Desk, login: str, clearance: Secrecy | None) -> dict[str, str]:
    return desk.door.signed(login, roles=frozenset({Role.SUPERVISOR}), clearance=clearance).headers


def figures(report: Any) -> dict[tuple[str, str | None, str | None], int]:
    return {(row["figure"], row["by"], row["value"]): row["count"] for row in report["figures"]}


def fill(desk: Desk) -> dict[str, str]:
    """Facts of many kinds about a piece of each level; the pieces' ids by level."""
    levels: dict[str, Secrecy | None] = {"none": None, "C": Secrecy.C, "B": Secrecy.B, "A": Secrecy.A}
    pieces = {name: desk.put_piece(secrecy=level)[0] for name, level in levels.items()}
    pieces["unknown"] = desk.put_piece(announced=False)[0]
    threat = ProjectedThreat(
        scan_sha256="a" * 64, projected_sha256="b" * 64, library_sha256="c" * 64, thing_id="x", threat_class="blade", box_px=(1, 1, 2, 2)
    )

    def work(uow: UnitOfWork) -> None:
        uow.append(
            ProjectionResult(
                piece_id=pieces["none"],
                visit=1,
                at=START,
                lane_id=LANE,
                threat=threat,
                person="op-none",
                answer=ProjectionAnswer.MISSED,
                answered_after_s=1.0,
                revealed_at=START,
                model_sha256=MODEL,
                model_alarmed=True,
            )
        )
        for name, piece_id in pieces.items():
            about: dict[str, Any] = {"piece_id": piece_id, "visit": 1, "at": START + timedelta(seconds=5)}
            said = OperatorDecision.HOLD
            uow.append(OperatorReading(**about, scan_sha256="a" * 64, person=f"op-{name}", decision=said, blind=name == "none"))
            uow.append(ReviewDecision(**about, scan_sha256=None, person=f"rev-{name}", outcome=ReviewOutcome.REJECT, note=f"note-{name}"))
            uow.append(ImageViewed(**about, person=f"viewer-{name}", scan_sha256="a" * 64, rendering=Rendering.HEAT))
            uow.change_state(piece_id, PieceState.IN_REVIEW, START)
            uow.change_state(piece_id, PieceState.REJECTED, START)
            uow.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.HIGH, piece_id, f"detail-{name}", START)
            uow.publish(
                PieceEvent(
                    piece_id=piece_id, visit=1, status=PieceStatus.REJECTED, at=START, lane_id=LANE, secrecy=levels.get(name, Secrecy.A)
                )
            )
        run = TestPieceRun(
            piece_id="TEST-1", visit=1, at=START, lane_id=LANE, passed=False, values=(), not_asked=(), warnings=(), error="x"
        )
        uow.append(run)
        uow.append(DayReconciled(piece_id=TRACKING_SUBJECT, visit=1, at=START, day="2026-11-20", ours=4, theirs=5, agrees=False))
        tripped: dict[str, Any] = {"piece_id": pieces["A"], "visit": 1, "at": START, "model_sha256": MODEL, "calibration_sha256": "e" * 64}
        uow.append(DriftTrip(**tripped, lane_id=LANE, scan_sha256="scan-A", causes=()))
        uow.append(DriftReset(**tripped, person="chief", note="note-A"))

    desk.write(work)
    return pieces


async def test_every_number_lists_exactly_its_evidence_and_tells_of_nothing_hidden(desk: Desk) -> None:
    pieces = fill(desk)
    app = desk.app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for clearance, seen in ((Secrecy.C, HEIGHTS[:2]), (Secrecy.A, HEIGHTS)):
            report = await look(client, looks(desk, f"chief-{clearance}".lower(), clearance), pieces, seen)
    # The statistics of readers are those of the page that counts them day by day.
    counted = desk.get("/performance?first=2026-11-21&last=2026-11-21")
    names = ("name", "projections", "hits", "hit_rate", "images", "false_alarms", "false_alarm_rate", "d_a")
    readers = [{name: one[name] for name in names} for one in report["readers"]]
    assert readers == [{name: one[name] for name in names} for one in (*counted["people"], *counted["models"])]


async def look(client: httpx.AsyncClient, headers: dict[str, str], pieces: dict[str, str], seen: Sequence[str]) -> Any:
    answer = await client.get("/api/v1/reports/shift", headers=headers)
    report = ReportOut.model_validate_json(answer.content).model_dump(mode="json")
    found = figures(report)
    assert found["pieces.held", None, None] == found["pieces.rejected", None, None] == found["decisions.review", None, None] == len(seen)
    assert found["images.views", None, None] == found["tracking.events", None, None] == len(seen)
    assert (found["model.readings", None, None], found["alarms.raised", None, None]) == (1, 5)
    assert (found["model.drift-trips", None, None], found["model.drift-resets", None, None]) == (1, 1)
    assert ("pieces.held", "reason", "withheld") not in found or len(seen) > 1
    assert (found["exercises.misses", "person", "op-none"], found["model.hits", None, None], found["exercises.plain", None, None]) == (
        1,
        1,
        0,
    )
    assert (found["test-piece.runs", "result", "failed"], found["tracking.days-compared", "agreement", "differs"]) == (1, 1)
    assert report["open"]["counts"] == {"held_pieces": len(seen), "open_claims": 0, "standing_alarms": 5, "frozen_lanes": 0}
    assert {piece["piece_id"] for piece in report["open"]["pieces"]} == {pieces[name] for name in seen}
    told = answer.text
    for row in report["figures"]:
        if row["count"] == 0 and row["section"] != "shifts":
            continue
        items: list[Any] = []
        after = ""
        while True:
            page = EvidenceOut.model_validate_json((await client.get(f"{row['evidence']}&limit=4{after}", headers=headers)).content)
            items += page.items
            told += str(page.model_dump())
            if page.next is None:
                break
            after = f"&after={page.next}"
        assert len(items) == len({(item.source, item.number) for item in items}) == row["count"], row
    hidden = [name for name in HEIGHTS if name not in seen]
    secrets = [pieces[name] for name in hidden] + [
        f"{what}-{name}" for name in hidden for what in ("op", "rev", "viewer", "note", "detail", "scan")
    ]
    # The day's number of all events, beside those of the pieces that may be seen, would say how many there are of the others.
    assert ("'ours': 4" in told) == (seen == HEIGHTS)
    assert [secret for secret in secrets if secret in told] == []
    assert "note-C" not in told
    return report


def test_held_on_one_day_and_released_on_the_next(desk: Desk) -> None:
    piece_id = desk.new_id()

    def work(uow: UnitOfWork) -> None:
        before = MIDNIGHT - timedelta(microseconds=1)
        uow.announce(Announcement(piece_id=piece_id, kind="packet"), before)
        for state, at in (
            (PieceState.ARRIVED, before),
            (PieceState.HELD, before),
            (PieceState.ARRIVED, MIDNIGHT),
            (PieceState.SCANNING, MIDNIGHT),
            (PieceState.SCANNED, MIDNIGHT),
            (PieceState.CLEARED, MIDNIGHT),
            (PieceState.DISINFECTING, MIDNIGHT),
            (PieceState.DISINFECTED, MIDNIGHT),
            # The clock jumped back: the fact belongs to the day that it carries.
            (PieceState.RELEASED, before),
        ):
            uow.change_state(piece_id, state, at, lane_id="lane-2" if at == MIDNIGHT else LANE, visit=1)

    desk.write(work)
    first, second = (figures(desk.get(f"/reports/day?date=2026-11-{day}")) for day in (20, 21))
    month = figures(desk.get("/reports/month?date=2026-11-20"))
    astray = desk.get("/reports/day/evidence?date=2026-11-21&figure=pieces.held&after=0.0")
    assert astray == {"items": [], "next": None}
    names = ("pieces.held", "pieces.arrived", "pieces.cleared", "pieces.released")
    assert [[found[name, None, None] for name in names] for found in (first, second, month)] == [[1, 1, 0, 1], [0, 1, 1, 0], [1, 2, 1, 1]]
    assert (month["pieces.arrived", "lane", LANE], month["pieces.arrived", "lane", "lane-2"]) == (1, 1)


def test_nobody_learns_a_first_readers_decision_from_a_report(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(secrecy=Secrecy.C)

    def work(uow: UnitOfWork) -> None:
        about: dict[str, Any] = {"piece_id": piece_id, "visit": 1, "at": START, "scan_sha256": sha256}
        uow.append(OperatorReading(**about, person="first-at-lane", decision=OperatorDecision.CLEAR, blind=True))
        uow.change_state(piece_id, PieceState.IN_REVIEW, START)
        uow.append(ReviewDecision(piece_id=piece_id, visit=1, at=START, scan_sha256=sha256, person="first", outcome=ReviewOutcome.CLEAR))
        uow.append(ImageViewed(piece_id=piece_id, visit=1, at=START, person="first", scan_sha256=str(sha256), rendering=Rendering.STANDARD))
        uow.change_state(piece_id, PieceState.HELD, START, reasons=["awaiting-second-person"])

    desk.write(work)
    answer = desk.client.get("/api/v1/reports/shift")
    assert "first" not in answer.text.replace("first_decision", "")
    assert "awaiting-second-person" not in answer.text
    assert figures(answer.json())["pieces.held", None, None] == 1
    desk.write(
        lambda uow: (uow.change_state(piece_id, PieceState.IN_REVIEW, START), uow.change_state(piece_id, PieceState.REJECTED, START))
    )
    told = figures(desk.get("/reports/shift"))
    assert (told["decisions.review", "person", "first"], told["decisions.operator", "person", "first-at-lane"]) == (1, 1)


def test_nobody_learns_from_a_report_what_was_said_at_the_lane_of_a_piece_that_takes_two(desk: Desk) -> None:
    """As on the piece's page: a marked piece, and one that is held for what a device found."""
    marked, _ = desk.put_piece(secrecy=Secrecy.A, state=PieceState.SCANNED)
    found, _ = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    plain, _ = desk.put_piece()
    about: dict[str, Any] = {"visit": 1, "at": START, "scan_sha256": "a" * 64, "decision": OperatorDecision.CLEAR, "blind": True}

    def work(uow: UnitOfWork) -> None:
        for piece_id, person in ((marked, "first"), (found, "second"), (plain, "third")):
            uow.append(OperatorReading(piece_id=piece_id, person=person, **about))

    def people() -> set[str | None]:
        return {value for figure, by, value in figures(desk.get("/reports/shift")) if (figure, by) == ("decisions.operator", "person")}

    desk.write(work)
    assert people() == {"third"}
    for state in (PieceState.HELD, PieceState.ARRIVED, PieceState.FROZEN):
        desk.write(lambda uow, state=state: uow.change_state(marked, state, START))
        assert people() == {"third"}
    desk.write(lambda uow: uow.change_state(marked, PieceState.HANDED_OVER, START))
    assert people() == {"first", "third"}


def test_a_shift_is_handed_over_by_one_and_taken_over_by_another(desk: Desk) -> None:
    desk.put_piece()
    desk.put_piece(secrecy=Secrecy.A)
    shift: dict[str, Any] = {"date": "2026-11-21", "shift": 2}
    low = looks(desk, "low", None)
    assert desk.get("/reports/shift")["hand_over"] is None
    assert desk.post("/reports/shift/take-over", shift | {"handed_over_at": START.isoformat()}).json()["code"] == "shift-not-handed-over"
    first = desk.post("/reports/shift/hand-over", shift | {"note": "first words"}, person="lan")
    assert first.status_code == 201
    desk.clock.forward(60)
    given = desk.post("/reports/shift/hand-over", shift | {"note": "=1+1 <b>watch lane 1</b>"}, person="lan").json()
    told = desk.get("/reports/shift")["hand_over"]
    assert (told["person"], told["note"], told["standing"]["held_pieces"]) == ("lan", "=1+1 <b>watch lane 1</b>", 2)
    hidden = desk.client.get("/api/v1/reports/shift", headers=low).json()
    assert (hidden["hand_over"]["person"], hidden["hand_over"]["note"], hidden["hand_over"]["standing"]) == ("lan", None, None)
    listed = next(row["evidence"] for row in hidden["figures"] if row["figure"] == "shifts.handed-over")
    assert "watch lane" not in desk.client.get(listed, headers=low).text
    for person, body, code in (
        ("lan", given, "shift-same-person"),
        ("LAN", given, "shift-same-person"),
        ("minh", first.json(), "shift-not-handed-over"),
    ):
        answer = desk.post("/reports/shift/take-over", shift | {"handed_over_at": body["handed_over_at"]}, person=person)
        assert answer.json()["code"] == code
    asked = shift | {"handed_over_at": given["handed_over_at"]}
    unread = desk.client.post("/api/v1/reports/shift/take-over", json=asked, headers=low | {"Idempotency-Key": "low"})
    assert (unread.status_code, unread.json()["code"]) == (403, "shift-words-hidden")
    taken = [desk.post("/reports/shift/take-over", asked, person="minh", key="once") for _ in range(2)]
    assert [answer.json() for answer in taken] == [
        given | {"taken_over_by": "minh", "taken_over_at": "2026-11-21T08:01:00Z"},
    ] * 2
    for path, body in (("hand-over", shift | {"note": "more"}), ("take-over", asked)):
        assert desk.post(f"/reports/shift/{path}", body, person="hoa").json()["code"] == "shift-taken-over"
    found = desk.get("/reports/shift")
    assert figures(found)["shifts.taken-over", "person", "minh"] == 1
    desk.clock.forward(20 * 3600)
    late = desk.post("/reports/shift/hand-over", shift | {"note": ""})
    assert (late.status_code, late.json()["code"]) == (403, "period-refused")
    assert desk.get("/reports/shift?date=2026-11-21&shift=2")["open"] is None


async def test_the_transaction_itself_refuses_who_may_hand_no_shift_over_any_more(desk: Desk) -> None:
    """What the door let in may have been disabled, or lost its role, before the hand-over is written."""
    staff, shift = Staff(desk.store, desk.clock, "ha", "bo"), desk.reports.calendar.period(ReportKind.SHIFT, START)
    ha, bo = staff.caller("ha"), staff.caller("bo")
    given = await desk.handlers.hand_shift_over(shift, by=ha, note="", once=Once(key="given", fingerprint=""))
    at = datetime.fromisoformat(str(given["handed_over_at"]))
    changes: tuple[dict[str, Any], ...] = ({"disabled": True}, {"roles": frozenset({Role.OPERATOR})})
    for number, change in enumerate(changes):
        for name in ("ha", "bo"):
            staff.add(name, **change)
        with pytest.raises(NotPermittedError):
            await desk.handlers.hand_shift_over(shift, by=ha, note="", once=Once(key=f"hand{number}", fingerprint=""))
        with pytest.raises(NotPermittedError):
            await desk.handlers.take_shift_over(shift, by=bo, handed_over_at=at, once=Once(key=f"take{number}", fingerprint=""))
    assert figures(desk.get("/reports/shift"))["shifts.handed-over", None, None] == 1


def test_what_cannot_be_reported_is_refused_and_what_comes_later_is_in_no_earlier_list(desk: Desk) -> None:
    for path, status in (
        ("day?date=2026-11-22", 403),
        ("shift?date=2026-11-21&shift=3", 403),
        ("day?date=2026-11-20&shift=1", 403),
        ("day?date=2026-13-40", 422),
        ("day?date=0001-01-01", 403),
        ("week", 422),
        ("day/evidence?figure=nothing", 404),
        ("day/evidence?figure=pieces.held&by=person", 404),
        ("day/evidence?figure=pieces.held&snapshot=1.2.3", 404),
        ("day/evidence?figure=pieces.held&snapshot=1.2.3.999999999999999999", 404),
        ("day/evidence?figure=pieces.held&after=x", 404),
    ):
        answer = desk.client.get(f"/api/v1/reports/{path}")
        assert (answer.status_code, set(answer.json()["titles"])) == (status, {"vi", "en"}), path
    for path in ("by=lane&value=%00%27%22%E2%80%AE", "after=99999999999999999.999999999999999999"):
        answer = desk.client.get(f"/api/v1/reports/day/evidence?figure=pieces.held&{path}")
        assert (answer.status_code, answer.json()) == (200, {"items": [], "next": None})
    assert all(row["count"] == 0 for row in desk.get("/reports/year?date=2000-01-01")["figures"])

    answer = desk.client.get("/api/v1/reports/month/xlsx?date=2026-11-01")
    assert answer.content.startswith(b"PK")
    assert answer.headers["content-disposition"] == 'attachment; filename="kt1-month-2026-11.xlsx"'
    assert answer.headers["cache-control"] == "no-store"

    desk.put_piece()
    row = next(row for row in desk.get("/reports/day")["figures"] if row["figure"] == "pieces.held")
    desk.put_piece()
    assert len(desk.client.get(row["evidence"]).json()["items"]) == row["count"] == 1
    assert figures(desk.get("/reports/day"))["pieces.held", None, None] == 2
