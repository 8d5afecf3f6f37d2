"""Several keys under names, secrets that nobody else may read, and receipts that outlive a change of keys."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.domain.errors import ConfigurationError
from station.tracking.signatures import public_text, read_receipt, receipt_holds, renew_receipt, sign_receipt
from station.tracking.trust import read_secret, read_token, read_trusted_keys
from tests.support.store_facts import at

OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in (1, 2))


def test_a_file_of_keys_has_a_line_for_each(tmp_path: Path):
    path = tmp_path / "receiver.pub"
    path.write_text(f"# rotated in November\ncentre {public_text(OLD)}\n\n{public_text(NEW)}\n", encoding="utf-8")
    named, anybody = read_trusted_keys(path)
    assert (named.name, anybody.name) == ("centre", "")
    assert named.speaks_for("centre")
    assert not named.speaks_for("reserve")
    assert anybody.speaks_for("reserve")
    for text in ("", "# none\n", "a b whpk_AAAA", "whpk_AAAA"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError):
            read_trusted_keys(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_trusted_keys(tmp_path / "none")


def test_a_secret_is_long_and_private(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_text("whsec_" + base64.b64encode(bytes(range(24))).decode() + "\n", encoding="ascii")
    path.chmod(0o600)
    assert read_secret(path) == bytes(range(24))
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read"):
        read_secret(path)
    path.chmod(0o600)
    for text in ("whsec_###", "whsec_" + base64.b64encode(bytes(23)).decode()):
        path.write_text(text, encoding="ascii")
        with pytest.raises(ConfigurationError):
            read_secret(path)


def test_a_token_fits_a_header(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text("abc.def\n", encoding="ascii")
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == "abc.def"
    for text in ("", "a b", "a\nb"):
        path.write_text(text, encoding="ascii")
        with pytest.raises(ConfigurationError):
            read_token(path)


def test_a_receipt_given_again_is_the_same_until_the_key_changes():
    text = sign_receipt(OLD, event_id="S:P:1", subject="P", sequence=1, body_sha256="0" * 64, receiver="centre", received_at=at())
    assert renew_receipt(text, OLD, "centre") == text
    renewed = renew_receipt(text, NEW, "centre")
    receipt = read_receipt(renewed)
    assert receipt is not None
    assert receipt_holds(receipt, NEW.public_key())
    assert {**json.loads(renewed), "signature": ""} == {**json.loads(text), "signature": ""}
