"""What stands in files about who is believed in tracking: public keys under names, and secrets that both sides share."""

import base64
import binascii
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from station.domain.errors import ConfigurationError
from station.tracking.signatures import public_from_text

SECRET_PREFIX = "whsec_"  # noqa: S105 - what such a secret begins with
_SHORTEST_SECRET = 24
_NAME_AND_KEY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key that is believed. One with a name is believed only for what says that it comes from that name."""

    public: Ed25519PublicKey
    name: str = ""

    def speaks_for(self, name: str) -> bool:
        """True when what says that it comes from `name` may be signed by this key."""
        return self.name in {"", name}


def read_trusted_keys(path: Path) -> tuple[TrustedKey, ...]:
    """Public keys from a file, a line each: `whpk_…`, or a name and `whpk_…`; empty lines and those that begin with # do not count.

    Raises:
        ConfigurationError: the file or a line cannot be read, or there is no key in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key file {path} cannot be read: {error}", remedy="Copy the other side's public key there") from error
    keys = tuple(_trusted(line.split(), path) for line in key_lines(text))
    if not keys:
        raise ConfigurationError(f"The key file {path} holds no key", remedy="Copy the other side's public key there")
    return keys


def key_lines(text: str) -> list[str]:
    """The lines of a file of keys that say something."""
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _trusted(words: list[str], path: Path) -> TrustedKey:
    if len(words) > _NAME_AND_KEY:
        raise ConfigurationError(
            f"{path}: {' '.join(words)[:60]!r} is no key", remedy="Write a line for each key: a name, if any, and the key"
        )
    return TrustedKey(public=public_from_text(words[-1]), name=words[0] if len(words) == _NAME_AND_KEY else "")


def read_secret(path: Path) -> bytes:
    """A secret that both sides share: `whsec_` and at least 24 bytes in base64, in a file that only its owner may read.

    Raises:
        ConfigurationError: it cannot be read, is too short, or others may read or write it.
    """
    try:
        secret = base64.b64decode(_private_text(path).removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ConfigurationError(f"The secret {path} cannot be read: {error}", remedy=f"Write {SECRET_PREFIX} and base64 there") from error
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(f"The secret {path} has {len(secret)} bytes", remedy=f"Agree on one of at least {_SHORTEST_SECRET} bytes")
    return secret


def read_token(path: Path) -> str:
    """A bearer token from a file that only its owner may read.

    Raises:
        ConfigurationError: there is none, others may read or write it, or no header can carry it.
    """
    token = _private_text(path)
    if not token or not token.isprintable() or " " in token:
        raise ConfigurationError(f"The token {path} cannot be used", remedy="Write the repository's token there, alone on one line")
    return token


def _private_text(path: Path) -> str:
    try:
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The secret {path} cannot be read: {error}", remedy="Write it there, alone on one line") from error
    if open_to_others:
        raise ConfigurationError(
            f"The secret {path} is one that others may read or write",
            consequence="It would prove nothing",
            remedy=f"Agree on a new one, and `chmod 600 {path}`",
        )
    return text
