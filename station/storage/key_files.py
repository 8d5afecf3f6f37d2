"""Key-encryption keys of images, one file each, in a directory of their own that no backup may hold (decision 0101)."""

import hashlib
import os
import secrets
import threading
from datetime import date
from pathlib import Path

from station.domain.errors import ImageDamagedError, ImageKeyLostError, StoreError
from station.domain.piece import Secrecy
from station.domain.vault import ImageKey
from station.durable_file import flush_directory, make_directory, write_durably
from station.storage import sealing

SUFFIX = ".key"
_MAGIC = "KT1KEY1"
_KEY_BYTES = 32
_HELD = "Images under it cannot be written or read, and pieces whose images need it are held"


class FileKeyStore:
    """`station.ports.vault.KeyStore` in a directory of files of mode 0600.

    A file holds magic, key id, the key in hexadecimal, and the SHA-256 of these three. A key that was read once stays in memory, but new
    images are only put under one whose file is there.

    Args:
        root: the directory; made with the first key, mode 0700.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._guard = threading.Lock()
        self._read: dict[ImageKey, bytes] = {}
        # True when whatever can be seen in the directory is durable.
        self._settled = False

    def current(self, day: date, level: Secrecy | None, *, besides: ImageKey | None = None) -> ImageKey:
        """See `KeyStore`."""
        with self._guard:
            if not self._settled:
                self._settle()
            found = next((key for key in self.existing() if key.day == day and key.level is level and key != besides), None)
            if found is not None:
                self._key(found)
                return found
            made = ImageKey(day=day, level=level, serial=secrets.token_hex(4))
            content = sealing.new_key()
            try:
                write_durably({self._path(made): _encode(made, content)})
            except OSError as error:
                self._settled = False
                raise _unwritable(self._path(made), error) from error
            self._read[made] = content
            return made

    def wrap(self, key: ImageKey, data_key: bytes, about: bytes) -> bytes:
        """See `KeyStore`."""
        with self._guard:
            content = self._key(key)
        return bytes(sealing.seal(content, data_key, about))

    def unwrap(self, key: ImageKey, wrapped: bytes, about: bytes) -> bytes:
        """See `KeyStore`."""
        with self._guard:
            content = self._key(key)
        try:
            return sealing.unseal(content, wrapped, about)
        except sealing.BrokenSealError as error:
            raise ImageDamagedError(
                f"The data key of an image was not wrapped by {key.key_id}, or was changed",
                consequence="Nothing of the image is shown or decided on, and its piece is held",
                remedy="Restore the image's files from a backup, or feed the piece in again for a new scan",
            ) from error

    def existing(self) -> tuple[ImageKey, ...]:
        """See `KeyStore`."""
        try:
            names = sorted(path.name for path in self._root.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(self._root, error.strerror or "") from error
        found = (ImageKey.parse(name.removesuffix(SUFFIX)) for name in names if name.endswith(SUFFIX))
        return tuple(key for key in found if key is not None)

    def destroy(self, key: ImageKey) -> None:
        """See `KeyStore`. What the medium itself keeps of a removed file is out of reach (see decision 0101)."""
        path = self._path(key)
        with self._guard:
            self._read.pop(key, None)
            try:
                path.unlink(missing_ok=True)
                if self._root.is_dir():
                    flush_directory(self._root)
            except OSError as error:
                raise StoreError(
                    f"The image key {path} cannot be removed: {error.strerror}",
                    consequence="The images under it are not destroyed",
                    remedy="Check the disk, and that the station's user may write to it",
                ) from error

    def trouble(self) -> list[str]:
        """What is wrong with the directory and its files, a line each; reads every key."""
        found: list[str] = []
        try:
            # The directory may be a link to another medium; a key may not.
            modes = {self._root: self._root.stat().st_mode & 0o077} | {path: path.lstat().st_mode & 0o077 for path in self._root.iterdir()}
        except FileNotFoundError:
            return found
        except OSError as error:
            return [f"{self._root} cannot be read: {error.strerror}"]
        found += [f"{path.name} is open to others than its owner" for path, mode in modes.items() if mode]
        for key in self.existing():
            try:
                with self._guard:
                    self._read.pop(key, None)
                    self._key(key)
            except StoreError as error:
                found.append(error.what)
        return found

    def _settle(self) -> None:
        # A key that is there only until a power cut would take every image with it.
        try:
            make_directory(self._root)
            flush_directory(self._root)
        except OSError as error:
            raise _unwritable(self._root, error) from error
        self._settled = True

    def _path(self, key: ImageKey) -> Path:
        return self._root / f"{key.key_id}{SUFFIX}"

    def _key(self, key: ImageKey) -> bytes:
        known = self._read.get(key)
        if known is not None:
            return known
        path = self._path(key)
        try:
            # Not through a link: what destroys a key would remove the link and leave the key.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                text = file.read()
        except FileNotFoundError:
            raise ImageKeyLostError(
                f"There is no image key {key.key_id}",
                consequence="The images under it cannot be read",
                remedy="Nothing brings them back, unless somebody kept the key's file",
            ) from None
        except OSError as error:
            raise _unreadable(path, error.strerror or "") from error
        content = _decode(key, text)
        if content is None:
            raise _unreadable(path, "it is truncated or changed")
        self._read[key] = content
        return content


def _encode(key: ImageKey, content: bytes) -> bytes:
    line = f"{_MAGIC} {key.key_id} {content.hex()}"
    return f"{line} {hashlib.sha256(line.encode()).hexdigest()}\n".encode()


def _decode(key: ImageKey, text: bytes) -> bytes | None:
    try:
        content = bytes.fromhex(text.split()[2].decode("ascii"))
    except (IndexError, ValueError):
        return None
    # Whatever is not exactly what was written is no key.
    return content if len(content) == _KEY_BYTES and _encode(key, content) == text else None


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The image key {path} cannot be written: {error.strerror}",
        consequence="No image can be stored, so pieces are held",
        remedy="Free space on the disk and check that the station's user may write to it",
    )


def _unreadable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"The image key {path} cannot be used: {why}",
        consequence=_HELD,
        remedy="Check the disk. A file that is damaged for good: move it away, and a new key is made; images under the old one are lost",
    )
