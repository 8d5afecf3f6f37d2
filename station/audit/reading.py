"""Feeds a check of the audit log with what a store has, page by page, all from one snapshot."""

import hashlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from station.audit.checkpoint import open_checkpoint
from station.audit.log_check import KEPT_FROM, LogCheck
from station.audit.merkle import MemoryTree, leaf_hash
from station.audit.note import MalformedNoteError, VerifierKey
from station.audit.seal import Seal, Unsealed, written_note
from station.domain.errors import StoreError
from station.ports.store import AuditFact, AuditHead, AuditLeaf, ReadView, StoredCheckpoint

PAGE = 2048
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


def take_sealed(view: ReadView, check: LogCheck, seal: Seal, progress: Progress = lambda _done, _all: None) -> bool:
    """Have a new check go on behind a seal if every row before it is as it was; else False, and the check is as new.

    Then `check_log` takes the rest, or all: a seal is never what says that a log does not hold.
    """
    if not check.may_go_on_from(seal):
        return False
    try:
        found = _unseal(view, seal, check.keys, progress)
    except StoreError:
        return False
    if found is None:
        return False
    check.go_on_from(found)
    return True


def _unseal(view: ReadView, seal: Seal, keys: tuple[VerifierKey, ...], progress: Progress) -> Unsealed | None:
    """Read every row that a seal speaks of; None when anything is not as it says, or a witness's signature does not hold."""
    tree = _sealed_tree(view, seal)
    if tree is None:
        return None
    rows, at = hashlib.sha256(), _LOWEST
    while at < seal.size:
        page = view.audit_rows(start=at, limit=min(PAGE, seal.size - max(at, 0)))
        if page is None or page[0] <= at:
            return None
        at = page[0]
        rows.update(page[1])
        progress(max(at, 0), seal.size)
    if rows.digest() != seal.rows:
        return None
    notes, count, witnessed, at = hashlib.sha256(), 0, 0, _LOWEST
    for stored in _sealed_checkpoints(view, seal.size):
        notes.update(written_note(stored.size, stored.note))
        count += 1
        # A signature that came later than the seal, or may have been changed since.
        if stored.cosignatures:
            try:
                opened = open_checkpoint(stored.note + "".join(stored.cosignatures), keys)
            except MalformedNoteError:
                return None
            witnessed = stored.size if opened.witnessed_at is not None else witnessed
    if notes.digest() != seal.notes:
        return None
    return Unsealed(seal=seal, tree=tree, rows=rows, notes=notes, checkpoints=count, witnessed=witnessed)


def _sealed_tree(view: ReadView, seal: Seal) -> MemoryTree | None:
    """The tree of the sealed leaves; None when they do not give its root."""
    tree, start = MemoryTree(keep_from=KEPT_FROM), _LOWEST
    while len(tree) < seal.size:
        page = view.audit_leaves(start=start, limit=min(PAGE, seal.size - len(tree)))
        if not page or any(leaf.leaf_index != place or leaf.commitment is None for place, leaf in enumerate(page, len(tree))):
            return None
        tree.extend([leaf_hash(leaf.commitment or b"") for leaf in page])
        start = len(tree)
    return tree if len(tree) == seal.size and tree.root() == seal.root else None


def _sealed_checkpoints(view: ReadView, size: int) -> Iterator[StoredCheckpoint]:
    for page in _pages(lambda at: view.checkpoints(above=at, limit=PAGE), _LOWEST, lambda row: row.size):
        for stored in page:
            if stored.size > size:
                return
            yield stored


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
