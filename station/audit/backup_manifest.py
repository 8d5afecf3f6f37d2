"""A backup's manifest: what lies in it, file by file, signed by the log's key. Pure.

It has one form as files: the manifest in RFC 8785 JSON and a newline, and beside it a signed note of its hash.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from station.audit import note
from station.audit.checkpoint import LogKey, origin_of
from station.audit.note import LOG, MalformedNoteError, VerifierKey
from station.domain.backup import BackedUpFile
from station.domain.canonical import canonical

TYPE = "kt1:backup:v1"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}-[0-9]{8}T[0-9]{6}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class MalformedManifestError(ValueError):
    """The file is no manifest of a backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is of. `leaves` is how many leaves its audit log has; `files` are sorted by path."""

    name: str
    site: str
    made_at: datetime
    leaves: int
    files: tuple[BackedUpFile, ...]

    @property
    def content(self) -> bytes:
        """The file."""
        members: dict[str, Any] = {
            "type": TYPE,
            "name": self.name,
            "site": self.site,
            "made_at": self.made_at.astimezone(UTC).isoformat(timespec="seconds"),
            "leaves": self.leaves,
            # Nanoseconds since 1970 are larger than what every JSON reader keeps exactly.
            "files": [[one.path, one.size, one.sha256, str(one.changed_ns)] for one in self.files],
        }
        return f"{canonical(members)}\n".encode()


def name_of(site: str, made_at: datetime) -> str:
    """How a backup of a site is called; names of one site are in the order of time."""
    return f"{site}-{made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def is_name(name: str, site: str) -> bool:
    """True for the name of a backup of that site."""
    return _NAME.fullmatch(name) is not None and name.rpartition("-")[0] == site


def read_manifest(content: bytes) -> Manifest:
    """Read a manifest; nothing of it is believed yet. Raises `MalformedManifestError`, also for a path that leads out of the backup."""
    try:
        members = json.loads(content)
        files = tuple(
            BackedUpFile(path=_inside(path), size=int(size), sha256=_hash(sha256), changed_ns=int(changed_ns))
            for path, size, sha256, changed_ns in members["files"]
        )
        found = Manifest(
            name=str(members["name"]),
            site=str(members["site"]),
            made_at=datetime.fromisoformat(members["made_at"]),
            leaves=int(members["leaves"]),
            files=files,
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedManifestError(f"it cannot be read: {error!r}") from error
    if found.content != content or not is_name(found.name, found.site):
        raise MalformedManifestError("it is not written as manifests are")
    return found


def sign_manifest(content: bytes, key: LogKey) -> str:
    """The signed note of a manifest."""
    text = _signed_text(content)
    return note.join(text, [note.sign(text, key.origin, key.key)])


def manifest_signed(content: bytes, signature: str, keys: Iterable[VerifierKey], site: str) -> bool:
    """True when a key of the site's log signed exactly this manifest."""
    believed = [key for key in keys if key.kind == LOG and key.name == origin_of(site)]
    try:
        parts = note.split(signature)
        return parts.text == _signed_text(content) and bool(note.verify(parts, believed))
    except MalformedNoteError:
        return False


def _signed_text(content: bytes) -> str:
    # No checkpoint's text and no certificate's begins with this line.
    return f"{TYPE}\n{hashlib.sha256(content).hexdigest()}\n"


def _inside(path: Any) -> str:
    parts = PurePosixPath(str(path)).parts
    if not parts or str(PurePosixPath(*parts)) != path or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"{str(path)[:60]!r} leads out of the backup")
    return str(path)


def _hash(text: Any) -> str:
    if _SHA256.fullmatch(str(text)) is None:
        raise ValueError(f"{str(text)[:70]!r} is no SHA-256")
    return str(text)
