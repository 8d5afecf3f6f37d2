"""The console's certificate: what is needed to serve it, and making one of the site's own."""

import ipaddress
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from station.clock import SystemClock
from station.domain.errors import ConfigurationError
from station.durable_file import make_directory, write_new

LASTS = timedelta(days=730)
_EARLIER = timedelta(minutes=5)
"""Clocks on the LAN differ a little."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCertificate:
    """A certificate and its key, as files; `sha256` is the fingerprint that people compare."""

    certificate_file: Path
    key_file: Path
    sha256: str
    not_after: datetime


def check_tls_certificate(certificate_file: Path, key_file: Path, now: datetime) -> TlsCertificate:
    """Look at what the console is to be served with.

    Raises:
        ConfigurationError: a file is missing or no such thing, others may read the key, the two do not belong together, or it has expired.
    """
    try:
        if key_file.stat().st_mode & _OTHERS:
            raise ConfigurationError(
                f"The key file {key_file} is one that others may read or write",
                consequence="Whoever has it can pass for this station",
                remedy=f"Find out who could read it; then `chmod 600 {key_file}`, or make a new one with `station config tls`",
            )
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The certificate {certificate_file} or its key {key_file} cannot be read: {error}",
            consequence="The console cannot be served by TLS",
            remedy="Make both with `station config tls`, or put PEM files there, the key without a password",
        ) from error
    if certificate.public_key() != key.public_key():
        raise ConfigurationError(
            f"The key {key_file} is not that of the certificate {certificate_file}",
            consequence="The console cannot be served by TLS",
            remedy="Put the right pair there",
        )
    if now > certificate.not_valid_after_utc:
        raise ConfigurationError(
            f"The certificate {certificate_file} ended on {certificate.not_valid_after_utc:%Y-%m-%d}",
            consequence="No browser would accept it",
            remedy="Make a new one with `station config tls`, or have it renewed",
        )
    return _told(certificate, certificate_file, key_file)


def make_tls_certificate(certificate_file: Path, key_file: Path, names: Sequence[str], now: datetime | None = None) -> TlsCertificate:
    """Make a certificate of the site's own, signed by itself, for these host names and addresses, from now on.

    Raises:
        ConfigurationError: one of the files is there already (nothing is changed then) or cannot be written, or a name is none.
    """
    for path in (certificate_file, key_file):
        if path.exists():
            raise ConfigurationError(f"{path} exists already", consequence="Nothing was written", remedy="Move it away first")
    now = now or SystemClock().utc_now()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    try:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
    except ValueError as error:
        raise ConfigurationError(f"A host name cannot be used: {error}", remedy="Give DNS names in plain letters, or addresses") from error
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + LASTS)
        .add_extension(alternatives, critical=False)
        # No authority: whoever trusts it trusts this station and nothing that its key could sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    try:
        for path in (certificate_file, key_file):
            make_directory(path.parent)
        write_new(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            write_new(certificate_file, certificate.public_bytes(Encoding.PEM), mode=0o644)
        except OSError:
            # Else the next try would find one half of the pair and refuse.
            key_file.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(f"{error.filename} cannot be written: {error.strerror}", remedy="Name another place") from error
    return _told(certificate, certificate_file, key_file)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _told(certificate: x509.Certificate, certificate_file: Path, key_file: Path) -> TlsCertificate:
    return TlsCertificate(
        certificate_file=certificate_file,
        key_file=key_file,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        not_after=certificate.not_valid_after_utc,
    )
