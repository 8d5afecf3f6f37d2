"""Encryption of an image's files under its data key, and of the data key under a key-encryption key (decision 0100).

AES-256-GCM (NIST SP 800-38D) with 96-bit nonces from the operating system. One data key seals a scan and its views, a few times at most;
one key-encryption key wraps the data keys of one day: both stay far below the 2^32 messages that random nonces allow.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from station.domain.vault import ImageKey

MAGIC = b"KT1SEAL1"
_NONCE = 12
_TAG = 16
_KEY_BITS = 256


class BrokenSealError(ValueError):
    """Not what was sealed under this key and about this."""


def new_key() -> bytes:
    """A key of 32 random bytes."""
    return AESGCM.generate_key(_KEY_BITS)


def seal(key: bytes, content: bytes, about: bytes) -> bytearray:
    """Magic, nonce, ciphertext and tag of `content`, bound to `about`."""
    nonce = os.urandom(_NONCE)
    start = len(MAGIC) + _NONCE
    sealed = bytearray(start + len(content) + _TAG)
    sealed[:start] = MAGIC + nonce
    # In place: a scan has megabytes, and copying them takes as long as encrypting them.
    with memoryview(sealed) as whole:
        AESGCM(key).encrypt_into(nonce, content, about, whole[start:])
    return sealed


def unseal(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """The content again. Raises `BrokenSealError`."""
    start = len(MAGIC) + _NONCE
    if len(sealed) < start + _TAG or not is_sealed(sealed):
        raise BrokenSealError
    try:
        return AESGCM(key).decrypt(sealed[len(MAGIC) : start], memoryview(sealed)[start:], about)
    except InvalidTag as error:
        raise BrokenSealError from error


def is_sealed(data: bytes) -> bool:
    """True when data begins as sealed data does; nothing in clear does."""
    return data.startswith(MAGIC)


def about_file(sha256: str, what: str) -> bytes:
    """What a sealed file is bound to: the scan that it belongs to, and what it is of it."""
    return f"kt1:image:v1\0{sha256}\0{what}".encode()


def about_data_key(sha256: str, key: ImageKey) -> bytes:
    """What a wrapped data key is bound to: the scan, and the key with its day and level."""
    return f"kt1:data-key:v1\0{sha256}\0{key.key_id}".encode()
