"""The audit log's self-check finds every kind of change."""

import hashlib
from dataclasses import replace

import pytest

from station.audit.merkle import MemoryTree, leaf_hash
from station.audit.self_check import COMMITMENT_DOMAIN, first_broken_leaf
from station.ports.store import AuditHead, AuditLeaf


def a_log(size: int) -> tuple[list[AuditLeaf], AuditHead]:
    leaves, tree = [], MemoryTree()
    for index in range(size):
        salt, content = index.to_bytes(16, "big"), f'{{"n":{index}}}'.encode()
        commitment = hashlib.sha256(COMMITMENT_DOMAIN + salt + content).digest()
        leaves.append(AuditLeaf(leaf_index=index, commitment=commitment, salt=salt, content=content))
        tree.append(leaf_hash(commitment))
    return leaves, AuditHead(size=size, root=tree.root(), frontier=())


@pytest.mark.parametrize("size", [0, 1, 2, 7, 33])
def test_an_untouched_log_holds(size: int):
    leaves, head = a_log(size)
    assert first_broken_leaf(leaves, head) is None


def test_a_destroyed_fact_leaves_the_log_whole():
    leaves, head = a_log(5)
    leaves[2] = replace(leaves[2], salt=None, content=None)
    assert first_broken_leaf(leaves, head) is None


@pytest.mark.parametrize("index", range(9))
def test_every_edit_deletion_and_swap_is_found(index: int):
    leaves, head = a_log(9)
    edited = [*leaves[:index], replace(leaves[index], content=b'{"n":"forged"}'), *leaves[index + 1 :]]
    assert first_broken_leaf(edited, head) == index
    forged = hashlib.sha256(COMMITMENT_DOMAIN + bytes(16) + b"{}").digest()
    recommitted = [*leaves[:index], AuditLeaf(leaf_index=index, commitment=forged, salt=bytes(16), content=b"{}"), *leaves[index + 1 :]]
    assert first_broken_leaf(recommitted, head) == 9
    assert first_broken_leaf([*leaves[:index], *leaves[index + 1 :]], head) is not None
    other = (index + 1) % 9
    swapped = list(leaves)
    swapped[index], swapped[other] = swapped[other], swapped[index]
    assert first_broken_leaf(swapped, head) is not None


def test_a_truncated_or_lengthened_log_does_not_hold():
    leaves, head = a_log(6)
    assert first_broken_leaf(leaves[:5], head) == 5
    longer, _ = a_log(7)
    assert first_broken_leaf(longer, head) == 7
