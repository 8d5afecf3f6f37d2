"""Feeds a check of the audit log with what a store has, page by page, all from one snapshot."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from station.audit.log_check import LogCheck
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


def _pages(read: Callable[[int], list[R]], start: int, following: Callable[[R], int]) -> Iterator[list[R]]:
    """Pages in order of their keys. A damaged table may give keys that do not rise; it is read no further."""
    at = start
    while page := read(at):
        yield page
        after = following(page[-1])
        if after <= at:
            return
        at = after
