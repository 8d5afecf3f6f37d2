"""What somebody could do to an audit log's rows, carelessly or with every hash reckoned anew; and flips of single bits of its file."""

import bisect
import copy
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pysqlite3.dbapi2

from station.audit.findings import Fault, Report
from station.audit.log_check import LogCheck
from station.audit.merkle import MemoryTree, leaf_hash
from station.bootstrap.audit import AuditFiles, verify_log
from station.domain.commitment import commitment_of
from station.ports.store import AuditFact, AuditHead, AuditLeaf, StoredCheckpoint
from station.storage.store import AUDIT_TABLES
from tests.support.audit_logs import KEYS


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a log, from leaf `start` on, and the head that goes with them. `before` is the tree of the leaves before."""

    start: int
    before: MemoryTree
    leaves: list[AuditLeaf]
    facts: list[AuditFact]
    head: AuditHead

    def reckoned_anew(self, facts: list[AuditFact]) -> "Rows":
        """These facts instead, numbered without gaps, every leaf and the head made to fit."""
        tree = copy.deepcopy(self.before)
        new_leaves, new_facts = [], []
        for place, fact in enumerate(facts, self.start):
            new_facts.append(replace(fact, row_id=place + 1, leaf_index=place))
            new_leaves.append(AuditLeaf(leaf_index=place, commitment=commitment_of(fact.salt or b"", fact.content or b"")))
            tree.append(leaf_hash(new_leaves[-1].commitment or b""))
        return replace(self, leaves=new_leaves, facts=new_facts, head=AuditHead(size=len(tree), root=tree.root(), frontier=()))

    def without(self, rows: list, at: int) -> list:
        return [*rows[:at], *rows[at + 1 :]]


def _other(fact: AuditFact) -> AuditFact:
    # The last member is a number in every content: one more digit, in canonical form.
    return replace(fact, content=(fact.content or b"")[:-1] + b"1}")


def edit(rows: Rows, at: int) -> Rows:
    return replace(rows, facts=[*rows.facts[:at], _other(rows.facts[at]), *rows.facts[at + 1 :]])


def edit_salt(rows: Rows, at: int) -> Rows:
    """The last byte of a fact's salt, which belongs to its piece: the fact itself says what it said."""
    salt = rows.facts[at].salt or b""
    return replace(rows, facts=[*rows.facts[:at], replace(rows.facts[at], salt=salt[:-1] + bytes([salt[-1] ^ 1])), *rows.facts[at + 1 :]])


def edit_anew(rows: Rows, at: int) -> Rows:
    return rows.reckoned_anew(edit(rows, at).facts)


def delete(rows: Rows, at: int) -> Rows:
    return replace(rows, facts=rows.without(rows.facts, at))


def delete_both(rows: Rows, at: int) -> Rows:
    return replace(rows, facts=rows.without(rows.facts, at), leaves=rows.without(rows.leaves, at))


def delete_anew(rows: Rows, at: int) -> Rows:
    return rows.reckoned_anew(rows.without(rows.facts, at))


def insert(rows: Rows, at: int) -> Rows:
    """Keys are taken, so a row can only be added behind the last one."""
    return replace(rows, facts=[*rows.facts, replace(rows.facts[at], row_id=rows.head.size + 1, leaf_index=rows.head.size)])


def insert_anew(rows: Rows, at: int) -> Rows:
    return rows.reckoned_anew([*rows.facts[:at], _other(rows.facts[at]), *rows.facts[at:]])


def _swapped(rows: Rows, at: int) -> list[AuditFact]:
    one, two = rows.facts[at], rows.facts[at + 1]
    first, second = replace(two, row_id=one.row_id, leaf_index=one.leaf_index), replace(one, row_id=two.row_id, leaf_index=two.leaf_index)
    return [*rows.facts[:at], first, second, *rows.facts[at + 2 :]]


def reorder(rows: Rows, at: int) -> Rows:
    return replace(rows, facts=_swapped(rows, at))


def reorder_numbers(rows: Rows, at: int) -> Rows:
    """Two facts keep what they say and their leaves, and change places in the order in which they are read."""
    facts = _swapped(rows, at)
    for place in (at, at + 1):
        facts[place] = replace(facts[place], leaf_index=rows.facts[at + (place == at)].leaf_index)
    return replace(rows, facts=facts)


def reorder_anew(rows: Rows, at: int) -> Rows:
    return rows.reckoned_anew(_swapped(rows, at))


Forgery = Callable[[Rows, int], Rows]
FORGERIES: dict[Forgery, Fault] = {
    edit: Fault.FACT_CHANGED,
    edit_salt: Fault.FACT_CHANGED,
    edit_anew: Fault.CHECKPOINT_DIFFERS,
    delete: Fault.FACT_MISSING,
    delete_both: Fault.LEAF_MISSING,
    delete_anew: Fault.CUT_OFF,
    insert: Fault.BEYOND_THE_END,
    insert_anew: Fault.CHECKPOINT_DIFFERS,
    reorder: Fault.FACT_CHANGED,
    reorder_numbers: Fault.FACT_MISPLACED,
    reorder_anew: Fault.CHECKPOINT_DIFFERS,
}
"""Each with what must be found first of all."""


def found_everywhere(
    leaves: list[AuditLeaf], facts: list[AuditFact], checkpoints: list[StoredCheckpoint], kinds: Callable[[int], list[Forgery]]
) -> int:
    """Forge at every place with the kinds given for it, and assert that each is found; returns how many were.

    Each forged log ends at the next checkpoint behind that place: what follows cannot take back what was found. The last place has no
    next one to change with.
    """
    ends = [0, *(one.size for one in checkpoints)]
    roots = {0: MemoryTree().root()}
    tree = MemoryTree(keep_from=64)
    for leaf in leaves:
        tree.append(leaf_hash(leaf.commitment or b""))
        roots[len(tree)] = tree.root()
    check, before, count = LogCheck(KEYS), MemoryTree(keep_from=64), 0
    for place in range(len(leaves)):
        following = bisect.bisect_left(ends, min(place + 2, len(leaves)))
        until, ahead = ends[following], checkpoints[bisect.bisect_right(ends, place) - 1 : following]
        head = AuditHead(size=until, root=roots[until], frontier=())
        rows = Rows(place, before, leaves[place:until], facts[place:until], head)
        for forge in kinds(place):
            if len(rows.facts) > 1 or forge not in {reorder, reorder_numbers, reorder_anew}:
                _assert_found(_fork(check), forge, rows, place, ahead)
                count += 1
        own = [ahead[0]] if ahead[0].size == place + 1 else []
        check.take(AuditHead(size=place + 1, root=roots[place + 1], frontier=()), [leaves[place]], [facts[place]], own)
        before.append(leaf_hash(leaves[place].commitment or b""))
    assert check.report().holds
    return count


def _fork(check: LogCheck) -> LogCheck:
    """A check that goes another way from here."""
    fork = copy.copy(check)
    fork._tree, fork._faults = copy.copy(check._tree), {}
    fork._tree._frontier, fork._tree._kept = list(check._tree._frontier), [list(row) for row in check._tree._kept]
    return fork


def _assert_found(check: LogCheck, forge: Forgery, rows: Rows, place: int, checkpoints: list[StoredCheckpoint]) -> None:
    forged = forge(rows, 0)
    check.take(forged.head, forged.leaves, forged.facts, checkpoints)
    report = check.report()
    by_fault = {one.fault: one for one in report.findings}
    expected = FORGERIES[forge]
    assert expected in by_fault, (forge.__name__, place, report.findings)
    finding = by_fault[expected]
    if expected is Fault.CHECKPOINT_DIFFERS:
        assert finding.leaf is not None
        assert finding.leaf <= place < finding.leaf + finding.count, (forge.__name__, place, finding)
    elif expected in {Fault.FACT_CHANGED, Fault.FACT_MISSING, Fault.LEAF_MISSING, Fault.FACT_MISPLACED}:
        assert report.first_wrong_leaf == place, (forge.__name__, place, report.findings)
        assert finding.count == (2 if forge in {reorder, reorder_numbers} else 1)


@dataclass(frozen=True, slots=True)
class Flips:
    """What came of flipping bits of a file, one at a time."""

    changed: int
    """Flips that changed an audit row, or made the rows unreadable. Every one was found."""
    damaged: int
    """Flips that changed no audit row and were found all the same: an index, the schema, the header."""
    harmless: int
    """Flips after which the log holds, and every audit row is as it was."""


def flip_bits(files: AuditFiles, count: int, seed: int, check: Callable[[AuditFiles], Report] = verify_log) -> Flips:
    """Flip `count` single bits of the database, each back again, and assert that no changed row goes unnoticed by a check."""
    chance, tally = random.Random(seed), {"changed": 0, "damaged": 0, "harmless": 0}
    good = audit_rows(files.database)
    assert good is not None
    size = files.database.stat().st_size
    for _ in range(count):
        bit = chance.randrange(size * 8)
        _flip(files.database, bit)
        rows, report = audit_rows(files.database), check(files)
        _flip(files.database, bit)
        kind = "changed" if rows != good else "harmless" if report.holds else "damaged"
        assert kind != "changed" or not report.holds, f"bit {bit} of {files.database}"
        assert kind != "damaged" or {one.fault for one in report.findings} <= {Fault.FILE_DAMAGED}, (bit, report)
        tally[kind] += 1
    assert check(files).holds
    return Flips(**tally)


def audit_rows(database: Path) -> list[object] | None:
    """Every audit row as bytes, with the types of its columns; None when they cannot be read. An independent reader."""
    found: list[object] = []
    try:
        with closing(pysqlite3.dbapi2.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.text_factory = bytes
            for table in AUDIT_TABLES:
                columns = [row[1].decode() for row in connection.execute(f"PRAGMA table_info({table})")]
                types = ", ".join(f"typeof({column})" for column in columns)
                query = f"SELECT {', '.join(columns)}, {types} FROM {table} NOT INDEXED"  # noqa: S608 - names of this schema
                found += connection.execute(query).fetchall()
    except (pysqlite3.dbapi2.Error, UnicodeDecodeError):
        return None
    return found


def _flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
