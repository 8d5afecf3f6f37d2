"""The image vault: raw scans and their views as sealed files, named by the SHA-256 of the raw counts (decisions 0016 and 0100).

An image is up to three files: its data key, wrapped by the key-encryption key of a day and level (`.key`), the scan (`.scan`) and what
screening made of it (`.views`), both sealed under the data key. Moving an image to another key writes the first one anew and nothing else.
"""

import contextlib
import dataclasses
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from station.domain.errors import ImageDamagedError, ImageDestroyedError, ImageKeyLostError, NotFoundError, SeveralFailuresError, StoreError
from station.domain.piece import Secrecy
from station.domain.vault import DestructionOrder, ImageKey, strictest
from station.durable_file import TEMPORARY, flush_directory, make_directory, write_durably
from station.ports.clock import Clock
from station.ports.screening import RawScan, ScreeningResult
from station.ports.vault import KeyStore, Shredded
from station.ports.xray import Counts, raw_sha256
from station.storage import image_file, sealing, views_file
from station.storage.rolls import Rolls

KEY, SCAN, VIEWS = ".key", ".scan", ".views"
_NAME_LENGTH = 64
_FOLDERS = 256


class FileImageStore:
    """`station.ports.vault.ImageVault` in a directory tree. All methods block; call them in a thread, from as many as wanted.

    A name never stands for half a file, and nothing of an image is ever written in clear. `put` returns when scan and key are durable.

    Args:
        root: directory of the images; made if missing, mode 0700.
        keys: the key-encryption keys; kept elsewhere.
        clock: tells the UTC day whose key is used.
    """

    def __init__(self, root: Path, *, keys: KeyStore, clock: Clock) -> None:
        self._root = root
        self._keys = keys
        self._clock = clock
        self._rolls = Rolls(root / "destroyed")
        # One image is changed by one thread at a time.
        self._guards = [threading.Lock() for _ in range(_FOLDERS)]
        # Folders in which whatever can be seen is durable.
        self._settled: set[Path] = set()
        try:
            make_directory(root)
        except OSError as error:
            raise _not_written(root, error) from error

    def put(self, scan: RawScan, level: Secrecy | None) -> str:
        """Store the raw counts durably under today's key of the level, and return their SHA-256.

        The very same counts may be there already: then the image lies from now on under today's key of the stricter of both levels, and a
        damaged copy is replaced.

        Raises:
            StoreError: they, or their key, could not be made durable.
        """
        sha256 = raw_sha256(scan.le, scan.he)
        self._put(sha256, lambda: image_file.encode(scan, sha256), level, only_if_not_whole=True)
        return sha256

    def put_as_it_is(self, sha256: str, content: bytes, level: Secrecy | None) -> None:
        """Seal a damaged scan's file as it was found: it shows a piece, and somebody may still get something out of it.

        Raises:
            NotFoundError: that is not the name of a scan.
            StoreError: it, or its key, could not be made durable.
        """
        self._put(sha256, lambda: content, level, only_if_not_whole=False)

    def put_views(self, sha256: str, result: ScreeningResult) -> None:
        """Store what screening made of a scan; replaces an earlier result. Raises `NotFoundError` and `StoreError`."""
        with self._guard(sha256):
            _, data_key = self._open(sha256)
            sealed = sealing.seal(data_key, views_file.pack(result), sealing.about_file(sha256, VIEWS))
            self._write(sha256, {self._path(sha256, VIEWS): sealed})

    def raw(self, sha256: str) -> tuple[Counts, Counts]:
        """LE and HE counts, each (lines, pixels) u16; seal and hashes are checked. Raises `NotFoundError` or `StoreError`."""
        scan = self.scan(sha256)
        return scan.le, scan.he

    def scan(self, sha256: str) -> RawScan:
        """The scan with its calibration, as it was stored. Raises `NotFoundError` or `StoreError`."""
        with self._telling_destroyed(sha256):
            _, data_key = self._open(sha256)
            return image_file.decode_scan(self._unsealed(sha256, SCAN, data_key), sha256)

    def views(self, sha256: str) -> ScreeningResult:
        """What screening made of a scan; the seal is checked before decoding. Raises `NotFoundError` or `StoreError`."""
        try:
            with self._telling_destroyed(sha256):
                _, data_key = self._open(sha256)
                return views_file.unpack(self._unsealed(sha256, VIEWS, data_key))
        except ValueError as error:
            raise image_file.damaged(sha256, f"its views: {error}") from error

    def free_bytes(self) -> int:
        """Free space on the medium; 0 when it cannot be asked."""
        try:
            return shutil.disk_usage(self._root).free
        except OSError:
            return 0

    def relevel(self, sha256: str, level: Secrecy | None) -> bool:
        """See `ImageVault`."""
        with self._guard(sha256):
            if self._envelope_of(sha256)[0].level is level:
                # Perhaps only until a power cut, where an earlier move failed.
                self._settle(sha256)
                return False
            self._move(sha256, level)
            return True

    def existing_keys(self) -> tuple[ImageKey, ...]:
        """See `ImageVault`."""
        return self._keys.existing()

    def each(self) -> Iterator[tuple[str, ImageKey]]:
        """Every image that can still tell its key, and that key, in no order that means anything.

        Raises:
            StoreError: the medium failed, so it is not known what lies under which key.
        """
        for sha256 in self._listed():
            try:
                key = self._key_of(sha256)
            except NotFoundError:
                continue
            if key is not None:
                yield sha256, key

    def destroy(self, key: ImageKey, needed: Collection[str], order: DestructionOrder) -> Shredded:
        """See `ImageVault`. The roll is written first, then the key is removed, then the files."""
        everything = list(self.each())
        # What was moved to another key before must not come back to this one.
        for sha256 in {sha256[:2]: sha256 for sha256, _ in everything}.values():
            with self._guard(sha256):
                self._settle(sha256)
        here = [sha256 for sha256, under in everything if under == key]
        kept = [sha256 for sha256 in here if sha256 in needed]
        stuck = [error for sha256 in kept if (error := self._stuck(sha256, key)) is not None]
        if stuck:
            raise SeveralFailuresError(map(str, stuck))
        try:
            self._rolls.write(key, order, (sha256 for sha256 in here if sha256 not in needed))
        except OSError as error:
            raise _not_removed(key, error) from error
        return dataclasses.replace(self.finish(key), kept=len(kept))

    def begun(self) -> tuple[ImageKey, ...]:
        """See `ImageVault`."""
        there = self._keys.existing()
        return tuple(key for key in self._rolls.begun() if key not in there)

    def finish(self, key: ImageKey) -> Shredded:
        """See `ImageVault`."""
        # Here too where it is gone already: a process may have died before that was durable, and a key must not come back.
        self._keys.destroy(key)
        try:
            roll = self._rolls.read(key)
            for sha256 in roll.hashes:
                self._forget(sha256, key)
        except OSError as error:
            raise _not_removed(key, error) from error
        return Shredded(order=roll.order, images=len(roll.hashes), kept=0, roll_sha256=roll.sha256)

    def tidy(self) -> int:
        """Remove what an earlier, killed process left half-written; returns how many files. Only for the process that owns the data.

        Raises:
            StoreError: the medium failed.
        """
        left: list[Path] = []
        try:
            for folder in [path for path in self._root.iterdir() if path.is_dir()]:
                paths = set(folder.iterdir())
                left += [path for path in paths if path.suffix == TEMPORARY]
                left += [path for path in paths if path.suffix == KEY and path.with_suffix(SCAN) not in paths]
            for path in left:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _not_written(self._root, error) from error
        return len(left)

    def _put(self, sha256: str, content: Callable[[], bytes], level: Secrecy | None, *, only_if_not_whole: bool) -> None:
        with self._guard(sha256):
            self._settle(sha256)
            try:
                key, data_key = self._open(sha256)
                level = strictest((level, key.level))
            except (NotFoundError, StoreError):
                # Whatever lies there can never be opened again; what is sealed anew must not stand beside it.
                key, data_key = None, sealing.new_key()
            files: dict[Path, bytes | bytearray] = {}
            today = self._keys.current(self._clock.utc_now().date(), level)
            if key != today:
                files[self._path(sha256, KEY)] = self._envelope(sha256, today, data_key)
            if key is None or not (only_if_not_whole and self._is_whole(sha256, data_key)):
                files[self._path(sha256, SCAN)] = sealing.seal(data_key, content(), sealing.about_file(sha256, SCAN))
            self._write(sha256, files, without=() if key else (VIEWS,))

    def _listed(self) -> Iterator[str]:
        # Not a glob, which takes a folder that cannot be read for an empty one: what is not seen here may be destroyed.
        try:
            for folder in range(_FOLDERS):
                with contextlib.suppress(FileNotFoundError):
                    names = [path.name for path in (self._root / f"{folder:02x}").iterdir()]
                    yield from (name.removesuffix(KEY) for name in names if name.endswith(KEY))
        except OSError as error:
            raise StoreError(
                f"The images in {self._root} cannot be listed: {error.strerror}", consequence="None is destroyed", remedy="Check the disk"
            ) from error

    def _guard(self, sha256: str) -> threading.Lock:
        _check_name(sha256)
        return self._guards[int(sha256[:2], 16)]

    def _path(self, sha256: str, suffix: str) -> Path:
        _check_name(sha256)
        return self._root / sha256[:2] / f"{sha256}{suffix}"

    def _envelope(self, sha256: str, key: ImageKey, data_key: bytes) -> bytes:
        return f"{key.key_id}\n".encode() + self._keys.wrap(key, data_key, sealing.about_data_key(sha256, key))

    def _key_of(self, sha256: str) -> ImageKey | None:
        """The key under which an image lies; None when it does not tell any more. Raises `NotFoundError` and `StoreError`."""
        return _parted(self._read(sha256, KEY))[0]

    def _envelope_of(self, sha256: str) -> tuple[ImageKey, bytes]:
        """The key under which an image lies, and its wrapped data key."""
        key, wrapped = _parted(self._read(sha256, KEY))
        if key is None:
            raise image_file.damaged(sha256, "its key file is truncated or changed")
        return key, wrapped

    def _open(self, sha256: str) -> tuple[ImageKey, bytes]:
        """The key under which an image lies, and its data key."""
        key, wrapped = self._envelope_of(sha256)
        while True:
            try:
                return key, self._keys.unwrap(key, wrapped, sealing.about_data_key(sha256, key))
            except ImageDamagedError as error:
                # The keys' keeper does not know whose data key it was given.
                raise image_file.damaged(sha256, f"its key file is truncated or changed: {error.what}") from error
            except ImageKeyLostError:
                # It may have been moved to another key while this one was destroyed.
                again, wrapped = self._envelope_of(sha256)
                if again == key:
                    raise
                key = again

    def _move(self, sha256: str, level: Secrecy | None, *, besides: ImageKey | None = None) -> None:
        """Put an image under today's key of a level, another one than `besides`. The caller holds the guard."""
        key, data_key = self._open(sha256)
        today = self._keys.current(self._clock.utc_now().date(), level, besides=besides)
        if today != key:
            self._write(sha256, {self._path(sha256, KEY): self._envelope(sha256, today, data_key)})

    def _stuck(self, sha256: str, key: ImageKey) -> StoreError | None:
        """Move an image away from a key; what kept it there, if something did: each is to be told, not only the first."""
        try:
            with self._guard(sha256):
                self._move(sha256, key.level, besides=key)
        except StoreError as error:
            return error
        return None

    def _is_whole(self, sha256: str, data_key: bytes) -> bool:
        try:
            return image_file.is_whole(self._unsealed(sha256, SCAN, data_key))
        except (NotFoundError, StoreError):
            return False

    def _unsealed(self, sha256: str, suffix: str, data_key: bytes) -> bytes:
        try:
            return sealing.unseal(data_key, self._read(sha256, suffix), sealing.about_file(sha256, suffix))
        except sealing.BrokenSealError as error:
            raise image_file.damaged(sha256, f"its {suffix[1:]} is truncated or changed") from error

    def _read(self, sha256: str, suffix: str) -> bytes:
        path = self._path(sha256, suffix)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise _no_scan(sha256) from None
        except OSError as error:
            raise image_file.damaged(sha256, f"{path} cannot be read: {error.strerror}") from error

    @contextlib.contextmanager
    def _telling_destroyed(self, sha256: str) -> Iterator[None]:
        """Tell an image that was destroyed from one that is unknown or whose key is lost.

        For those alone who show it: there is a roll for each day and level of all years, and a lane has no time to look through them.
        """
        try:
            yield
        except (NotFoundError, ImageKeyLostError):
            key = self._destroyed_with(sha256)
            if key is None:
                raise
            raise ImageDestroyedError(
                f"The image {sha256} was destroyed with its key {key.key_id}",
                consequence="What is known of it stands in the evidence",
                remedy="Nothing brings it back; see `station vault status`",
            ) from None

    def _destroyed_with(self, sha256: str) -> ImageKey | None:
        try:
            under = self._key_of(sha256)
        except NotFoundError:
            under = None
        # A roll that cannot be read tells nothing.
        with contextlib.suppress(OSError):
            return next((key for key in self.begun() if under in {None, key} and self._rolls.holds(key, sha256)), None)
        return None

    def _forget(self, sha256: str, key: ImageKey) -> None:
        """Remove an image's files, if it still lies under that key."""
        with self._guard(sha256):
            try:
                under = self._key_of(sha256)
            except NotFoundError:
                return
            if under == key:
                # The wrapped key goes last: as long as it is there, the next try finds the rest.
                for suffix in (VIEWS, SCAN, KEY):
                    self._path(sha256, suffix).unlink(missing_ok=True)

    def _settle(self, sha256: str) -> None:
        """Make durable what lies in an image's folder, and the folder: an earlier try may have failed, or been killed, before it was."""
        folder = self._root / sha256[:2]
        if folder in self._settled:
            return
        try:
            make_directory(folder)
            flush_directory(folder)
        except OSError as error:
            raise _not_written(folder, error) from error
        self._settled.add(folder)

    def _write(self, sha256: str, files: Mapping[Path, bytes | bytearray], *, without: Collection[str] = ()) -> None:
        """Write files of an image durably, having removed those with the suffixes `without`. The caller holds the guard."""
        self._settle(sha256)
        folder = self._root / sha256[:2]
        try:
            for suffix in without:
                self._path(sha256, suffix).unlink(missing_ok=True)
            write_durably(files)
        except OSError as error:
            self._settled.discard(folder)
            raise _not_written(folder, error) from error


def _parted(envelope: bytes) -> tuple[ImageKey | None, bytes]:
    key_id, _, wrapped = envelope.partition(b"\n")
    return ImageKey.parse(key_id.decode("ascii", errors="replace")), wrapped


def _check_name(sha256: str) -> None:
    # The name comes from outside in a URL; nothing but a hash may become a path.
    if len(sha256) != _NAME_LENGTH or not set(sha256) <= set("0123456789abcdef"):
        raise NotFoundError("There is no such scan", remedy="Load the list of scans again")


def _no_scan(sha256: str) -> NotFoundError:
    return NotFoundError(f"There is no stored scan {sha256}, or nothing was made of it yet", remedy="Load the list of scans again")


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {error.strerror}",
        consequence="The scan is not stored, so its piece is held",
        remedy="Free space on the disk and check that the station's user may write to it",
    )


def _not_removed(key: ImageKey, error: OSError) -> StoreError:
    return StoreError(
        f"The images under {key.key_id} cannot be destroyed: {error.strerror}",
        consequence="They are kept for longer than the policy allows",
        remedy="Check the disk, and that the station's user may write to it",
    )
