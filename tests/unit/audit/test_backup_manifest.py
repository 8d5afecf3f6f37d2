"""A backup's manifest: one form, one signature, and no path that leads out of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from station.audit.backup_manifest import MalformedManifestError, Manifest, is_name, manifest_signed, name_of, read_manifest, sign_manifest
from station.audit.checkpoint import LogKey, origin_of
from station.domain.backup import BackedUpFile

KEY = LogKey(origin_of("hn1"), Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
AT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
FILE = BackedUpFile(path="data/station.db", size=4096, sha256="a" * 64, changed_ns=1_795_000_000_123_456_789)
MANIFEST = Manifest(name=name_of("hn1", AT), site="hn1", made_at=AT, leaves=7, files=(FILE,))


def test_it_reads_back_and_is_signed():
    content = MANIFEST.content
    assert read_manifest(content) == MANIFEST
    signature = sign_manifest(content, KEY)
    assert manifest_signed(content, signature, [KEY.verifier()], "hn1")
    for other, note, keys, site in (
        (content + b" ", signature, [KEY.verifier()], "hn1"),
        (replace(MANIFEST, leaves=8).content, signature, [KEY.verifier()], "hn1"),
        (content, signature.replace(" ", "  ", 1), [KEY.verifier()], "hn1"),
        (content, "", [KEY.verifier()], "hn1"),
        (content, signature, [], "hn1"),
        (content, signature, [KEY.verifier()], "hn2"),
        (content, signature, [LogKey(KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes([2] * 32))).verifier()], "hn1"),
        (content, KEY.checkpoint(7, bytes(32)), [KEY.verifier()], "hn1"),
    ):
        assert not manifest_signed(other, note, keys, site)


@pytest.mark.parametrize(
    "path", ["../station.db", "/etc/passwd", "data/../../x", "data//x", "./data/x", "data/x/", "", "data/\0x", 7, None]
)
def test_no_path_leads_out(path: Any):
    members = json.loads(MANIFEST.content)
    members["files"][0][0] = path
    with pytest.raises(MalformedManifestError):
        read_manifest(f"{json.dumps(members, sort_keys=True, separators=(',', ':'))}\n".encode())


@given(place=st.integers(0, len(MANIFEST.content) - 1), value=st.integers(0, 255))
def test_one_changed_byte_is_another_manifest_or_none(place: int, value: int):
    content = bytearray(MANIFEST.content)
    changed = content[place] != value
    content[place] = value
    try:
        found = read_manifest(bytes(content))
    except MalformedManifestError:
        assert changed
    else:
        assert (found != MANIFEST) is changed


@pytest.mark.parametrize("content", [b"", b"[]", b"null\n", b"\xff", b"[" * 100_000, b'{"files":3}'])
def test_what_is_none_is_told(content: bytes):
    with pytest.raises(MalformedManifestError):
        read_manifest(content)


def test_names_are_in_the_order_of_time_and_of_one_site():
    assert MANIFEST.name == "hn1-20261121T050000Z"
    assert is_name(MANIFEST.name, "hn1")
    assert not is_name(MANIFEST.name, "hn")
    assert not is_name("hn1-20261121T050000Z.kt1-unfinished", "hn1")
    assert not is_name("hn1-x-20261121T050000Z", "hn1")
