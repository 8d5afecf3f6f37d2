"""Does a clearance certificate hold? Pure: it takes the file and the public keys that are believed, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass

from station.audit.certificate import RELEASED, Certificate, MalformedCertificateError, read_certificate
from station.audit.certificate_story import CertificateError, Flaw, Story, story_of
from station.audit.checkpoint import SignedCheckpoint, open_checkpoint, site_of
from station.audit.merkle import leaf_hash, verify_inclusion
from station.audit.note import MalformedNoteError, VerifierKey
from station.domain.identifiers import certificate_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What a certificate that holds proves. `checkpoint` with the signatures on it that are by keys which are believed."""

    certificate: Certificate
    story: Story
    checkpoint: SignedCheckpoint


def check_certificate(content: bytes, keys: Iterable[VerifierKey]) -> Proved:
    """Reckon everything anew: facts to leaves, leaves to the signed root, the facts against each other, the certificate's own signature.

    Raises:
        CertificateError: it does not hold, and why.
    """
    believed = tuple(keys)
    try:
        certificate = read_certificate(content)
    except MalformedCertificateError as error:
        raise CertificateError(Flaw.MALFORMED, detail=str(error)) from error
    opened = _checkpoint(certificate, believed)
    for fact in certificate.facts:
        if not verify_inclusion(leaf_hash(fact.commitment), fact.leaf, opened.checkpoint.size, fact.proof, opened.checkpoint.root):
            raise CertificateError(Flaw.NOT_IN_LOG, fact)
    try:
        story = story_of(certificate)
    except CertificateError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CertificateError(Flaw.MALFORMED, detail=f"a fact is not what its kind says: {error!r}") from error
    own_id = certificate_id(site_of(opened.checkpoint.origin), certificate.piece_id, certificate.visit)
    if certificate.outcome != RELEASED or certificate.certificate_id != own_id:
        raise CertificateError(Flaw.NOT_RELEASED, detail="its outcome or its own name is not that of its facts")
    if not certificate.signed_by(believed, opened.checkpoint.origin):
        raise CertificateError(Flaw.SIGNATURE_WRONG, detail="something besides the facts was changed, or added, or left out")
    return Proved(certificate=certificate, story=story, checkpoint=opened)


def _checkpoint(certificate: Certificate, keys: Iterable[VerifierKey]) -> SignedCheckpoint:
    try:
        opened = open_checkpoint(certificate.checkpoint, keys)
    except MalformedNoteError as error:
        raise CertificateError(Flaw.CHECKPOINT_UNPROVED, detail=str(error)) from error
    if not opened.by_log:
        named = opened.checkpoint.origin[:60]
        raise CertificateError(Flaw.CHECKPOINT_UNPROVED, detail=f"no key that was given signed it as {named!r}")
    return opened
