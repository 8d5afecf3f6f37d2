"""What people do about alarms: who has seen one, and who accounts for what escaped."""

from station.domain.access import Role
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.escape import ESCAPE_SUBJECT, EscapeSettled
from station.domain.piece import Secrecy
from station.ports.store import UnitOfWork
from tests.support.api_station import LANE, START, Desk


def test_an_alarm_is_acknowledged_by_a_person(desk: Desk) -> None:
    alarm = desk.write(lambda uow: uow.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, LANE, "lamp 2", START))
    assert [item["code"] for item in desk.get("/alarms")["items"]] == ["lamp"]
    assert desk.post(f"/alarms/{alarm.alarm_id}/acknowledge", person="chi").json()["acknowledged_by"] == "chi"
    assert desk.post("/alarms/999/acknowledge").status_code == 404
    desk.write(lambda uow: uow.clear_alarm(AlarmCode.LAMP, LANE, START))
    assert desk.get("/alarms")["items"] == []
    assert len(desk.get("/alarms?all=true")["items"]) == 1


def test_however_many_alarms_there_are_the_most_urgent_are_listed(desk: Desk) -> None:
    def alarm(priority: AlarmPriority, subject: str, *, seen: bool = False, over: bool = False) -> None:
        def work(uow: UnitOfWork) -> None:
            raised = uow.raise_alarm(AlarmCode.TRACKING_BLOCKED, priority, subject, "", START)
            if seen and raised.alarm_id is not None:
                uow.acknowledge_alarm(raised.alarm_id, "chi", START)
            if over:
                uow.clear_alarm(AlarmCode.TRACKING_BLOCKED, subject, START)

        desk.write(work)

    alarm(AlarmPriority.CRITICAL, "1")
    alarm(AlarmPriority.CRITICAL, "2", over=True)
    alarm(AlarmPriority.CRITICAL, "3", seen=True)
    for number in range(4, 9):
        alarm(AlarmPriority.HIGH, str(number))
    listed = desk.get("/alarms?limit=7")
    assert [item["subject"] for item in listed["items"]] == ["1", "8", "7", "6", "5", "4", "2"]
    assert (listed["present"], listed["unacknowledged"]) == (8, 7)
    assert [item["subject"] for item in desk.get("/alarms?limit=8")["items"]][-1] == "3"
    assert [item["subject"] for item in desk.get("/alarms?all=true&limit=3")["items"]] == ["8", "7", "6"]


def escape(desk: Desk, subject: str) -> int:
    alarm = desk.write(lambda uow: uow.raise_alarm(AlarmCode.ESCAPED, AlarmPriority.CRITICAL, subject, "", START))
    assert alarm.alarm_id is not None
    return alarm.alarm_id


def supervisor(desk: Desk) -> None:
    """`lan` is one."""
    desk.door.signed("lan", roles=frozenset({Role.SUPERVISOR}))


def settlements(desk: Desk, piece_id: str) -> list[EscapeSettled]:
    return [row.evidence for row in desk.store.read(lambda view: view.evidence(piece_id)) if isinstance(row.evidence, EscapeSettled)]


def test_an_escape_that_was_seen_stands_until_a_supervisor_accounts_for_it(desk: Desk) -> None:
    supervisor(desk)
    piece_id, _ = desk.put_piece()
    first, second = escape(desk, piece_id), escape(desk, f"{LANE} #1")
    for one in (first, second):
        assert desk.post(f"/alarms/{one}/acknowledge", person="chi").json()["acknowledged_by"] == "chi"
    assert [item["alarm_id"] for item in desk.get("/alarms")["items"]] == [second, first]
    for note in ("", "x" * 1001):
        assert desk.post(f"/alarms/{first}/settle", {"note": note}, person="lan").status_code == 422
    assert desk.post(f"/alarms/{first}/settle", {"note": "  "}, person="lan").json()["code"] == "refused"
    assert settlements(desk, piece_id) == []
    done = desk.post(f"/alarms/{first}/settle", {"note": "found in the mail car"}, person="lan")
    assert (done.status_code, done.json()["settled_by"]) == (200, "lan")
    assert [item["alarm_id"] for item in desk.get("/alarms")["items"]] == [second]
    (fact,) = settlements(desk, piece_id)
    assert (fact.visit, fact.subject, fact.person, fact.note) == (1, piece_id, "lan", "found in the mail car")
    assert desk.post(f"/alarms/{first}/settle", {"note": "again"}, person="lan").json()["code"] == "conflict"
    assert desk.post(f"/alarms/{second}/settle", {"note": "the police look for it"}, person="lan").status_code == 200
    assert desk.get("/alarms")["items"] == []
    (fact,) = settlements(desk, ESCAPE_SUBJECT)
    assert (fact.visit, fact.subject) == (second, f"{LANE} #1")


def test_who_settles_an_escape_has_seen_it(desk: Desk) -> None:
    supervisor(desk)
    alarm = escape(desk, f"{LANE} #1")
    desk.post(f"/alarms/{alarm}/settle", {"note": "it lies in my office"}, person="lan")
    (item,) = desk.get("/alarms?all=true")["items"]
    assert (item["acknowledged_by"], item["cleared_at"] is not None) == ("lan", True)


def test_no_word_ends_an_alarm_with_a_cause_and_nobody_settles_what_they_may_not_see(desk: Desk) -> None:
    supervisor(desk)
    desk.door.signed("minh", roles=frozenset({Role.SUPERVISOR}), clearance=Secrecy.C)
    desk.door.signed("chi", roles=frozenset({Role.REVIEWER}))
    lamp = desk.write(lambda uow: uow.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, LANE, "", START))
    marked, _ = desk.put_piece(secrecy=Secrecy.B)
    alarm = escape(desk, marked)
    note = {"note": "found"}
    assert desk.post(f"/alarms/{lamp.alarm_id}/settle", note, person="lan").json()["code"] == "refused"
    assert desk.post("/alarms/999/settle", note, person="lan").status_code == 404
    assert desk.post(f"/alarms/{alarm}/settle", note, person="minh").json()["code"] == "not-permitted"
    assert desk.post(f"/alarms/{alarm}/settle", note, person="chi").json()["code"] == "not-permitted"
    assert [(item["acknowledged_at"], item["cleared_at"]) for item in desk.get("/alarms")["items"]] == [(None, None)] * 2
    assert settlements(desk, marked) == []
