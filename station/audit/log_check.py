"""Does the audit log still say what was committed to it, and what was signed of it? Pure: fed with the log's rows, later ones too.

Leaf n must commit to the fact with row number n + 1, all leaves together must give the head's root, and each prefix that a checkpoint
signs must give the checkpoint's.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from station.audit.checkpoint import Checkpoint, open_checkpoint
from station.audit.findings import Fault, Finding, Report
from station.audit.merkle import MemoryTree, leaf_hash
from station.audit.note import MalformedNoteError, VerifierKey
from station.audit.seal import Hash, Seal, Unsealed, written_note
from station.domain.commitment import commitment_of
from station.ports.store import AuditFact, AuditHead, AuditLeaf, StoredCheckpoint

_NO_END = 2**63
KEPT_FROM = 8
"""Height from which on a check keeps the tree's nodes."""


@dataclass(slots=True)
class _Tally:
    leaf: int | None
    count: int
    detail: str


def paired(leaves: Iterable[AuditLeaf], facts: Iterable[AuditFact]) -> Iterator[tuple[int, AuditLeaf | None, AuditFact | None]]:
    """Both in the order of their own keys, brought together by place: (place, leaf, fact)."""
    leaf_rows, fact_rows = iter(leaves), iter(facts)
    leaf, fact = next(leaf_rows, None), next(fact_rows, None)
    while leaf is not None or fact is not None:
        if fact is None or (leaf is not None and leaf.leaf_index < fact.row_id - 1):
            assert leaf is not None  # noqa: S101 - one of the two is there
            yield leaf.leaf_index, leaf, None
            leaf = next(leaf_rows, None)
        elif leaf is None or leaf.leaf_index > fact.row_id - 1:
            yield fact.row_id - 1, None, fact
            fact = next(fact_rows, None)
        else:
            yield leaf.leaf_index, leaf, fact
            leaf, fact = next(leaf_rows, None), next(fact_rows, None)


class LogCheck:
    """A check that goes on where it stood: `take` what the log has gained since.

    Args:
        keys: the keys that are believed: of the log, under the names that it had, and of witnesses.
        saved: a checkpoint that somebody kept elsewhere, which is believed.
    """

    def __init__(self, keys: Iterable[VerifierKey] = (), saved: Checkpoint | None = None) -> None:
        # Each signature is checked once for each key that it names.
        self._keys = tuple(dict.fromkeys(keys))
        self._saved = saved
        self._tree = MemoryTree(keep_from=KEPT_FROM)
        self._next = 0
        self._whole = True
        self._size = 0
        self._faults: dict[Fault, _Tally] = {}
        self._checkpoints = 0
        self._signed = 0
        self._witnessed = 0
        self._proved = 0
        self._rows: Hash = hashlib.sha256()
        self._notes: Hash = hashlib.sha256()

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The keys that are believed."""
        return self._keys

    @property
    def size(self) -> int:
        """How many places have been looked at: the next rows wanted are those from here on."""
        return self._next

    @property
    def tree(self) -> MemoryTree:
        """The tree of the leaves as they are, with its nodes of height `KEPT_FROM` and above."""
        return self._tree

    def take(
        self,
        head: AuditHead | None,
        leaves: Iterable[AuditLeaf],
        facts: Iterable[AuditFact],
        checkpoints: Iterable[StoredCheckpoint] = (),
    ) -> None:
        """Check all rows from place `size` on against a head of the same moment, and checkpoints of more leaves than that.

        Without a head (it cannot be read) only the rows and the checkpoints are held against each other.
        """
        self._size = head.size if head is not None else _NO_END
        signed = _Ahead(checkpoints)
        self._compare_saved()
        for place, leaf, fact in paired(leaves, facts):
            if head is not None and place >= head.size:
                self._found(Fault.BEYOND_THE_END, place)
                continue
            self._take_one(place, leaf, fact)
            while signed.first is not None and signed.first.size <= self._next:
                self._compare_stored(signed.pop())
            self._compare_saved()
        if head is None:
            self._found(Fault.HEAD_DAMAGED, None)
            self._size = self._next
        elif self._next < head.size:
            self._missing(self._next, head.size)
        elif self._whole and self._tree.root() != head.root:
            self._found(Fault.ROOT_DIFFERS, self._proved, head.size - self._proved)
        while signed.first is not None:
            self._compare_stored(signed.pop())
        if self._saved is not None and self._saved.size > self._size:
            self._found(Fault.CUT_OFF, self._size, self._saved.size - self._size)

    def may_go_on_from(self, seal: Seal) -> bool:
        """True when nothing that this check has to compare lies before the seal's end."""
        return not self._next and (self._saved is None or self._saved.size >= seal.size)

    def go_on_from(self, found: Unsealed) -> None:
        """Begin behind what an earlier check looked at and sealed; it was read and is as it was."""
        self._next = self._size = self._signed = self._proved = found.seal.size
        self._tree, self._rows, self._notes = found.tree, found.rows, found.notes
        self._checkpoints, self._witnessed = found.checkpoints, found.witnessed

    def signed(self, size: int, note: str) -> None:
        """What was taken so far has a checkpoint now. The same one once more says nothing new."""
        if size > self._signed:
            self._notes.update(written_note(size, note))
            self._signed = size

    def seal(self, origin: str) -> Seal | None:
        """What the next check may go on from; None unless all that was taken holds and is signed."""
        if self._faults or not self._next or self._signed != self._next:
            return None
        return Seal(origin=origin, size=self._next, root=self._tree.root(), rows=self._rows.digest(), notes=self._notes.digest())

    def saved_invalid(self, detail: str) -> None:
        """The checkpoint that somebody saved carries no signature that is believed, or is another log's."""
        self._found(Fault.SAVED_INVALID, None, detail=detail)

    def file_damaged(self, lines: Sequence[str]) -> None:
        """The database itself cannot be read, or says of itself that it is damaged; nothing when there are no lines."""
        if lines:
            self._found(Fault.FILE_DAMAGED, None, len(lines), lines[0].partition("\n")[0])

    def must_be_signed(self) -> None:
        """A log that has facts, and nothing signed at all, does not hold."""
        if self._next and not self._signed:
            self._found(Fault.UNSIGNED, 0, self._next)

    def report(self) -> Report:
        """What was found so far."""
        return Report(
            size=self._size,
            root=self._tree.root() if self._whole else None,
            findings=tuple(
                Finding(fault=fault, leaf=tally.leaf, count=tally.count, detail=tally.detail) for fault, tally in self._faults.items()
            ),
            checkpoints=self._checkpoints,
            signed=self._signed,
            witnessed=self._witnessed,
        )

    def _take_one(self, place: int, leaf: AuditLeaf | None, fact: AuditFact | None) -> None:
        if place < self._next:
            self._found(Fault.OUT_OF_ORDER, place)
            return
        if place > self._next:
            self._missing(self._next, place)
        self._next = place + 1
        if leaf is None or leaf.commitment is None:
            self._missing(place, place + 1)
            return
        if fact is None:
            self._found(Fault.FACT_MISSING, place)
        elif fact.leaf_index != place:
            self._found(Fault.FACT_MISPLACED, place)
        elif not commits(leaf.commitment, fact):
            self._found(Fault.FACT_CHANGED, place)
        else:
            self._rows.update(fact.row)
        if self._whole:
            self._tree.append(leaf_hash(leaf.commitment))

    def _compare_stored(self, stored: StoredCheckpoint) -> None:
        self._checkpoints += 1
        try:
            opened = open_checkpoint(stored.note + "".join(stored.cosignatures), self._keys)
        except MalformedNoteError as error:
            self._found(Fault.CHECKPOINT_INVALID, None, detail=f"{stored.size}: {error}")
            return
        if not opened.by_log or opened.checkpoint.size != stored.size:
            self._found(Fault.CHECKPOINT_INVALID, None, detail=f"{stored.size}: {opened.checkpoint.origin[:60]!r} {opened.checkpoint.size}")
        elif self._compare(opened.checkpoint):
            self.signed(stored.size, stored.note)
            if opened.witnessed_at is not None:
                self._witnessed = stored.size

    def _compare_saved(self) -> None:
        if self._saved is not None and self._saved.size == self._next:
            # Whoever signed the log anew signed the stored checkpoints anew as well, so they narrow nothing down.
            if self._whole and self._tree.root() != self._saved.root:
                self._found(Fault.SAVED_DIFFERS, 0, self._next)
            self._saved = None

    def _compare(self, checkpoint: Checkpoint) -> bool:
        """True when the leaves so far give a checkpoint's root. That leaves are missing has been found already."""
        if checkpoint.size > self._size:
            self._found(Fault.CUT_OFF, self._size, checkpoint.size - self._size)
        elif checkpoint.size != self._next:
            self._found(Fault.CHECKPOINT_INVALID, None, detail=f"{checkpoint.size}: out of order")
        elif self._whole and self._tree.root() == checkpoint.root:
            self._proved = checkpoint.size
            return True
        elif self._whole and Fault.CHECKPOINT_DIFFERS not in self._faults:
            # From here on every root differs; one of the leaves since the last one that did not is the first wrong leaf.
            self._found(Fault.CHECKPOINT_DIFFERS, self._proved, checkpoint.size - self._proved)
        return False

    def _missing(self, start: int, end: int) -> None:
        self._whole = False
        self._found(Fault.LEAF_MISSING, start, end - start)

    def _found(self, fault: Fault, leaf: int | None, count: int = 1, detail: str = "") -> None:
        known = self._faults.get(fault)
        if known is None:
            self._faults[fault] = _Tally(leaf, count, detail)
        else:
            known.count += count


class _Ahead:
    """An iterator whose next element can be looked at."""

    def __init__(self, checkpoints: Iterable[StoredCheckpoint]) -> None:
        self._rest = iter(checkpoints)
        self.first = next(self._rest, None)

    def pop(self) -> StoredCheckpoint:
        taken, self.first = self.first, next(self._rest, None)
        assert taken is not None  # noqa: S101 - whoever takes has looked
        return taken


def commits(commitment: bytes, fact: AuditFact) -> bool:
    """True when a leaf's entry is that of this fact."""
    if fact.salt is None or fact.content is None:
        return False
    try:
        return commitment_of(fact.salt, fact.content) == commitment
    except ValueError:
        return False
