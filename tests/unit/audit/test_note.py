"""Signed notes and checkpoints against notes that others signed, and against the specifications' own words."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from station.audit.checkpoint import Checkpoint, LogKey, open_checkpoint, read_checkpoint, read_hash, read_number
from station.audit.note import (
    LOG,
    WITNESS,
    MalformedNoteError,
    VerifierKey,
    cosign,
    join,
    raw_public,
    read_verifier_key,
    sign,
    split,
    verify,
)
from station.domain.errors import ConfigurationError

# The example of the Go package golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ANSWER = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
ANSWER_LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
# A checkpoint of a public log (sum.golang.org, 2023), signed with its key.
SUM_DB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUM_DB_NOTE = (
    "go.sum database tree\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
# The example of C2SP tlog-cosignature; its keys are not published.
COSIGNED_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
TEXT = "example.com/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def key(name: str, kind: int) -> VerifierKey:
    return VerifierKey(name=name, kind=kind, public=raw_public(KEY))


def test_a_note_that_go_signed_holds_and_is_signed_alike():
    peter = read_verifier_key(PETER)
    assert str(peter) == PETER
    (found,) = verify(split(join(ANSWER, [ANSWER_LINE])), [peter])
    assert (found.name, found.time) == ("PeterNeumann", None)
    assert sign(ANSWER, "PeterNeumann", Ed25519PrivateKey.from_private_bytes(PETER_SEED)) == ANSWER_LINE


def test_a_checkpoint_of_a_public_log_holds():
    note = split(SUM_DB_NOTE)
    assert verify(note, [read_verifier_key(SUM_DB)])
    checkpoint = read_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("go.sum database tree", 20852163)
    assert checkpoint.text == note.text
    with pytest.raises(MalformedNoteError, match="does not hold"):
        verify(split(SUM_DB_NOTE.replace("20852163", "20852164")), [read_verifier_key(SUM_DB)])


def test_a_cosignature_is_what_the_specification_says():
    public, time = raw_public(KEY), 1679315147
    line = cosign(TEXT, "w.example/1", KEY, time)
    name, _, content = line.removeprefix("— ").removesuffix("\n").partition(" ")
    raw = base64.b64decode(content)
    assert raw[:4] == hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    assert struct.unpack(">Q", raw[4:12]) == (time,)
    KEY.public_key().verify(raw[12:], b"cosignature/v1\ntime 1679315147\n" + TEXT.encode())
    (found,) = verify(split(join(TEXT, [line])), [key("w.example/1", WITNESS)])
    assert found.time == time
    # The published example has the same form.
    (example,) = split(join(TEXT, [COSIGNED_LINE])).signatures
    assert (len(example.raw), struct.unpack(">Q", example.raw[:8])) == (72, (time,))


def test_only_known_keys_are_believed_and_a_known_one_must_hold():
    own, witness = sign(TEXT, "log", KEY), cosign(TEXT, "w", KEY, 5)
    note = split(join(TEXT, [COSIGNED_LINE, own, witness]))
    assert verify(note, []) == ()
    assert [one.key.kind for one in verify(note, [key("log", LOG), key("", WITNESS)])] == [LOG, WITNESS]
    # The name counts, and so does the kind of signature.
    assert verify(note, [key("other", LOG), key("other", WITNESS)]) == ()
    forged = split(join(TEXT.replace("7", "8"), [own]))
    with pytest.raises(MalformedNoteError, match="does not hold"):
        verify(forged, [key("log", LOG)])


@settings(max_examples=150)
@given(st.integers(0, len(TEXT) * 8), st.data())
def test_no_bit_of_a_signed_note_can_be_turned(position: int, data: st.DataObject):
    note = LogKey("example.com/log", KEY).checkpoint(7, bytes(32)).encode()
    bit = data.draw(st.integers(0, len(note) * 8 - 1))
    turned = bytearray(note)
    turned[bit // 8] ^= 1 << bit % 8
    try:
        opened = open_checkpoint(bytes(turned).decode(), [key("example.com/log", LOG)])
    except (MalformedNoteError, UnicodeDecodeError):
        return
    assert not opened.by_log


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a AAAA\n",
        "text\n\n— a AAAAAAA=\nx",
        "te\x07xt\n\n" + ANSWER_LINE,
        "text\n\n- a AAAAAAA=\n",
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n— a !!!!!!!!\n",
        "text\n\n— a AAAAAAB=\n",
        "text\n\n" + ANSWER_LINE * 65,
    ],
)
def test_what_is_no_note(note: str):
    with pytest.raises(MalformedNoteError):
        split(note)


@pytest.mark.parametrize("text", ["log\n1\n", "log\n01\n" + "A" * 43 + "=\n", "log\n-1\n" + "A" * 43 + "=\n", "log\n1\nAAAA\n", "\n1\n\n"])
def test_what_is_no_checkpoint(text: str):
    with pytest.raises(MalformedNoteError):
        read_checkpoint(text)


def test_numbers_and_hashes_have_one_form():
    assert read_number("0") == 0
    with pytest.raises(MalformedNoteError):
        read_number("٣")
    with pytest.raises(MalformedNoteError):
        read_hash("A" * 42 + "B=")
    assert read_checkpoint(Checkpoint(origin="o", size=3, root=bytes(32)).text + "extension\n").size == 3


@pytest.mark.parametrize(
    "text", ["", "name", PETER.replace("c74f20a3", "c74f20a4"), PETER.replace("+c74f20a3", ""), "a+b+c", "a+00000000+AAAA"]
)
def test_what_is_no_key(text: str):
    with pytest.raises(ConfigurationError, match="no key of an audit log"):
        read_verifier_key(text)
