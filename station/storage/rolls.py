"""Rolls: which images went with which key. The sorted binary hashes of their scans, one file for each key whose destruction was begun."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from station.domain.vault import ImageKey
from station.storage.durable_file import make_directory, write_durably

SUFFIX = ".roll"
_HASH = 32


class Rolls:
    """The rolls in a directory, which is made with the first one. Every method may raise `OSError`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: ImageKey, hashes: Iterable[str]) -> None:
        """Keep a key's roll durably, in place of an earlier one."""
        make_directory(self._root)
        write_durably({self._path(key): b"".join(sorted(bytes.fromhex(one) for one in hashes))})

    def read(self, key: ImageKey) -> tuple[list[str], str]:
        """The scans' hashes on a key's roll, and the SHA-256 of the roll."""
        content = self._path(key).read_bytes()
        return [content[at : at + _HASH].hex() for at in range(0, len(content), _HASH)], hashlib.sha256(content).hexdigest()

    def keys(self) -> tuple[ImageKey, ...]:
        """The keys that have a roll, by name."""
        found = (ImageKey.parse(path.name.removesuffix(SUFFIX)) for path in sorted(self._root.glob(f"*{SUFFIX}")))
        return tuple(key for key in found if key is not None)

    def holds(self, key: ImageKey, sha256: str) -> bool:
        """True when a scan is on a key's roll; looks at a few places of the file alone."""
        wanted, path = bytes.fromhex(sha256), self._path(key)
        low, high = 0, path.stat().st_size // _HASH
        with path.open("rb", buffering=0) as file:
            while low < high:
                middle = (low + high) // 2
                file.seek(middle * _HASH)
                found = file.read(_HASH)
                if found == wanted:
                    return True
                low, high = (middle + 1, high) if found < wanted else (low, middle)
        return False

    def _path(self, key: ImageKey) -> Path:
        return self._root / f"{key.key_id}{SUFFIX}"
