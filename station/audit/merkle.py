"""Merkle tree of the audit log: hashes, inclusion and consistency proofs, and appending without the old leaves. Pure.

Source: RFC 6962 section 2.1 (hashes, audit paths, consistency proofs); RFC 9162 sections 2.1.3.2 and 2.1.4.2 (their verification).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()

NodeAt = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree number `index` of height `level` (level 0: leaf hashes)."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256 of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A complete subtree that an append finished: the `index`-th of height `level`. Store every one: proofs are read from them."""

    level: int
    index: int
    hash: bytes


def append(size: int, leaf: bytes, node_at: NodeAt) -> tuple[Node, ...]:
    """The nodes that a new leaf adds to a tree of `size` leaves: its own first, then each subtree that it completes.

    Args:
        size: leaves before.
        leaf: the new leaf's hash (see `leaf_hash`).
        node_at: reads the nodes that were stored before.
    """
    nodes = [Node(level=0, index=size, hash=leaf)]
    index = size
    while index % 2:
        last = nodes[-1]
        index //= 2
        nodes.append(Node(level=last.level + 1, index=index, hash=node_hash(node_at(last.level, last.index - 1), last.hash)))
    return tuple(nodes)


def root(size: int, node_at: NodeAt) -> bytes:
    """Root of the first `size` leaves; the hash of nothing when there are none."""
    return _subtree(0, size, node_at) if size else EMPTY_ROOT


def _split(size: int) -> int:
    """The greatest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(start: int, size: int, node_at: NodeAt) -> bytes:
    """Root over `size` leaves from `start`, which is a multiple of the power of two at or above `size`."""
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node_at(level, start >> level)
    left = _split(size)
    return node_hash(_subtree(start, left, node_at), _subtree(start + left, size - left, node_at))


def inclusion_proof(index: int, size: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Audit path of leaf `index` in the tree of the first `size` leaves, from the leaf upwards.

    Raises:
        ValueError: there is no such leaf in that tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"A tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    start = 0
    while size > 1:
        left = _split(size)
        if index - start < left:
            path.append(_subtree(start + left, size - left, node_at))
            size = left
        else:
            path.append(_subtree(start, left, node_at))
            start, size = start + left, size - left
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, node_at: NodeAt) -> tuple[bytes, ...]:
    """Proof that the tree of `old_size` leaves is the beginning of the tree of `new_size` leaves; empty when they are equal.

    Raises:
        ValueError: not 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise ValueError(f"A tree of {old_size} leaves is not the beginning of one of {new_size}")
    path: list[bytes] = []
    start, size, rest, whole = 0, new_size, old_size, True
    while rest != size:
        left = _split(size)
        if rest <= left:
            path.append(_subtree(start + left, size - left, node_at))
            size = left
        else:
            path.append(_subtree(start, left, node_at))
            start, size, rest, whole = start + left, size - left, rest - left, False
    if not whole:
        path.append(_subtree(start, rest, node_at))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes) -> bool:
    """True when the proof shows that the leaf with hash `leaf` stands at `index` of the tree with that root."""
    if not 0 <= index < size:
        return False
    at, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at % 2 or at == last:
            current = node_hash(sibling, current)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            current = node_hash(current, sibling)
        at, last = at // 2, last // 2
    return last == 0 and current == expected_root


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """True when the proof shows that the old tree is the beginning of the new one."""
    if not 0 < old_size <= new_size:
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old_size - 1, new_size - 1
    while at % 2:
        at, last = at // 2, last // 2
    old, new = path[0], path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            new = node_hash(new, sibling)
        at, last = at // 2, last // 2
    return last == 0 and old == old_root and new == new_root


class MemoryTree:
    """A tree in memory. Of its nodes it keeps those of height `keep_from` and above, and what appending needs.

    A log of n leaves kept from height 8 on takes n / 255 hashes; whoever needs a lower node makes it from its at most 128 leaves.
    """

    def __init__(self, leaves: Iterable[bytes] = (), *, keep_from: int = 0) -> None:
        self._keep_from = keep_from
        self._kept: list[list[bytes]] = []
        self._frontier: list[bytes] = []
        self._size = 0
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        self._add(leaf, 0)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves by their hashes. Blocks of 2^`keep_from` that begin at a multiple of that take half the time of appending."""
        block = 1 << self._keep_from
        for start in range(0, len(leaves), block):
            nodes = leaves[start : start + block]
            if len(nodes) < block or self._size % block:
                for leaf in nodes:
                    self._add(leaf, 0)
                continue
            while len(nodes) > 1:
                nodes = [node_hash(left, right) for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
            self._add(nodes[0], self._keep_from)

    def _add(self, node: bytes, level: int) -> None:
        """Add a complete subtree of that height, at a place that is a multiple of its size."""
        index = self._size >> level
        self._size += 1 << level
        if level >= self._keep_from:
            self._keep(level - self._keep_from, node)
        while index & 1:
            node = node_hash(self._frontier.pop(), node)
            index >>= 1
            level += 1
            if level >= self._keep_from:
                self._keep(level - self._keep_from, node)
        self._frontier.append(node)

    def node_at(self, level: int, index: int) -> bytes:
        """A node that was kept; raises `IndexError` when that subtree is not complete."""
        return self._kept[level - self._keep_from][index]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves (default: all, which needs no kept node)."""
        if size not in {None, self._size}:
            return root(size or 0, self.node_at)
        if not self._frontier:
            return EMPTY_ROOT
        node = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            node = node_hash(left, node)
        return node

    def _keep(self, row: int, node: bytes) -> None:
        if row == len(self._kept):
            self._kept.append([])
        self._kept[row].append(node)
