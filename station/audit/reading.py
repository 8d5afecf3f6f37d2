"""Feeds a check of the audit log with what a store has, page by page, all from one snapshot."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from station.audit.log_check import KEPT_FROM, LogCheck
from station.audit.merkle import MemoryTree, leaf_hash
from station.domain.errors import StoreError
from station.ports.store import AuditFact, AuditHead, AuditLeaf, ReadView, StoredCheckpoint

PAGE = 2000
Progress = Callable[[int, int], None]
"""Hears how many leaves of how many have been looked at."""
R = TypeVar("R")
_LOWEST = -(2**63) - 1
"""Below every key: nobody may hide a row before the first one."""


def check_log(view: ReadView, check: LogCheck, *, signed: bool = True, progress: Progress = lambda _done, _all: None) -> None:
    """Take everything that `check` has not yet seen. `signed`: with the stored checkpoints. Raises `StoreError`: it cannot be read."""
    head: AuditHead | None
    try:
        head = view.audit_head()
    except StoreError:
        head = None
    start = check.size or _LOWEST

    def leaves() -> Iterator[AuditLeaf]:
        for page in _pages(lambda at: view.audit_leaves(start=at, limit=PAGE), start, lambda row: row.leaf_index + 1):
            progress(check.size, head.size if head else 0)
            yield from page

    def facts() -> Iterator[AuditFact]:
        for page in _pages(lambda at: view.audit_facts(start=at, limit=PAGE), start, lambda row: row.row_id):
            yield from page

    def checkpoints() -> Iterator[StoredCheckpoint]:
        if signed:
            for page in _pages(lambda at: view.checkpoints(above=at, limit=PAGE), start, lambda row: row.size):
                yield from page

    check.take(head, leaves(), facts(), checkpoints())
    progress(check.size, check.size)


class StoredNodes:
    """The nodes of the log's tree as proofs ask for them: kept ones, and lower ones made of stored leaves, each block of 256 read once.

    Args:
        view: where the leaves are read.
        tree: the tree of the leaves, with its nodes from height `KEPT_FROM` on.
    """

    def __init__(self, view: ReadView, tree: MemoryTree) -> None:
        self._view = view
        self._tree = tree
        self._blocks: dict[int, MemoryTree] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """A node; raises `IndexError` when that subtree is not complete."""
        if level >= KEPT_FROM:
            return self._tree.node_at(level, index)
        number, place = index >> KEPT_FROM - level, index & (1 << KEPT_FROM - level) - 1
        if number not in self._blocks:
            leaves = self._view.audit_leaves(start=number << KEPT_FROM, limit=1 << KEPT_FROM)
            self._blocks[number] = MemoryTree(leaf_hash(leaf.commitment or b"") for leaf in leaves)
        return self._blocks[number].node_at(level, place)


def read_tree(view: ReadView, size: int, progress: Progress = lambda _done, _all: None) -> MemoryTree:
    """The tree of the first `size` leaves, with its nodes from height `KEPT_FROM` on."""
    tree = MemoryTree(keep_from=KEPT_FROM)
    while len(tree) < size:
        page = view.audit_leaves(start=len(tree), limit=min(PAGE, size - len(tree)))
        if not page:
            raise StoreError(
                f"The audit log ends at leaf {len(tree)} of {size}",
                consequence="Nothing can be proved by it",
                remedy="Run `station audit verify`",
            )
        for leaf in page:
            tree.append(leaf_hash(leaf.commitment or b""))
        progress(len(tree), size)
    return tree


def _pages(read: Callable[[int], list[R]], start: int, following: Callable[[R], int]) -> Iterator[list[R]]:
    """Pages in order of their keys. A damaged table may give keys that do not rise; it is read no further."""
    at = start
    while page := read(at):
        yield page
        after = following(page[-1])
        if after <= at:
            return
        at = after
