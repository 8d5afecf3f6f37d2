"""Keys stay private, and signatures are those of the standard."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from standardwebhooks import Webhook

from station.domain.errors import ConfigurationError
from station.tracking.http import HttpLink, HttpSender
from station.tracking.signatures import Signing, load_or_create_key, public_from_text, public_text, webhook_headers, webhook_holds
from tests.support.tracking_wire import utc_now

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SECRET = b"0123456789abcdef01234567"


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path):
    path = tmp_path / "tracking.pem"
    key = load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_text(load_or_create_key(path)) == public_text(key)
    assert public_text(public_from_text(public_text(key))) == public_text(key.public_key())
    assert len(base64.b64decode(public_text(key).removeprefix("whpk_"))) == 32


def test_broken_keys_are_told(tmp_path: Path):
    (tmp_path / "text.pem").write_text("no key")
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "other.pem").write_bytes(other)
    for path in (tmp_path / "text.pem", tmp_path / "other.pem", Path("/proc/none/key.pem")):
        with pytest.raises(ConfigurationError):
            load_or_create_key(path)
    for text in ("", "whpk_###", "whpk_AAAA"):
        with pytest.raises(ConfigurationError):
            public_from_text(text)


def test_shared_secret_signatures_are_the_standards():
    headers = webhook_headers("id1", "thư".encode(), utc_now(), Signing(keys=(KEY,), secrets=(SECRET,)))
    Webhook(SECRET).verify("thư".encode(), headers, json_parse=False)
    parts = headers["webhook-signature"].split(" ")
    assert [part.split(",")[0] for part in parts] == ["v1a", "v1"]
    signed = f"id1.{headers['webhook-timestamp']}.thư".encode()
    KEY.public_key().verify(base64.b64decode(parts[0][4:]), signed)


def test_any_one_good_signature_is_enough():
    now = utc_now()
    headers = webhook_headers("id1", b"body", now, Signing(keys=(KEY,)))
    other = Ed25519PrivateKey.from_private_bytes(bytes([9] * 32))

    def holds(signatures: str, **known: object) -> bool:
        return webhook_holds(event_id="id1", timestamp=headers["webhook-timestamp"], signatures=signatures, body=b"body", **known)  # type: ignore[arg-type]

    good = headers["webhook-signature"]
    assert holds(good, keys=(other.public_key(), KEY.public_key()))
    assert holds(f"v1a,AAAA v9,zz ### {good}", keys=(KEY.public_key(),))
    assert not holds(good, keys=(other.public_key(),))
    assert not holds(good, secrets=(SECRET,))
    assert not holds("", keys=(KEY.public_key(),), secrets=(SECRET,))


def test_events_never_go_out_unsigned():
    with pytest.raises(ConfigurationError, match="unsigned"):
        HttpSender(HttpLink("http://127.0.0.1:1"), utc_now=utc_now, signing=Signing())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_or_write_is_not_used(tmp_path: Path, mode: int):
    path = tmp_path / "tracking.pem"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="others may read"):
        load_or_create_key(path)
    path.chmod(0o400)
    load_or_create_key(path)
