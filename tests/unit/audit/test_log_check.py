"""The check of the audit log: what holds, what does not, and where."""

import hashlib
from dataclasses import replace

import pytest

from station.audit.checkpoint import Checkpoint
from station.audit.findings import Fault
from station.audit.log_check import LogCheck
from station.audit.merkle import MemoryTree, leaf_hash
from station.domain.commitment import commitment_of
from station.ports.store import AuditFact, AuditHead, AuditLeaf, StoredCheckpoint
from tests.support.audit_logs import KEYS, LOG_KEY
from tests.support.forgeries import FORGERIES, found_everywhere

EVENTS = 10_000
EVERY = 16

Log = tuple[list[AuditLeaf], list[AuditFact], AuditHead, list[StoredCheckpoint]]


def a_log(size: int, every: int = 4) -> Log:
    leaves, facts, signed, tree = [], [], [], MemoryTree()
    for index in range(size):
        salt, content = hashlib.sha256(b"%d" % index).digest()[:16], b'{"n":%d}' % index
        leaves.append(AuditLeaf(leaf_index=index, commitment=commitment_of(salt, content)))
        facts.append(AuditFact(row_id=index + 1, leaf_index=index, salt=salt, content=content))
        tree.append(leaf_hash(leaves[-1].commitment or b""))
        if len(tree) % every == 0 or len(tree) == size:
            signed.append(StoredCheckpoint(size=len(tree), note=LOG_KEY.checkpoint(len(tree), tree.root()), cosignatures=()))
    return leaves, facts, AuditHead(size=size, root=tree.root(), frontier=()), signed


def faults(check: LogCheck) -> dict[Fault, tuple[int | None, int]]:
    return {one.fault: (one.leaf, one.count) for one in check.report().findings}


@pytest.mark.parametrize("size", [0, 1, 2, 7, 33])
def test_an_untouched_log_holds(size: int):
    leaves, facts, head, signed = a_log(size)
    check = LogCheck(KEYS)
    check.take(head, leaves, facts, signed)
    report = check.report()
    assert report.holds
    assert (report.size, report.root, report.signed, report.first_wrong_leaf) == (size, head.root, size, None)


@pytest.mark.parametrize("cut", range(12))
def test_a_check_goes_on_where_it_stood(cut: int):
    leaves, facts, head, signed = a_log(11)
    first, check = a_log(11)[0][:cut], LogCheck(KEYS)
    tree = MemoryTree(leaf_hash(leaf.commitment or b"") for leaf in first)
    check.take(AuditHead(size=cut, root=tree.root(), frontier=()), first, facts[:cut], [one for one in signed if one.size <= cut])
    check.take(head, leaves[cut:], facts[cut:], [one for one in signed if one.size > cut])
    assert check.report().holds
    assert check.report().checkpoints == 3


def test_every_edit_deletion_insertion_and_reorder_in_ten_thousand_events_is_found():
    leaves, facts, _, signed = a_log(EVENTS, EVERY)
    kinds = list(FORGERIES)
    # One kind at each place; every kind at the first, the last and at every 997th.
    count = found_everywhere(
        leaves, facts, signed, lambda place: kinds if place % 997 in {0, 996} or place >= EVENTS - 2 else [kinds[place % len(kinds)]]
    )
    assert count > EVENTS


def test_with_a_saved_checkpoint_every_truncation_and_every_new_signature_is_found():
    leaves, facts, head, _ = a_log(40)
    saved = Checkpoint(origin=LOG_KEY.origin, size=40, root=head.root)
    for cut in range(40):
        short_leaves, short_facts, short_head, short_signed = a_log(cut)
        alone, against = LogCheck(KEYS), LogCheck(KEYS, saved)
        for check in (alone, against):
            check.take(short_head, short_leaves, short_facts, short_signed)
        assert alone.report().holds
        assert faults(against) == {Fault.CUT_OFF: (cut, 40 - cut)}
    for place in range(40):
        fact = replace(facts[place], content=b"{}")
        leaf = AuditLeaf(leaf_index=place, commitment=commitment_of(fact.salt or b"", b"{}"))
        forged = [*leaves[:place], leaf, *leaves[place + 1 :]]
        tree, anew = MemoryTree(), []
        for one in forged:
            tree.append(leaf_hash(one.commitment or b""))
            anew.append(StoredCheckpoint(size=len(tree), note=LOG_KEY.checkpoint(len(tree), tree.root()), cosignatures=()))
        alone, against = LogCheck(KEYS), LogCheck(KEYS, saved)
        for check in (alone, against):
            check.take(AuditHead(size=40, root=tree.root(), frontier=()), forged, [*facts[:place], fact, *facts[place + 1 :]], anew[3::4])
        assert alone.report().holds
        assert faults(against) == {Fault.SAVED_DIFFERS: (0, 40)}


def test_a_saved_checkpoint_in_the_middle_holds():
    leaves, facts, head, signed = a_log(21)
    for size in range(22):
        root = MemoryTree(leaf_hash(leaf.commitment or b"") for leaf in leaves[:size]).root()
        check = LogCheck(KEYS, Checkpoint(origin=LOG_KEY.origin, size=size, root=root))
        check.take(head, leaves, facts, signed)
        assert check.report().holds


def test_rows_that_cannot_be_there():
    leaves, facts, head, signed = a_log(9)
    check = LogCheck(KEYS)
    check.take(head, [replace(leaves[3], leaf_index=-5), *leaves], [*facts, replace(facts[3], row_id=2**40)], signed)
    assert faults(check) == {Fault.OUT_OF_ORDER: (-5, 1), Fault.BEYOND_THE_END: (2**40 - 1, 1)}
    check = LogCheck(KEYS)
    check.take(head, [*leaves[:4], *leaves[6:]], [*facts[:4], *facts[5:]], signed)
    assert faults(check) == {Fault.LEAF_MISSING: (4, 2)}
    assert (check.report().first_wrong_leaf, check.report().root, check.report().signed) == (4, None, 4)


def test_the_head_must_fit():
    leaves, facts, head, signed = a_log(9)
    check = LogCheck(KEYS)
    check.take(replace(head, root=bytes(32)), leaves, facts, signed[:1])
    assert faults(check) == {Fault.ROOT_DIFFERS: (4, 5)}
    check = LogCheck(KEYS)
    check.take(None, leaves, facts, signed)
    assert faults(check) == {Fault.HEAD_DAMAGED: (None, 1)}
    check = LogCheck(KEYS)
    check.take(replace(head, size=11), leaves, facts, signed)
    assert faults(check) == {Fault.LEAF_MISSING: (9, 2)}


def test_checkpoints_must_be_the_logs_own():
    leaves, facts, head, signed = a_log(8)
    for wrong in (
        replace(signed[0], note=signed[0].note.replace("\n4\n", "\n5\n")),
        replace(signed[0], note=""),
        replace(signed[0], note=signed[1].note),
        replace(signed[0], cosignatures=("— witness AAAA\n",)),
    ):
        check = LogCheck(KEYS)
        check.take(head, leaves, facts, [wrong, signed[1]])
        assert faults(check) == {Fault.CHECKPOINT_INVALID: (None, 1)}
    stranger = LogCheck(())
    stranger.take(head, leaves, facts, signed)
    stranger.must_be_signed()
    assert faults(stranger) == {Fault.CHECKPOINT_INVALID: (None, 2), Fault.UNSIGNED: (0, 8)}
