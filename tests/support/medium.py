"""What a medium may hold after a power cut, from what a program asked of it (docs/reference/faulty-disks.md).

Everything that was flushed before the cut is there. Of the rest, each write, each cut of a file and each change of a directory may be
there or not; writes may be there in part, sector by sector, and the new length of a file without what was written. What waited when a
flush failed may be lost for good: later flushes do not bring it.
"""

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

from tests.support.disk_shim import Record

SECTOR = 512


@dataclass(frozen=True, slots=True)
class _Write:
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Size:
    """The file's length set; or made at least so long, where `extend`."""

    size: int
    extend: bool = False


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of one directory that change together: to a file or directory, or to nothing."""

    changes: tuple[tuple[str, Union["_File", "_Directory", None]], ...]


@dataclass(slots=True)
class _Change:
    what: _Write | _Size | _Names
    durable: bool = False
    doubtful: bool = False


@dataclass(slots=True, eq=False)
class _Thing(ABC):
    """A file or directory: the changes since what is surely on the medium, in order."""

    changes: list[_Change] = field(default_factory=list)
    flushing: dict[int, list[_Change]] = field(default_factory=dict)

    def begin(self, ticket: int) -> None:
        self.flushing[ticket] = list(self.changes)

    def end(self, ticket: int, *, failed: bool) -> None:
        for change in self.flushing.pop(ticket):
            change.doubtful |= failed
            # A failed flush leaves the cache thinking that these pages were written: the next one does not write them.
            change.durable |= not failed and not change.doubtful
        while self.changes and self.changes[0].durable:
            self.settle(self.changes.pop(0).what)

    @abstractmethod
    def settle(self, what: _Write | _Size | _Names) -> None:
        """This change is on the medium for good."""


@dataclass(slots=True, eq=False)
class _File(_Thing):
    content: bytearray = field(default_factory=bytearray)

    def settle(self, what: _Write | _Size | _Names) -> None:
        _apply(self.content, what)

    def after_cut(self, chance: "Chance") -> bytearray:
        content = bytearray(self.content)
        for change in self.changes:
            if change.durable:
                _apply(content, change.what)
            elif isinstance(change.what, _Write):
                chance.write(content, change.what)
            elif chance.takes():
                _apply(content, change.what)
        return content


@dataclass(slots=True, eq=False)
class _Directory(_Thing):
    names: dict[str, "_File | _Directory"] = field(default_factory=dict)

    def settle(self, what: _Write | _Size | _Names) -> None:
        _rename(self.names, what)

    def after_cut(self, chance: "Chance") -> dict[str, "_File | _Directory"]:
        names = dict(self.names)
        for change in self.changes:
            if change.durable or chance.takes():
                _rename(names, change.what)
        return names


def _rename(names: dict[str, _File | _Directory], what: _Write | _Size | _Names) -> None:
    assert isinstance(what, _Names)
    for name, thing in what.changes:
        if thing is None:
            names.pop(name, None)
        else:
            names[name] = thing


def _apply(content: bytearray, what: _Write | _Size | _Names) -> None:
    if isinstance(what, _Write):
        _grow(content, what.at + len(what.data))
        content[what.at : what.at + len(what.data)] = what.data
    elif isinstance(what, _Size):
        if not what.extend:
            del content[what.size :]
        _grow(content, what.size)


def _grow(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))


class Chance:
    """What becomes of changes that nobody flushed. `share`: how many of them are there; 0: none, 1: all, wholly."""

    def __init__(self, seed: int | str, share: float | None = None) -> None:
        self._random = random.Random(seed)
        # Nothing and everything are cuts of their own, and the likely ones.
        self._share = self._random.choice((0.0, 0.1, 0.5, 0.5, 0.9, 1.0)) if share is None else share

    def takes(self) -> bool:
        return self._random.random() < self._share

    def write(self, content: bytearray, what: _Write) -> None:
        """All of it, some sectors, the length alone, or nothing."""
        if not self.takes():
            return
        if self._share == 1.0 or self._random.random() < 0.5:
            _apply(content, what)
            return
        if self._random.random() < 0.5:
            _grow(content, what.at + len(what.data))
        start = what.at
        while start < what.at + len(what.data):
            end = min((start // SECTOR + 1) * SECTOR, what.at + len(what.data))
            if self._random.random() < 0.5:
                _apply(content, _Write(start, what.data[start - what.at : end - what.at]))
            start = end


class Medium:
    """Follows a program's records from an empty directory on, or from what lay there before.

    Args:
        root: the directory; what happens outside of it must not be in the records.
        before: a copy of what lay in it, durably.
    """

    def __init__(self, root: Path, before: Path | None = None) -> None:
        self._root = os.fsencode(root)
        self._top = _Directory()
        self._now: dict[bytes, _File | _Directory] = {b"": self._top}
        for path in sorted(before.rglob("*")) if before else ():
            name = os.fsencode(path.relative_to(before))
            thing = _Directory() if path.is_dir() else _File(content=bytearray(path.read_bytes()))
            parent, own = self._parent(name)
            parent.names[own] = self._now[name] = thing
        self._open: dict[int, _File | _Directory] = {}
        self._tickets: dict[int, _File | _Directory] = {}

    def follow(self, some: Iterable[Record]) -> None:
        """Go on with these records."""
        for one in some:
            self._take(one)

    def after_cut(self, target: Path, chance: Chance) -> None:
        """Write into the empty directory `target` what may be found after a power cut now."""
        _materialize(self._top, target, chance)

    def _take(self, one: Record) -> None:
        if one.op == "o":
            self._opened(one)
        elif one.op == "w":
            self._open[one.fd].changes.append(_Change(_Write(one.a, one.one)))
        elif one.op in "te":
            self._open[one.fd].changes.append(_Change(_Size(one.a, extend=one.op == "e")))
        elif one.op == "s":
            self._tickets[one.a] = self._open[one.fd]
            self._tickets[one.a].begin(one.a)
        elif one.op == "S":
            self._tickets.pop(one.a).end(one.a, failed=bool(one.b))
        elif one.op == "d":
            self._named(one.one, _Directory())
        elif one.op == "u":
            self._named(one.one, None)
        elif one.op == "l":
            self._named(one.two, self._now[self._path(one.one)])
        elif one.op == "r":
            self._renamed(self._path(one.one), self._path(one.two))

    def _opened(self, one: Record) -> None:
        path = self._path(one.one)
        if one.a & 1:
            self._named(one.one, _File())
        thing = self._now[path]
        if one.a & 2 and not one.a & 1:
            thing.changes.append(_Change(_Size(0)))
        self._open[one.fd] = thing

    def _named(self, whole: bytes, thing: _File | _Directory | None) -> None:
        path = self._path(whole)
        parent, name = self._parent(path)
        parent.changes.append(_Change(_Names(((name, thing),))))
        if thing is None:
            del self._now[path]
        else:
            self._now[path] = thing

    def _renamed(self, old: bytes, new: bytes) -> None:
        (parent, old_name), (other, new_name) = self._parent(old), self._parent(new)
        thing = self._now.pop(old)
        assert parent is other
        assert isinstance(thing, _File)
        parent.changes.append(_Change(_Names(((old_name, None), (new_name, thing)))))
        self._now[new] = thing

    def _parent(self, path: bytes) -> tuple[_Directory, str]:
        head, _, name = path.rpartition(b"/")
        parent = self._now[head]
        assert isinstance(parent, _Directory)
        return parent, os.fsdecode(name)

    def _path(self, whole: bytes) -> bytes:
        return whole.removeprefix(self._root).strip(b"/")


def _materialize(directory: _Directory, target: Path, chance: Chance) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    for name, thing in directory.after_cut(chance).items():
        if isinstance(thing, _Directory):
            _materialize(thing, target / name, chance)
        else:
            with os.fdopen(os.open(target / name, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(thing.after_cut(chance))
