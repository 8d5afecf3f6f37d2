"""The receiver as witness of the stations' audit logs: it signs what continues what it signed before (C2SP tlog-witness)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request, Response

from station.api.receiver_trust import limited_body
from station.audit.checkpoint import Checkpoint, read_checkpoint, read_hash, read_number
from station.audit.merkle import EMPTY_ROOT, verify_consistency
from station.audit.note import LOG, MalformedNoteError, VerifierKey, cosign, join, signed_lines, split, verify
from station.domain.errors import StoreError
from station.ports.tracking import ReceiverLedger, WitnessedLog

_LARGEST_BODY = 64 << 10
_LONGEST_PROOF = 63
_SIZE_TYPE = "text/x.tlog.size"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Who witnesses, and whose logs: `log_keys` are the keys of the logs that are known, under the logs' names."""

    name: str
    key: Ed25519PrivateKey
    log_keys: tuple[VerifierKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    old_size: int
    proof: tuple[bytes, ...]
    text: str
    signature: str
    checkpoint: Checkpoint

    @property
    def note(self) -> str:
        """The checkpoint with the log's own signature and nothing that others added."""
        return join(self.text, [self.signature])


class _RefusedCheckpointError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def witness_router(ledger: ReceiverLedger, witnessing: Witnessing, utc_now: Callable[[], datetime]) -> APIRouter:
    """The routes of a witness."""
    router = APIRouter()

    @router.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        try:
            asked = _read(await limited_body(request, _LARGEST_BODY), witnessing)
            known = ledger.witnessed(asked.checkpoint.origin)
            if (known.size if known else 0) != asked.old_size:
                return _another_size(known.size if known else 0)
            _refuse_inconsistent(asked, known)
        except _RefusedCheckpointError as refused:
            return Response(f"{refused}\n", status_code=refused.status, media_type="text/plain")
        line = cosign(asked.text, witnessing.name, witnessing.key, int(utc_now().timestamp()))
        log = WitnessedLog(origin=asked.checkpoint.origin, size=asked.checkpoint.size, root=asked.checkpoint.root, note=asked.note + line)
        try:
            other = await ledger.witness(log, old_size=asked.old_size)
        except StoreError:
            return Response("The checkpoint could not be made durable; send it again\n", status_code=503, media_type="text/plain")
        return Response(line, media_type="text/plain") if other is None else _another_size(other)

    @router.get("/checkpoint")
    def checkpoint(origin: str) -> Response:
        known = ledger.witnessed(origin)
        if known is None:
            return Response("No checkpoint of that log was signed here\n", status_code=404, media_type="text/plain")
        return Response(known.note, media_type="text/plain")

    return router


def _read(body: bytes, witnessing: Witnessing) -> _Asked:
    """What is asked, its signature checked."""
    try:
        head, _, note = body.decode().partition("\n\n")
        old, *proof = head.split("\n")
        if not old.startswith("old ") or len(proof) > _LONGEST_PROOF:
            raise MalformedNoteError("an old size and at most 63 hashes are wanted")
        old_size, hashes, parts = read_number(old.removeprefix("old ")), tuple(map(read_hash, proof)), split(note)
        checkpoint = read_checkpoint(parts.text)
    except ValueError as error:
        raise _RefusedCheckpointError(400, f"Not a checkpoint with its proof: {error}") from error
    keys = [key for key in witnessing.log_keys if key.kind == LOG and key.name == checkpoint.origin]
    if not keys:
        raise _RefusedCheckpointError(404, "This log is not known here")
    try:
        by_log = bool(verify(parts, keys))
    except MalformedNoteError:
        by_log = False
    if not by_log:
        raise _RefusedCheckpointError(403, "No signature of a known key of this log")
    if old_size > checkpoint.size:
        raise _RefusedCheckpointError(400, "The old size is above the checkpoint's")
    return _Asked(
        old_size=old_size,
        proof=hashes,
        text=parts.text,
        signature=signed_lines(parts.text, note.removeprefix(f"{parts.text}\n"), keys)[0],
        checkpoint=checkpoint,
    )


def _refuse_inconsistent(asked: _Asked, known: WitnessedLog | None) -> None:
    """Raise unless the checkpoint continues what is known; a log that does not is told about loudly."""
    new = asked.checkpoint
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise _RefusedCheckpointError(422, "That is not the root of a log without leaves")
    if known is None or known.size == 0:
        if asked.proof:
            raise _RefusedCheckpointError(422, "There is nothing yet that a proof could begin at")
        return
    if known.size == new.size and known.root != new.root:
        status, why = 409, "Another tree of the same size was signed before"
    elif not verify_consistency(known.size, new.size, known.root, new.root, asked.proof):
        status, why = 422, "The checkpoint does not continue the one that was signed before"
    else:
        return
    _log.error("an audit log contradicts what was witnessed", origin=new.origin, known_size=known.size, known=known.note, sent=asked.note)
    raise _RefusedCheckpointError(status, why)


def _another_size(size: int) -> Response:
    return Response(f"{size}\n", status_code=409, media_type=_SIZE_TYPE)
