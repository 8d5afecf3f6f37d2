"""The image store, the vault behind it, and the keys that it stands on."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from station.domain.piece import Secrecy
from station.domain.vault import DestructionOrder, ImageKey
from station.ports.screening import RawScan, ScreeningResult
from station.ports.xray import Counts


class ImageStore(Protocol):
    """Raw scans and their views on disk, encrypted, by the SHA-256 of the raw bytes."""

    def put(self, scan: RawScan, level: Secrecy | None) -> str:
        """Store the raw counts of a piece of that level durably; returns their SHA-256, taken before anything else. Blocking.

        Raises:
            StoreError: they, or the key that they need, could not be made durable.
        """
        ...

    def put_views(self, sha256: str, result: ScreeningResult) -> None:
        """Store what screening made of a scan (views, heat map, fingerprint). Blocking."""
        ...

    def raw(self, sha256: str) -> tuple[Counts, Counts]:
        """LE and HE counts; the hash is checked before decoding. Raises `NotFoundError` or `StoreError`."""
        ...

    def views(self, sha256: str) -> ScreeningResult:
        """What screening made of it. Raises `NotFoundError` or `StoreError`."""
        ...

    def free_bytes(self) -> int:
        """Free space on the medium."""
        ...


class KeyStore(Protocol):
    """Key-encryption keys. None of them ever leaves it, so that a hardware token may stand behind it. May be called from any thread."""

    def current(self, day: date, level: Secrecy | None, *, besides: ImageKey | None = None) -> ImageKey:
        """A key of that day and level, another one than `besides`; made and durable before this returns. Raises `StoreError`."""
        ...

    def wrap(self, key: ImageKey, data_key: bytes, about: bytes) -> bytes:
        """Encrypt a data key, bound to what `about` says. Raises `ImageKeyLostError` and `StoreError`."""
        ...

    def unwrap(self, key: ImageKey, wrapped: bytes, about: bytes) -> bytes:
        """The data key again.

        Raises:
            ImageKeyLostError: there is no such key.
            ImageDamagedError: `wrapped` was not made by it and about this.
            StoreError: the key cannot be read.
        """
        ...

    def existing(self) -> tuple[ImageKey, ...]:
        """Every key that exists, whether or not it can be read, by name. Raises `StoreError`."""
        ...

    def destroy(self, key: ImageKey) -> None:
        """Remove a key durably; one that is gone already changes nothing. Raises `StoreError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shredded:
    """What became of the images under a destroyed key.

    `images` are gone; `roll_sha256` is over the roll that names them; `kept` were moved to another key before.
    """

    order: DestructionOrder
    images: int
    kept: int
    roll_sha256: str


class ImageVault(ImageStore, Protocol):
    """The image store, as those see it who keep its keys. Every method blocks, and may raise `StoreError`."""

    def relevel(self, sha256: str, level: Secrecy | None) -> bool:
        """Move an image under today's key of that level; False when it lies under that level already. Raises `NotFoundError`."""
        ...

    def existing_keys(self) -> tuple[ImageKey, ...]:
        """Every key there is, by name."""
        ...

    def destroy(self, key: ImageKey, needed: Collection[str], order: DestructionOrder) -> Shredded:
        """Move the `needed` images under another key of today and the same level, then destroy the key, then remove what lay under it.

        When it is interrupted, either the key still exists and every image with it, or the key is gone and `begun` names it. No image may
        be put under the key meanwhile.

        Raises:
            StoreError: a needed image could not be moved: nothing was destroyed; or the key could not be removed.
        """
        ...

    def begun(self) -> tuple[ImageKey, ...]:
        """Keys that were destroyed, by name, whether or not everything that follows was done."""
        ...

    def finish(self, key: ImageKey) -> Shredded:
        """Make durable that a key which `begun` names is gone, and remove what may be left of the images under it; may be repeated."""
        ...
