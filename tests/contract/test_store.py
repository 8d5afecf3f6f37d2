"""What every caller of the store may rely on."""

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import update

from station.audit import merkle
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.errors import ConflictError, NotFoundError, StoreError, TransitionError
from station.domain.events import PieceStatus
from station.domain.piece import Announcement, Piece, PieceState, Secrecy, Urgency
from station.domain.scan import ImageMatch
from station.ports.store import Claim, Store
from station.storage import tables
from station.storage.migrations import HEAD, config_for
from station.storage.store import SqliteReader, SqliteStore
from station.storage.tables import metadata
from tests.support.store_facts import announcement, arrive, at, check_audit, event, opened, permit, scan


@pytest.fixture(params=[True, False], ids=["group-commit", "inline"])
def store(tmp_path: Path, request: pytest.FixtureRequest):
    with opened(tmp_path / "data", group_commit=request.param) as opened_store:
        yield opened_store


def written(store: SqliteStore, work: Any):
    return store.write(work).result(10)


def test_the_store_is_a_store(store: SqliteStore):
    port: Store = store
    assert port.healthy()


async def test_a_result_can_be_awaited(store: SqliteStore):
    piece = await store.write(lambda unit: unit.announce(announcement("P1"), at()))
    assert piece == Piece(
        piece_id="P1", state=PieceState.ANNOUNCED, visit=0, state_since=at(), announcement=announcement("P1"), announced=True
    )
    assert store.read(lambda view: view.piece("P1")) == piece


def test_a_change_is_seen_by_the_next_read(store: SqliteStore):
    arrive(store, "P1")
    piece = store.read(lambda view: view.piece("P1"))
    assert (piece.state, piece.visit, piece.lane_id, piece.row_version) == (PieceState.ARRIVED, 1, "1", 1)
    assert [(step.before, step.after) for step in store.read(lambda view: view.history("P1"))] == [
        (None, PieceState.ANNOUNCED),
        (PieceState.ANNOUNCED, PieceState.ARRIVED),
    ]
    assert check_audit(store) == 3


def test_a_raising_work_changes_nothing(store: SqliteStore):
    arrive(store, "P1")

    def work(unit: Any) -> Any:
        unit.change_state("P1", PieceState.SCANNING, at(2))
        unit.append(permit("P1", 1))
        unit.publish(event("P1"))
        unit.next_number("tag")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        written(store, work)
    assert store.read(lambda view: (view.piece("P1").state, view.evidence("P1"), view.outbox_depth())) == (
        PieceState.ARRIVED,
        [],
        (0, 0, 0),
    )
    assert written(store, lambda unit: unit.next_number("tag")) == 1
    assert check_audit(store) == 3
    assert store.healthy()


def test_a_transition_outside_the_table_changes_nothing(store: SqliteStore):
    arrive(store, "P1")
    with pytest.raises(TransitionError):
        written(store, lambda unit: unit.change_state("P1", PieceState.RELEASED, at(2)))
    with pytest.raises(NotFoundError):
        written(store, lambda unit: unit.change_state("P2", PieceState.ARRIVED, at(2)))
    assert store.read(lambda view: view.piece("P1")).state is PieceState.ARRIVED
    assert check_audit(store) == 3


def test_reasons_are_those_of_the_last_hold(store: SqliteStore):
    arrive(store, "P1")
    written(store, lambda unit: unit.change_state("P1", PieceState.HELD, at(2), reasons=["track-lost"]))
    written(store, lambda unit: unit.change_state("P1", PieceState.IN_REVIEW, at(3)))
    assert store.read(lambda view: view.piece("P1")).reasons == ("track-lost",)
    written(store, lambda unit: unit.change_state("P1", PieceState.HELD, at(4), reasons=["operator-holds", "purged"]))
    assert store.read(lambda view: view.piece("P1")).reasons == ("operator-holds", "purged")


def test_announcing_is_idempotent_until_the_piece_arrives(store: SqliteStore):
    written(store, lambda unit: unit.announce(announcement("P1"), at()))
    assert written(store, lambda unit: unit.announce(announcement("P1"), at(5))).row_version == 0
    changed = written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
    assert (changed.secrecy, changed.row_version) == (Secrecy.B, 1)
    written(store, lambda unit: unit.change_state("P1", PieceState.ARRIVED, at(6), visit=1))
    assert written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(7))).state is PieceState.ARRIVED
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.announce(announcement("P1"), at(8)))


def test_an_unannounced_piece_becomes_known_once(store: SqliteStore):
    piece = Piece(
        piece_id="LOCAL-1-1",
        state=PieceState.ARRIVED,
        visit=1,
        state_since=at(),
        announcement=Announcement(piece_id="LOCAL-1-1"),
        announced=False,
    )
    assert written(store, lambda unit: unit.add_piece(piece)) == piece
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.add_piece(piece))
    assert store.read(lambda view: view.piece("LOCAL-1-1")) == piece


def test_evidence_comes_back_in_order_and_by_visit(store: SqliteStore):
    rows = [written(store, lambda unit, n=n: unit.append(permit("P1", n, visit=1 + n % 2))) for n in range(5)]
    assert [row.leaf_index for row in rows] == [0, 1, 2, 3, 4]
    assert store.read(lambda view: view.evidence("P1")) == rows
    assert store.read(lambda view: view.evidence("P1", visit=2)) == [rows[1], rows[3]]
    assert store.read(lambda view: view.evidence("P2")) == []


def test_many_pieces_are_read_at_once_as_one_by_one(store: SqliteStore):
    for piece_id in ("P1", "P2", "P3"):
        arrive(store, piece_id)
    for piece_id, visit in (("P2", 1), ("P1", 1), ("P1", 2), ("P2", 1), ("P1", 2)):
        written(store, lambda unit, one=piece_id, visit=visit: unit.append(permit(one, visit, visit=visit)))
    for state, visit in ((PieceState.HELD, None), (PieceState.ARRIVED, 2)):
        written(store, lambda unit, state=state, visit=visit: unit.change_state("P1", state, at(3), visit=visit))
    lease = Claim(piece_id="P2", person="an", expires_at=at(9))
    written(store, lambda unit: unit.set_claim(lease, "P2"))
    asked = ("P1", "P2", "P3", "unknown")
    assert store.read(lambda view: view.present_evidence(asked)) == {
        "P1": store.read(lambda view: view.evidence("P1", visit=2)),
        "P2": store.read(lambda view: view.evidence("P2", visit=1)),
    }
    assert store.read(lambda view: view.present_evidence(["P2"])).keys() == {"P2"}
    assert store.read(lambda view: view.claims(asked)) == {"P2": lease}
    assert store.read(lambda view: (view.present_evidence([]), view.claims([]))) == ({}, {})


def test_an_image_match_stands_where_its_new_scan_stands(store: SqliteStore):
    match = ImageMatch(cleared_scan_sha256="a" * 64, new_scan_sha256="b" * 64, distance=float("nan"), bound=0.1)
    with pytest.raises(NotFoundError):
        written(store, lambda unit: unit.append(match))
    written(store, lambda unit: unit.append(scan("P1", "b" * 64, visit=2)))
    row = written(store, lambda unit: unit.append(match))
    assert (row.piece_id, row.visit) == ("P1", 2)


def test_leaf_contents_are_rfc_8785(store: SqliteStore):
    written(store, lambda unit: unit.append(scan("Thư-1", "b" * 64)))
    (fact,) = store.read(lambda view: view.audit_facts(start=0, limit=5))
    assert rfc8785.dumps(json.loads(fact.content)) == fact.content


def test_the_head_is_that_of_the_audit_packages_tree(store: SqliteStore):
    for number in range(11):
        written(store, lambda unit, n=number: unit.append(permit("P1", n)))
    nodes: dict[tuple[int, int], bytes] = {}
    leaves = store.read(lambda view: view.audit_leaves(start=0, limit=99))
    for leaf in leaves:
        new = merkle.append(leaf.leaf_index, merkle.leaf_hash(leaf.commitment), lambda level, index: nodes[level, index])
        nodes.update({(node.level, node.index): node.hash for node in new})
    head = store.read(lambda view: view.audit_head())
    assert merkle.root(head.size, lambda level, index: nodes[level, index]) == head.root


def test_facts_and_leaves_cannot_be_changed(store: SqliteStore):
    written(store, lambda unit: unit.append(permit("P1", 1)))
    for statement in (
        "UPDATE evidence SET payload = '{}'",
        "DELETE FROM evidence",
        "UPDATE audit_leaf SET commitment = x'00'",
        "DELETE FROM audit_leaf",
    ):
        with pytest.raises(StoreError, match="append-only"):
            written(store, lambda unit, statement=statement: unit._connection.exec_driver_sql(statement))
    assert check_audit(store) == 1
    assert store.healthy()


def test_queries_cannot_write(store: SqliteStore):
    with pytest.raises(StoreError):
        store.read(lambda view: view._connection.exec_driver_sql("DELETE FROM value"))


def test_queues_put_urgent_and_marked_first_and_page_by_cursor(store: SqliteStore):
    marks = [(None, None), (Secrecy.C, None), (None, Urgency.EXPRESS), (Secrecy.A, Urgency.TIMED)]
    for number in range(8):
        secrecy, urgency = marks[number % 4]
        written(store, lambda unit, n=number, s=secrecy, u=urgency: unit.announce(announcement(f"P{n}", secrecy=s, urgency=u), at(n)))
    expected = ["P3", "P7", "P2", "P6", "P1", "P5", "P0", "P4"]
    assert [piece.piece_id for piece in store.read(lambda view: view.pieces())] == expected
    first = store.read(lambda view: view.pieces(states=[PieceState.ANNOUNCED], limit=3))
    rest = store.read(lambda view: view.pieces(states=[PieceState.ANNOUNCED], after=first[-1].piece_id))
    assert [piece.piece_id for piece in first + rest] == expected
    assert store.read(lambda view: view.pieces(states=[PieceState.HELD])) == []
    with pytest.raises(NotFoundError):
        store.read(lambda view: view.pieces(after="nobody"))


def test_recent_outcomes_of_a_lane(store: SqliteStore):
    for number in range(3):
        arrive(store, f"P{number}")
        written(store, lambda unit, n=number: unit.change_state(f"P{n}", PieceState.HELD, at(10 - n), reasons=["purged"]))
    arrive(store, "P9")
    assert [piece.piece_id for piece in store.read(lambda view: view.recent(lane_id="1", limit=2))] == ["P0", "P1"]
    assert store.read(lambda view: view.recent(lane_id="2", limit=2)) == []


def test_leases(store: SqliteStore):
    arrive(store, "P1")
    lease = Claim(piece_id="P1", person="an", expires_at=at(60))
    written(store, lambda unit: unit.set_claim(lease, "P1"))
    assert store.read(lambda view: view.claim("P1")) == lease
    with pytest.raises(StoreError):
        written(store, lambda unit: unit.set_claim(Claim(piece_id="P2", person="an", expires_at=at()), "P2"))
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.set_claim(lease, "P2"))
    written(store, lambda unit: unit.set_claim(None, "P1"))
    assert store.read(lambda view: view.claim("P1")) is None


def test_alarms_live_until_cleared_and_seen(store: SqliteStore):
    def raised(seconds: float) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.HIGH, "uv1", "lamp 2", at(seconds)))

    first = raised(0)
    assert raised(5) == first
    assert written(store, lambda unit: unit.clear_alarm(AlarmCode.LAMP, "uv1", at(6)))
    assert not written(store, lambda unit: unit.clear_alarm(AlarmCode.LAMP, "uv1", at(6.5)))
    assert [alarm.cleared_at for alarm in store.read(lambda view: view.alarms())] == [at(6)]
    seen = written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "an", at(7)))
    assert (seen.acknowledged_by, seen.acknowledged_at) == ("an", at(7))
    assert written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "binh", at(8))) == seen
    assert store.read(lambda view: view.alarms()) == []
    second = raised(9)
    assert second.alarm_id != first.alarm_id
    assert store.read(lambda view: view.alarms(active_only=False)) == [second, seen]
    with pytest.raises(NotFoundError):
        written(store, lambda unit: unit.acknowledge_alarm(99, "an", at()))


def test_a_standing_alarm_takes_the_newest_detail_and_the_highest_priority(store: SqliteStore):
    def raised(priority: AlarmPriority, detail: str) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, priority, "uv1", detail, at(5)))

    first = written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, AlarmPriority.MEDIUM, "uv1", "lamp 2", at()))
    steps = [
        (AlarmPriority.MEDIUM, "lamp 3", AlarmPriority.MEDIUM, "lamp 3"),
        (AlarmPriority.HIGH, "", AlarmPriority.HIGH, "lamp 3"),
        (AlarmPriority.LOW, "lamp 4", AlarmPriority.HIGH, "lamp 4"),
    ]
    for priority, detail, *becomes in steps:
        stands = raised(priority, detail)
        assert [stands.priority, stands.detail] == becomes
        assert (stands.alarm_id, stands.raised_at) == (first.alarm_id, at())
        assert store.read(lambda view: view.alarms(active_only=False)) == [stands]


def test_an_acknowledged_alarm_calls_anew_only_when_its_priority_rises(store: SqliteStore):
    def raised(priority: AlarmPriority, detail: str, seconds: float) -> Any:
        return written(store, lambda unit: unit.raise_alarm(AlarmCode.LAMP, priority, "uv1", detail, at(seconds)))

    first = raised(AlarmPriority.MEDIUM, "lamp 2", 0)
    written(store, lambda unit: unit.acknowledge_alarm(first.alarm_id, "an", at(1)))
    for priority in (AlarmPriority.MEDIUM, AlarmPriority.LOW):
        seen = raised(priority, f"lamp 3, {priority}", 2)
        assert (seen.alarm_id, seen.acknowledged_by, seen.detail) == (first.alarm_id, "an", f"lamp 3, {priority}")
    second = raised(AlarmPriority.CRITICAL, "lamps 2 and 3", 3)
    assert (second.priority, second.detail, second.raised_at) == (AlarmPriority.CRITICAL, "lamps 2 and 3", at(3))
    assert second.acknowledged_at is None
    before = replace(seen, cleared_at=at(3))
    assert store.read(lambda view: view.alarms(active_only=False)) == [second, before]
    assert store.read(lambda view: view.alarms()) == [second]


def test_values_and_answered_requests(store: SqliteStore):
    assert store.read(lambda view: view.value("test-piece")) is None
    for text in ("một", "hai"):
        written(store, lambda unit, text=text: unit.set_value("test-piece", text))
        assert store.read(lambda view: view.value("test-piece")) == text
    written(store, lambda unit: unit.remember_request("k", "f", "answer"))
    written(store, lambda unit: unit.remember_request("k", "f", "answer"))
    assert written(store, lambda unit: unit.answer_for("k")) == ("f", "answer")
    with pytest.raises(ConflictError):
        written(store, lambda unit: unit.remember_request("k", "other", "answer"))
    for _ in range(2):
        written(store, lambda unit: unit.forget_request("k"))
        assert written(store, lambda unit: unit.answer_for("k")) is None


def test_the_outbox_is_strict_per_piece(store: SqliteStore):
    for number in range(3):
        for piece_id in ("P1", "P2"):
            written(store, lambda unit, p=piece_id, n=number: unit.publish(event(p, PieceStatus.ARRIVED, n)))

    def due(seconds: float, **more: Any) -> Any:
        return [(e.piece_id, e.sequence) for e in store.read(lambda view: view.due_events(at(seconds), limit=9, **more))]

    assert due(10) == [("P1", 1), ("P2", 1)]
    assert due(10, excluding=["P1"]) == [("P2", 1)]
    written(store, lambda unit: unit.mark_retry("P1", 1, at(60), "no answer"))
    assert due(10) == [("P2", 1)]
    written(store, lambda unit: unit.mark_receipted("P2", 1, "{}", at(11)))
    written(store, lambda unit: unit.mark_receipted("P2", 1, "other", at(12)))
    assert due(60) == [("P1", 1), ("P2", 2)]
    assert store.read(lambda view: view.events_of("P2"))[0].receipt == "{}"
    written(store, lambda unit: unit.mark_blocked("P1", 1, "poison"))
    assert due(60) == [("P2", 2)]
    assert store.read(lambda view: view.outbox_depth()) == (6, 1, 1)
    status = store.read(lambda view: view.outbox_status())
    assert (status.pending, status.oldest_pending_at) == (4, at(0))
    assert written(store, lambda unit: unit.reopen_events("P1", 1, at(70))) == 1
    assert written(store, lambda unit: unit.reopen_events("P2", 1, at(70))) == 1
    assert due(70) == [("P1", 1), ("P2", 1)]


def test_what_was_written_is_there_after_reopening(tmp_path: Path):
    salts = iter(range(100))
    with opened(tmp_path, random_bytes=lambda n: next(salts).to_bytes(n, "big")) as store:
        arrive(store, "P1")
        root = store.read(lambda view: view.audit_head()).root
    with opened(tmp_path) as store:
        assert store.read(lambda view: view.audit_head()).root == root
        written(store, lambda unit: unit.append(permit("P1", 1)))
        assert check_audit(store) == 4
    reader = SqliteReader(tmp_path)
    assert reader.read(lambda view: view.piece("P1")).state is PieceState.ARRIVED
    reader.close()


def test_a_seeded_run_repeats_to_the_byte(tmp_path: Path):
    roots = set()
    for name in ("a", "b"):
        with opened(tmp_path / name, group_commit=False, random_bytes=bytes) as store:
            arrive(store, "P1")
            roots.add(store.read(lambda view: view.audit_head()).root)
    assert len(roots) == 1


def test_a_closed_store_refuses(tmp_path: Path):
    with opened(tmp_path) as store:
        pass
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.write(lambda unit: unit.value("x"))


def test_a_change_inside_a_change_is_refused_when_inline(tmp_path: Path):
    with opened(tmp_path, group_commit=False) as store:
        with pytest.raises(StoreError, match="inside another"):
            written(store, lambda _: store.write(lambda unit: unit.next_number("x")))
        assert store.healthy()


def test_the_tables_are_what_the_migrations_make(tmp_path: Path):
    assert ScriptDirectory.from_config(config_for()).get_heads() == [HEAD]
    with opened(tmp_path) as store:
        differences = store.read(lambda view: compare_metadata(MigrationContext.configure(view._connection), metadata))
    assert differences == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [("UPDATE alembic_version SET version_num='9999'", "newer program"), ("DROP TABLE alembic_version", "something else")],
)
def test_a_database_of_another_program_is_left_alone(tmp_path: Path, statement: str, words: str):
    with opened(tmp_path) as store:
        written(store, lambda unit: unit._connection.exec_driver_sql(statement))
    with pytest.raises(StoreError, match=words):
        SqliteStore(tmp_path)


def test_default_options_open(tmp_path: Path):
    store = SqliteStore(tmp_path, floor_bytes=0)
    try:
        with pytest.raises(StoreError, match="message format"):
            written(store, lambda unit: unit.publish(event("P1")))
        assert len(secrets.token_bytes(16)) == 16
        assert store.space.warn_bytes > 0
    finally:
        store.close()


def test_naive_times_are_refused(store: SqliteStore):
    with pytest.raises(ValueError, match="naive"):
        written(store, lambda unit: unit.announce(announcement("P1"), at().replace(tzinfo=None)))
    assert store.healthy()


@pytest.mark.parametrize("state", [state for state in PieceState if state not in {PieceState.ANNOUNCED, PieceState.CANCELLED}])
def test_a_piece_that_came_unannounced_takes_its_announcement_while_it_is_here(store: SqliteStore, state: PieceState):
    piece = Piece(
        piece_id="P1", state=PieceState.ARRIVED, visit=1, state_since=at(), announcement=Announcement(piece_id="P1"), announced=False
    )
    written(store, lambda unit: unit.add_piece(piece))
    written(store, lambda unit: unit._connection.execute(update(tables.piece).values(state=state.value)))
    if state.is_terminal:
        with pytest.raises(ConflictError, match="nobody announced it in time"):
            written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
        assert not store.read(lambda view: view.piece("P1")).announced
        return
    told = written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(5)))
    assert (told.announced, told.secrecy, told.state, told.visit) == (True, Secrecy.B, state, 1)
    assert store.read(lambda view: view.piece("P1")) == told
    assert written(store, lambda unit: unit.announce(announcement("P1", secrecy=Secrecy.B), at(6))) == told
    with pytest.raises(ConflictError, match="otherwise"):
        written(store, lambda unit: unit.announce(announcement("P1"), at(8)))


def test_an_announcement_that_says_nothing_still_announces(store: SqliteStore):
    bare = Announcement(piece_id="P1")
    piece = Piece(piece_id="P1", state=PieceState.ARRIVED, visit=1, state_since=at(), announcement=bare, announced=False)
    written(store, lambda unit: unit.add_piece(piece))
    assert written(store, lambda unit: unit.announce(bare, at(5))).announced
