"""`/audit`: how the log stands, its facts with their leaves, proofs, and who is told what of them."""

import hashlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pysqlite3.dbapi2
import pytest

from station.audit.checkpoint import open_checkpoint
from station.audit.merkle import verify_inclusion
from station.domain.access import Role
from station.domain.accounts import AccessEvent, AccessFact
from station.domain.clearance import Clearance, Outcome
from station.domain.drift import DriftCause, DriftTrip
from station.domain.freeze import AllClear, FreezeOrigin, LaneFrozen, LaneUnfrozen, freeze_subject
from station.domain.piece import Announcement, Piece, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.reconciled import DayReconciled
from station.domain.review import OperatorDecision, OperatorReading, ReviewDecision, ReviewOutcome
from station.domain.shift import ShiftHandedOver
from station.domain.vault import DestructionCause, DestructionOrder, ImagesDestroyed, ImageViewed, Rendering
from station.ports import auditing
from station.ports.auditing import FACT_TYPES
from station.storage import codec
from station.storage.store import DATABASE_NAME
from tests.support.api_station import LANE, START, Desk
from tests.support.audit_logs import KEYS, seal
from tests.support.certificates import facts_of_a_release, tell

AUDITOR = frozenset({Role.AUDITOR})
PATH = "/api/v1/audit"


def asked(desk: Desk, path: str = "", *, login: str = "soat", roles: frozenset[Role] = AUDITOR, clearance: Secrecy | None = None) -> Any:
    """What the interface tells that person."""
    answer = desk.client.get(
        PATH + path, headers=desk.door.signed(login, roles=roles, clearance=clearance).headers | {"Accept-Language": "en"}
    )
    assert answer.headers["cache-control"] == "no-store"
    return answer


def listed(desk: Desk, query: str = "", **who: Any) -> list[dict[str, Any]]:
    answer = asked(desk, f"/facts?limit=200{query}", **who)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def types(items: Iterable[dict[str, Any]]) -> list[str]:
    return [one["type"] for one in items]


def append(desk: Desk, *facts: Any) -> None:
    desk.write(lambda uow: [uow.append(fact) for fact in facts])


def test_every_type_of_fact_is_in_one_group():
    groups = (
        auditing.ABOUT_PIECES,
        auditing.TOLD_WHEN_DECIDED,
        auditing.NAMING_PIECES,
        auditing.TOLD_WHEN_OVER,
        auditing.OF_A_LEVEL,
        auditing.ABOUT_THE_STATION,
    )
    assert sum(map(len, groups)) == len(FACT_TYPES)
    assert set(FACT_TYPES.values()) == set(codec.KINDS.values())


def test_how_the_log_stands(desk: Desk):
    assert asked(desk).json() == {
        "leaves": desk.store.read(lambda view: view.audit_head()).size,
        "holds": True,
        "newest": None,
        "witnessed": None,
    }
    desk.put_piece()
    witnessed = seal(desk.store)
    desk.put_piece()
    newest = seal(desk.store, witnessed=False)
    desk.put_piece()
    told = asked(desk).json()
    head = desk.store.read(lambda view: view.audit_head())
    assert told["leaves"] == head.size > told["newest"]["size"] > told["witnessed"]["size"]
    assert (told["newest"]["note"], told["newest"]["witnessed_at"]) == (newest, None)
    assert told["witnessed"]["note"] == witnessed
    assert told["witnessed"]["witnessed_at"] is not None
    for one in (told["newest"], told["witnessed"]):
        opened = open_checkpoint(one["note"], KEYS)
        assert opened.by_log
        assert (opened.checkpoint.size, opened.checkpoint.root.hex()) == (one["size"], one["root"])


def test_facts_come_newest_first_page_by_page_with_their_leaves(desk: Desk):
    for _ in range(3):
        desk.put_piece()
    seal(desk.store)
    piece_id, _ = desk.put_piece()
    leaves = desk.store.read(lambda view: view.audit_leaves(start=0, limit=999))
    whole = listed(desk)
    indexes = [one["leaf_index"] for one in whole]
    assert indexes == sorted(indexes, reverse=True)
    assert whole[0]["piece_id"] == piece_id
    paged: list[dict[str, Any]] = []
    query = ""
    for _ in range(99):
        page = asked(desk, f"/facts?limit=7{query}").json()
        assert len(page["items"]) <= 7
        paged += page["items"]
        if page["next"] is None:
            break
        query = f"&after={page['next']}"
    assert paged == whole
    signed = desk.store.read(lambda view: view.newest_checkpoint())
    assert signed is not None
    for one in whole:
        entry = leaves[one["leaf_index"]].commitment
        assert entry is not None
        assert (one["entry"], one["leaf_hash"]) == (entry.hex(), hashlib.sha256(b"\0" + entry).hexdigest())
        assert one["matches"]
        assert one["signed"] == (one["leaf_index"] < signed.size)
    assert {one["signed"] for one in whole} == {True, False}


def test_facts_are_found_by_type_piece_and_time(desk: Desk):
    first, _ = desk.put_piece()
    desk.clock.now += timedelta(hours=2)
    second, _ = desk.put_piece()
    whole = listed(desk)
    by_type = listed(desk, "&type=Scan")
    assert by_type == [one for one in whole if one["type"] == "Scan"]
    assert [one["piece_id"] for one in by_type] == [second, first]
    assert listed(desk, f"&piece_id={first}") == [one for one in whole if one["piece_id"] == first]
    later = quote((START + timedelta(hours=1)).isoformat())
    pieces = {one["piece_id"]: one["piece_id"] for one in listed(desk, f"&since={later}")}
    assert (second in pieces, first in pieces) == (True, False)
    pieces = {one["piece_id"]: one["piece_id"] for one in listed(desk, f"&until={later}")}
    assert (second in pieces, first in pieces) == (False, True)
    assert listed(desk, f"&type=Scan&piece_id={first}&since={later}") == []
    answer = asked(desk, "/facts?type=Nonsense")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    for query in (
        "limit=0",
        "limit=201",
        "after=-1",
        "since=2026-11-21T08:00:00",
        "since=yesterday",
        "since=0001-01-01T00:00:00%2B14:00",
        "until=9999-12-31T23:59:59-01:00",
        f"piece_id={'x' * 65}",
    ):
        assert asked(desk, f"/facts?{query}").status_code == 422


def said_of(piece_id: str, sha256: str) -> tuple[Any, ...]:
    of: dict[str, Any] = {"piece_id": piece_id, "visit": 1, "at": START}
    return (
        OperatorReading(**of, scan_sha256=sha256, person="binh", decision=OperatorDecision.CLEAR, blind=True),
        ReviewDecision(**of, scan_sha256=sha256, person="chi", outcome=ReviewOutcome.CLEAR, note="hóa đơn\u202e"),
        ImageViewed(**of, person="chi", scan_sha256=sha256, rendering=Rendering.STANDARD),
        Clearance(
            **of,
            outcome=Outcome.CLEARED,
            reasons=(),
            scan_sha256=sha256,
            model_sha256=None,
            authority=Authority.OPERATOR,
            by=("chi",),
            policy_sha256="ab" * 32,
        ),
    )


def test_nothing_that_a_second_reader_may_not_know_is_told_before_the_piece_is_decided(desk: Desk):
    """Whoever looks may also be the one who decides next."""
    both = frozenset({Role.AUDITOR, Role.REVIEWER})
    piece_id, sha256 = desk.put_piece(reasons=(Reason.OPAQUE_AREA,))
    append(desk, *said_of(piece_id, str(sha256)))

    def steps(*states: PieceState) -> None:
        desk.write(lambda uow: [uow.change_state(piece_id, state, START) for state in states])

    steps(PieceState.IN_REVIEW, PieceState.HELD)
    confirmed = AccessFact(piece_id="ACCESS", visit=1, at=START, event=AccessEvent.CONFIRMED, person="chi", user_id="u-1", login="chi")
    append(desk, confirmed, replace(confirmed, visit=2, event=AccessEvent.CONFIRMATION_REFUSED))
    undecided = listed(desk, f"&piece_id={piece_id}", login="hai-viec", roles=both, clearance=Secrecy.A)
    assert set(types(undecided)) == {"Announcement", "StateChange", "Identification", "Scan"}
    assert [one["values"] for one in undecided] == [{}] * len(undecided)
    hidden = {
        row.leaf_index for row in desk.store.read(lambda view: view.evidence(piece_id)) if type(row.evidence).__name__ == "ReviewDecision"
    }
    seal(desk.store)
    for leaf in hidden:
        assert asked(desk, f"/leaves/{leaf}/proof", login="hai-viec").status_code == 404
    assert "chi" not in asked(desk, "/facts?limit=200", login="hai-viec").text
    steps(PieceState.IN_REVIEW, PieceState.REJECTED)
    decided = listed(desk, f"&piece_id={piece_id}", login="hai-viec")
    assert len(decided) == len(undecided) + len(said_of("", "")) + 4
    found = {one["type"]: one["values"] for one in decided}
    assert found["ReviewDecision"] == {"scan_sha256": sha256, "person": "chi", "outcome": "clear", "note": "hóa đơn\\u202e"}
    assert found["ModelReading"]["score"] == 0.7
    assert asked(desk, f"/leaves/{min(hidden)}/proof", login="hai-viec").status_code == 200


def test_of_a_marked_piece_an_auditor_who_is_cleared_sees_no_content_and_others_nothing(desk: Desk):
    seen, hidden = desk.new_id(), desk.new_id()
    for piece_id, level in ((seen, Secrecy.C), (hidden, Secrecy.A)):
        desk.write(lambda uow, name=piece_id, level=level: tell(uow, name, facts_of_a_release(name).values(), secrecy=level))
    facts = listed(desk, login="mat", clearance=Secrecy.C)
    assert {one["piece_id"] for one in facts} & {seen, hidden} == {seen}
    of_seen = [one for one in facts if one["piece_id"] == seen]
    assert all(one["restricted"] for one in of_seen)
    values = {one["type"]: one["values"] for one in of_seen}
    assert values["ModelReading"] == values["Scan"] == values["Announcement"] == {}
    assert values["OperatorReading"] == {"person": "Nguyễn Thị An", "decision": "clear"}
    assert "Hà Nội" not in str(facts)
    unknown = Piece(
        piece_id="LOCAL-1-9",
        state=PieceState.ARRIVED,
        visit=1,
        state_since=START,
        announcement=Announcement(piece_id="LOCAL-1-9"),
        announced=False,
        lane_id=LANE,
    )
    desk.write(lambda uow: uow.add_piece(unknown))
    for login, clearance in (("mat", Secrecy.C), ("tuyet-mat", Secrecy.A)):
        told = listed(desk, "&piece_id=LOCAL-1-9", login=login, clearance=clearance)
        assert len(told) == (1 if clearance is Secrecy.A else 0)


def test_what_is_about_the_station_names_nothing_that_may_not_be_known(desk: Desk):
    hidden, _ = desk.put_piece(secrecy=Secrecy.B)
    order = DestructionOrder(cause=DestructionCause.EARLY, person="dung", note='"level":null', policy_sha256="ab" * 32)
    of_images: dict[str, Any] = {"piece_id": "IMAGES", "at": START, "images": 3, "roll_sha256": "cd" * 32, "order": order}
    append(
        desk,
        DriftTrip(
            piece_id=hidden,
            visit=1,
            at=START,
            lane_id=LANE,
            scan_sha256="ab" * 32,
            model_sha256="cd" * 32,
            calibration_sha256="ef" * 32,
            causes=(DriftCause(what="scores overall", measured=1.0, limit=0.5),),
        ),
        ImagesDestroyed(visit=1, key_id="key-of-b", level=Secrecy.B, **of_images),
        ImagesDestroyed(visit=2, key_id="key-of-none", level=None, **of_images),
        DayReconciled(piece_id="TRACKING", visit=1, at=START, day="2026-11-20", ours=4711, theirs=4711, agrees=True),
        ShiftHandedOver(
            piece_id="SHIFT",
            visit=1,
            at=START,
            shift="2026-11-21/1",
            person="lan",
            clearance=Secrecy.B,
            note="words of b",
            held_pieces=1,
            open_claims=0,
            standing_alarms=0,
            frozen_lanes=0,
        ),
        LaneFrozen(
            piece_id=freeze_subject(LANE),
            visit=1,
            at=START,
            lane_id=LANE,
            origin=FreezeOrigin.CONSOLE,
            person="lan",
            suspects=(hidden,),
            on_belts=(hidden,),
        ),
    )
    for login, clearance in (("khong", None), ("b", Secrecy.B), ("a", Secrecy.A)):
        cleared = clearance is not None
        facts = listed(desk, login=login, clearance=clearance)
        text = str(
            [one for one in facts if one["type"] in {"DriftTrip", "ImagesDestroyed", "DayReconciled", "ShiftHandedOver", "LaneFrozen"}]
        )
        (trip,) = [one for one in facts if one["type"] == "DriftTrip"]
        assert trip["piece_id"] == (hidden if cleared else None)
        assert trip["values"] == {"lane_id": LANE, "model_sha256": "cd" * 32, "calibration_sha256": "ef" * 32}
        assert len(listed(desk, f"&piece_id={hidden}&type=DriftTrip", login=login)) == cleared
        assert (hidden in text, "key-of-b" in text, "words of b" in text) == (cleared, cleared, cleared)
        assert ("key-of-none" in text, "2026-11-21/1" in text, "console" in text) == (True, True, True)
        # with its name: a hash may hold any four digits
        assert ("'ours': 4711" in text) == (clearance is Secrecy.A)


def test_that_somebody_gave_the_all_clear_is_told_when_the_freeze_is_over(desk: Desk):
    def freeze(number: int, person: str) -> None:
        of: dict[str, Any] = {"piece_id": freeze_subject(LANE), "visit": number, "at": START, "lane_id": LANE}
        append(
            desk,
            LaneFrozen(**of, origin=FreezeOrigin.CONSOLE, person="lan", suspects=(), on_belts=()),
            AllClear(**of, person=person, user_id="u-1", present=(person,), note="", checklist_sha256="ab" * 32),
        )

    freeze(1, "binh")
    assert "AllClear" not in types(listed(desk))
    freeze(2, "chi")
    told = [one for one in listed(desk) if one["type"] == "AllClear"]
    assert [one["values"] for one in told] == [{"lane_id": LANE, "person": "binh"}]
    append(desk, LaneUnfrozen(piece_id=freeze_subject(LANE), visit=2, at=START, lane_id=LANE, people=("chi", "dung")))
    assert [one["values"]["person"] for one in listed(desk, "&type=AllClear")] == ["chi", "binh"]


def test_a_leaf_is_proved_to_the_newest_checkpoint_that_a_witness_signed_else_to_the_newest(desk: Desk):
    piece_id, _ = desk.put_piece()
    leaf = listed(desk, f"&piece_id={piece_id}")[-1]["leaf_index"]
    answer = asked(desk, f"/leaves/{leaf}/proof")
    assert (answer.status_code, answer.json()["code"]) == (409, "certificate-not-yet")
    first = seal(desk.store)
    # More than a block of the tree.
    desk.write(lambda uow: [tell(uow, name, facts_of_a_release(name).values()) for name in (desk.new_id() for _ in range(20))])
    second = seal(desk.store, witnessed=False)
    newest = listed(desk)[0]["leaf_index"]
    for index, note in ((leaf, first), (newest, second)):
        told = asked(desk, f"/leaves/{index}/proof").json()
        assert told["checkpoint"]["note"] == note
        checkpoint = open_checkpoint(note, KEYS).checkpoint
        entry, path = bytes.fromhex(told["entry"]), [bytes.fromhex(node) for node in told["path"]]
        leaf_hash = hashlib.sha256(b"\0" + entry).digest()
        assert told["leaf_hash"] == leaf_hash.hex()
        assert verify_inclusion(leaf_hash, index, checkpoint.size, path, checkpoint.root)
    for index in (newest + 1, 2**53 - 1):
        assert asked(desk, f"/leaves/{index}/proof").json()["code"] == "not-found"
    for index in ("-1", str(2**53), "x"):
        assert asked(desk, f"/leaves/{index}/proof").status_code in {404, 422}


def test_what_was_changed_is_shown_as_changed_and_not_proved(desk: Desk, tmp_path: Any):
    piece_id, _ = desk.put_piece()
    seal(desk.store)
    scan, step, reading, advice = (
        next(one["leaf_index"] for one in listed(desk, f"&piece_id={piece_id}") if one["type"] == name)
        for name in ("Scan", "StateChange", "Identification", "Announcement")
    )
    with closing(pysqlite3.dbapi2.connect(str(tmp_path / "data" / DATABASE_NAME), isolation_level=None)) as connection:
        for trigger in ("evidence_no_update", "audit_leaf_no_update"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE evidence SET visit = 7 WHERE leaf_index = ?", (scan,))
        connection.execute("UPDATE evidence SET payload = CAST(payload AS BLOB) WHERE leaf_index = ?", (reading,))
        connection.execute("UPDATE evidence SET kind = CAST(kind AS BLOB) WHERE leaf_index = ?", (advice,))
        connection.execute("UPDATE audit_leaf SET commitment = randomblob(32) WHERE leaf_index = ?", (step,))
    told = {one["leaf_index"]: one for one in listed(desk)}
    assert [told[leaf]["matches"] for leaf in (scan, step, reading, advice)] == [False] * 4
    assert told[reading]["values"] == {}
    assert all(one["matches"] for leaf, one in told.items() if leaf not in {scan, step, reading, advice})
    answer = asked(desk, f"/leaves/{step}/proof")
    assert (answer.status_code, answer.json()["code"]) == (409, "leaf-not-provable")
    assert not asked(desk).json()["holds"]


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.AUDITOR, Role.MACHINE}))
def test_it_is_for_auditors(same_desk: Desk, role: Role):
    for path in ("", "/facts", "/leaves/0/proof"):
        assert asked(same_desk, path, login=f"vai-{role}", roles=frozenset({role}), clearance=Secrecy.A).json()["code"] == "not-permitted"
