"""Rolls: which images went with which key, one file for each key whose destruction was begun.

The first line is the order (canonical JSON); the binary hashes of the scans follow, sorted.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from station.domain.vault import DestructionOrder, ImageKey
from station.durable_file import make_directory, write_durably
from station.storage.codec import decode, to_json

SUFFIX = ".roll"
_HASH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """The order, the destroyed images by their scans' hashes, and the SHA-256 over all of the roll."""

    order: DestructionOrder
    hashes: tuple[str, ...]
    sha256: str


class Rolls:
    """The rolls in a directory, which is made with the first one. Every method may raise `OSError`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: ImageKey, order: DestructionOrder, hashes: Iterable[str]) -> None:
        """Keep a key's roll durably, in place of an earlier one."""
        make_directory(self._root)
        head = to_json(order).encode() + b"\n"
        write_durably({self._path(key): head + b"".join(sorted(bytes.fromhex(one) for one in hashes))})

    def read(self, key: ImageKey) -> Roll:
        """A key's roll. Raises `StoreError` when it is damaged."""
        content = self._path(key).read_bytes()
        head, _, rest = content.partition(b"\n")
        order = decode(DestructionOrder, head.decode(errors="replace"), "roll of destroyed images")
        hashes = tuple(rest[at : at + _HASH].hex() for at in range(0, len(rest), _HASH))
        return Roll(order=order, hashes=hashes, sha256=hashlib.sha256(content).hexdigest())

    def begun(self) -> tuple[ImageKey, ...]:
        """The keys that have a roll, by name."""
        found = (ImageKey.parse(path.name.removesuffix(SUFFIX)) for path in sorted(self._root.glob(f"*{SUFFIX}")))
        return tuple(key for key in found if key is not None)

    def holds(self, key: ImageKey, sha256: str) -> bool:
        """True when a scan is on a key's roll; looks at a few places of the file alone."""
        wanted, path = bytes.fromhex(sha256), self._path(key)
        with path.open("rb") as file:
            start = len(file.readline())
            low, high = 0, (path.stat().st_size - start) // _HASH
            while low < high:
                middle = (low + high) // 2
                file.seek(start + middle * _HASH)
                found = file.read(_HASH)
                if found == wanted:
                    return True
                low, high = (middle + 1, high) if found < wanted else (low, middle)
        return False

    def _path(self, key: ImageKey) -> Path:
        return self._root / f"{key.key_id}{SUFFIX}"
