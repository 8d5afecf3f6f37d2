"""Signatures on the way to the tracking system and back: Standard Webhooks out, receipts in.

Sources: Standard Webhooks 1.0.0, "Signature scheme" (`v1` HMAC-SHA256, `v1a` Ed25519 over `id.timestamp.body`); RFC 8785; RFC 8032.
"""

import base64
import binascii
import contextlib
import hmac
import json
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key
from standardwebhooks import Webhook

from station.domain.errors import ConfigurationError
from station.durable_file import make_directory, settle, write_new
from station.ports.tracking import Receipt

PUBLIC_PREFIX = "whpk_"
_MOST_SIGNATURES = 16


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """The signing key in a PEM file that only its owner may read (0600); made if missing, with its directory.

    Raises:
        ConfigurationError: it cannot be read or written, is no Ed25519 key, or others than its owner may read or write it.
    """
    try:
        make_directory(path.parent)
        if not path.exists():
            # Durable before anything is signed: what was signed by a key that a power cut took would count as forged.
            with contextlib.suppress(FileExistsError):
                write_new(path, Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        settle(path)
    except OSError as error:
        raise ConfigurationError(
            f"The key file {path} cannot be written: {error.strerror}", remedy="Let the station's user write there"
        ) from error
    return load_key(path)


def load_key(path: Path) -> Ed25519PrivateKey:
    """A signing key that is there already. Raises `ConfigurationError` like `load_or_create_key`."""
    try:
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The key file {path} cannot be read: {error}", remedy="Restore it, or remove it to have a new key made"
        ) from error
    if open_to_others:
        raise ConfigurationError(
            f"The key file {path} is one that others may read or write",
            consequence="What it signs would prove nothing",
            remedy=f"Find out who could read it; then `chmod 600 {path}`, or remove it to have a new key made",
        )
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"The key file {path} holds no Ed25519 key", remedy="Restore it, or remove it to have a new key made")
    return key


def public_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """A public key as text: `whpk_` and base64, after Standard Webhooks."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return PUBLIC_PREFIX + base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def public_from_text(text: str) -> Ed25519PublicKey:
    """Read a public key from text. Raises `ConfigurationError`."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip().removeprefix(PUBLIC_PREFIX), validate=True))
    except (ValueError, binascii.Error) as error:
        raise ConfigurationError(
            f"{text[:20]!r} is no Ed25519 public key", remedy=f"Give {PUBLIC_PREFIX} and 32 bytes in base64"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What attempts are signed with. Each key and each secret signs: so the other side learns a new one before the old one goes."""

    keys: tuple[Ed25519PrivateKey, ...] = ()
    secrets: tuple[bytes, ...] = ()


def webhook_headers(event_id: str, body: bytes, now: datetime, signing: Signing) -> dict[str, str]:
    """The three Standard Webhooks headers of one attempt, with a `v1a` signature for each key and a `v1` one for each secret."""
    timestamp = str(int(now.timestamp()))
    signatures = ["v1a," + base64.b64encode(key.sign(_signed(event_id, timestamp, body))).decode() for key in signing.keys]
    signatures += [Webhook(secret).sign(event_id, now.astimezone(UTC), body.decode()) for secret in signing.secrets]
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def webhook_holds(
    *,
    event_id: str,
    timestamp: str,
    signatures: str,
    body: bytes,
    keys: tuple[Ed25519PublicKey, ...] = (),
    secrets: tuple[bytes, ...] = (),
) -> bool:
    """True when one of the signatures is that of one of the keys or secrets (several while keys rotate)."""
    # Whoever knows no key must not have hundreds of them checked.
    for versioned in signatures.split(" ")[:_MOST_SIGNATURES]:
        version, _, text = versioned.partition(",")
        try:
            signature = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if version == "v1a" and any(_verifies(key, signature, _signed(event_id, timestamp, body)) for key in keys):
            return True
        if version == "v1" and any(hmac.compare_digest(signature, _hmac(secret, event_id, timestamp, body)) for secret in secrets):
            return True
    return False


def sign_receipt(
    key: Ed25519PrivateKey, *, event_id: str, subject: str, sequence: int, body_sha256: str, receiver: str, received_at: datetime
) -> str:
    """A receipt as JSON text."""
    members: dict[str, str | int] = {
        "id": event_id,
        "subject": subject,
        "sequence": sequence,
        "body_sha256": body_sha256,
        "receiver": receiver,
        "received_at": received_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return _as_text(members, key)


def renew_receipt(text: str, key: Ed25519PrivateKey, receiver: str) -> str:
    """A receipt given again: by the same key under the same name the same text, else what it says signed by the key of now."""
    members = json.loads(text)
    del members["signature"]
    members["receiver"] = receiver
    return _as_text(members, key)


def receipt_text(receipt: Receipt) -> str:
    """A receipt as it was signed, as JSON text: without whatever else came with it."""
    return _json(asdict(receipt))


def _as_text(members: dict[str, str | int], key: Ed25519PrivateKey) -> str:
    return _json(signed(members, key))


def _json(members: Mapping[str, str | int]) -> str:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def signed(members: dict[str, str | int], key: Ed25519PrivateKey) -> dict[str, str | int]:
    """The members with their `signature`: base64 Ed25519 over their RFC 8785 form."""
    return {**members, "signature": base64.b64encode(key.sign(rfc8785.dumps(members))).decode()}


def signed_by(members: Mapping[str, Any], key: Ed25519PublicKey) -> bool:
    """True when `signature` is the key's over the RFC 8785 form of the other members; False for whatever cannot be checked."""
    others = {name: member for name, member in members.items() if name != "signature"}
    try:
        return _verifies(key, base64.b64decode(str(members["signature"]), validate=True), rfc8785.dumps(others))
    except (ValueError, KeyError, RecursionError):
        return False


def read_receipt(text: str) -> Receipt | None:
    """A receipt from the receiver's answer; None when it is none."""
    try:
        members = json.loads(text)
        if not isinstance(members, dict) or any(type(members.get(field.name)) is not field.type for field in fields(Receipt)):
            return None
        return Receipt(**{field.name: members[field.name] for field in fields(Receipt)})
    except (ValueError, RecursionError):
        return None


def receipt_holds(receipt: Receipt, key: Ed25519PublicKey) -> bool:
    """True when the receipt is signed by the receiver's key."""
    return signed_by(asdict(receipt), key)


def _signed(event_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{event_id}.{timestamp}.".encode() + body


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _hmac(secret: bytes, event_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(secret, _signed(event_id, timestamp, body), "sha256")
