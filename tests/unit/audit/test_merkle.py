"""RFC 6962 trees: the well-known vectors, a second implementation written from the definition, and pymerkle as a third."""

import hashlib

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.audit.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    Node,
    append,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# Test vectors of the Certificate Transparency reference code (merkletree/merkle_tree_test).
ENTRIES = [
    bytes.fromhex(entry) for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def tree(size: int) -> MemoryTree:
    return MemoryTree(leaf_hash(number.to_bytes(4, "big")) for number in range(size))


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


def test_the_well_known_roots():
    log = MemoryTree()
    assert log.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    for entry, expected in zip(ENTRIES, ROOTS, strict=True):
        log.append(leaf_hash(entry))
        assert log.root().hex() == expected
    assert log.root(3).hex() == ROOTS[2]


def test_the_well_known_proofs():
    log = MemoryTree(map(leaf_hash, ENTRIES))
    path = [proof.hex() for proof in inclusion_proof(0, 8, log.node_at)]
    assert path == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [proof.hex() for proof in consistency_proof(6, 8, log.node_at)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_small_trees(size: int):
    log = tree(size)
    leaves = [log.node_at(0, index) for index in range(size)]
    assert log.root() == by_definition(leaves)
    for index in range(size):
        proof = inclusion_proof(index, size, log.node_at)
        assert verify_inclusion(leaves[index], index, size, proof, log.root())
        assert not verify_inclusion(leaves[index], index, size, (*proof, bytes(32)), log.root())
        assert not verify_inclusion(bytes(32), index, size, proof, log.root())
        if proof:
            assert not verify_inclusion(leaves[index], index, size, proof[:-1], log.root())
            assert not verify_inclusion(leaves[index], index, size, (bytes(32), *proof[1:]), log.root())
            assert not verify_inclusion(leaves[index], (index + 1) % size, size, proof, log.root())
    for old in range(1, size + 1):
        proof = consistency_proof(old, size, log.node_at)
        assert verify_consistency(old, size, log.root(old), log.root(), proof)
        assert not verify_consistency(old, size, bytes(32), log.root(), proof)
        assert not verify_consistency(old, size, log.root(old), bytes(32), proof)
        assert not verify_consistency(old, size, log.root(old), log.root(), (*proof, bytes(32)))
        if proof:
            assert not verify_consistency(old, size, log.root(old), log.root(), proof[:-1])
            assert not verify_consistency(old, size, log.root(old), log.root(), proof[1:])
            assert not verify_consistency(old, size, log.root(old), log.root(), ())


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70), st.data())
def test_pymerkle_agrees(entries: list[bytes], data: st.DataObject):
    other = pymerkle.InmemoryTree(algorithm="sha256")
    log = MemoryTree()
    for entry in entries:
        other.append_entry(entry)
        log.append(leaf_hash(entry))
    size = len(entries)
    old = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, size - 1))
    assert log.root() == other.get_root()
    assert log.root(old) == other.get_root(old)
    # Their paths have the same hashes in another order, and an inclusion path names its leaf too.
    theirs = other.prove_inclusion(index + 1, size).serialize()["path"]
    mine = [step.hex() for step in inclusion_proof(index, size, log.node_at)]
    assert sorted(theirs) == sorted([*mine, log.node_at(0, index).hex()])


def test_appending_reads_and_writes_few_nodes():
    log = tree(1_023)
    reads: list[tuple[int, int]] = []

    def node_at(level: int, index: int) -> bytes:
        reads.append((level, index))
        return log.node_at(level, index)

    nodes = append(1_023, leaf_hash(b"x"), node_at)
    assert [node.level for node in nodes] == list(range(11))
    assert len(reads) == 10
    assert nodes[0] == Node(level=0, index=1_023, hash=leaf_hash(b"x"))
    log.append(leaf_hash(b"x"))
    assert nodes[-1].hash == log.root()
    reads.clear()
    root(1_000, node_at)
    assert len(reads) <= 10
    reads.clear()
    inclusion_proof(511, 1_000, node_at)
    assert len(reads) <= 20


def test_edits_deletions_insertions_and_reorders_change_the_root():
    leaves = [leaf_hash(bytes([number])) for number in range(9)]
    good = MemoryTree(leaves).root()
    for index in range(9):
        assert MemoryTree([*leaves[:index], leaf_hash(b"?"), *leaves[index + 1 :]]).root() != good
        assert MemoryTree([*leaves[:index], *leaves[index + 1 :]]).root() != good
        assert MemoryTree([*leaves[:index], leaf_hash(b"?"), *leaves[index:]]).root() != good
        swapped = [*leaves[:index], *reversed(leaves[index : index + 2]), *leaves[index + 2 :]]
        assert (MemoryTree(swapped).root() != good) == (index < 8)


def test_a_leaf_is_never_taken_for_a_node():
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_there_is_no_proof_of_a_leaf_that_is_not_there(index: int, size: int):
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_proof(index, size, tree(4).node_at)
    assert not verify_inclusion(bytes(32), index, size, (), bytes(32))


@pytest.mark.parametrize(("old", "new"), [(0, 4), (-1, 4), (5, 4)])
def test_there_is_no_consistency_with_what_is_no_beginning(old: int, new: int):
    with pytest.raises(ValueError, match="not the beginning"):
        consistency_proof(old, new, tree(4).node_at)
    assert not verify_consistency(old, new, bytes(32), bytes(32), ())


def test_a_proof_that_is_too_long_for_its_tree_is_refused():
    log = tree(2)
    assert not verify_consistency(1, 2, log.root(1), log.root(), (log.node_at(0, 1), bytes(32), bytes(32)))
    assert not verify_inclusion(log.node_at(0, 0), 0, 1, (bytes(32),), log.root(1))


@given(sizes=st.lists(st.integers(0, 40), max_size=8), keep_from=st.integers(0, 4))
@settings(max_examples=100, deadline=None)
def test_leaves_that_are_added_together_make_the_same_tree(sizes: list[int], keep_from: int):
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(sum(sizes))]
    one_by_one, together = MemoryTree(leaves, keep_from=keep_from), MemoryTree(keep_from=keep_from)
    at = 0
    for size in sizes:
        together.extend(leaves[at : at + size])
        at += size
    assert (len(together), together.root()) == (len(leaves), one_by_one.root())
    for level in range(keep_from, len(leaves).bit_length()):
        for index in range(len(leaves) >> level):
            assert together.node_at(level, index) == one_by_one.node_at(level, index)
