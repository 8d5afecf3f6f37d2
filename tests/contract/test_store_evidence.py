"""The facts on record: they come back as they were told, lie under one log, and cannot be changed."""

import json

import pytest
import rfc8785

from station.audit import merkle
from station.domain.errors import NotFoundError, StoreError
from station.domain.piece import PieceState
from station.domain.scan import ImageMatch
from station.ports.store import Claim
from station.storage.store import SqliteStore
from tests.support.store_facts import arrive, at, check_audit, permit, scan, written


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
