"""Certificates a second: made from a stored log, and checked from the file alone, beside bare Ed25519 signatures and checks.

The log is that of some hundred released pieces, in memory as far as a running station keeps it there.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.certificate_check import check_certificate
from station.audit.checkpoint import LogKey, origin_of
from station.audit.reading import StoredNodes, read_tree
from station.domain.clearance import Clearance, Identification, Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.gate import GateAction, Permit
from station.domain.piece import Announcement, PieceState
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading, Scan
from station.ports.store import Evidence, UnitOfWork
from station.storage.store import SqliteStore
from station.workflow.certifying import Certifier

PIECES = 300
ROUNDS = 3
NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
_STATES = ("arrived", "scanning", "scanned", "cleared", "disinfecting", "disinfected")
_SHA = "ab" * 32


def _facts(piece_id: str) -> Iterator[Evidence]:
    of: dict[str, Any] = {"piece_id": piece_id, "visit": 1}
    yield Identification(**of, at=NOON, lane_id="1", tag=7, barcode=piece_id, secrecy=None)
    yield Scan(
        **of,
        at=NOON,
        lane_id="1",
        sha256=_SHA,
        acquisition=1,
        lines=1500,
        pixels=1024,
        length_mm=300.0,
        width_mm=200.0,
        kv=140.0,
        ma=1.0,
    )
    yield ModelReading(
        **of,
        at=NOON,
        scan_sha256=_SHA,
        model_sha256=_SHA,
        score=0.1,
        threshold=0.5,
        p_value=0.4,
        calibration_n=1000,
        kind="packet",
        duration_ms=30.0,
    )
    yield OperatorReading(**of, at=NOON, scan_sha256=_SHA, person="An", decision=OperatorDecision.CLEAR, blind=False)
    yield Clearance(
        **of,
        at=NOON,
        outcome=Outcome.CLEARED,
        reasons=(),
        scan_sha256=_SHA,
        model_sha256=_SHA,
        authority=Authority.OPERATOR,
        by=("An",),
        policy_sha256=_SHA,
    )
    yield DisinfectionResult(
        **of,
        at=NOON + timedelta(seconds=9),
        unit_id="uv-1",
        nonce=77,
        recipe_sha256=_SHA,
        dose_mj_per_cm2=40.0,
        unit_dose_mj_per_cm2=40.0,
        target_mj_per_cm2=30.0,
        min_irradiance_uw_per_cm2=9000.0,
        max_irradiance_uw_per_cm2=9900.0,
        started_at=NOON + timedelta(seconds=4),
        ended_at=NOON + timedelta(seconds=8),
        samples_sha256=_SHA,
    )
    yield Permit(**of, at=NOON, tag=7, challenge=8, valid_ms=500, scan_sha256=_SHA, nonce=77, policy_sha256=_SHA)
    yield GateAction(**of, at=NOON, tag=7, challenge=8, ring_seq=1, exit_seen=True)


def _release(unit: UnitOfWork, piece_id: str) -> None:
    unit.announce(Announcement(piece_id=piece_id), NOON)
    for step in _STATES:
        unit.change_state(piece_id, PieceState(step), NOON, lane_id="1", visit=1)
    for fact in _facts(piece_id):
        unit.append(fact)
    unit.change_state(piece_id, PieceState.RELEASED, NOON, lane_id="1")


def _rate(work: Callable[[int], object], times: int) -> float:
    """The best of some rounds: times a second."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        for number in range(times):
            work(number)
        best_s = min(best_s, time.perf_counter() - began_s)
    return times / best_s


def run() -> dict[str, Any]:
    """Measure both, and what the signatures alone take."""
    private = Ed25519PrivateKey.generate()
    key = LogKey(origin_of("bench"), private)
    names = [f"P{number}" for number in range(PIECES)]
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory) / "data", floor_bytes=0)
        try:
            store.write(lambda unit: [_release(unit, name) for name in names]).result()
            head = store.read(lambda view: view.audit_head())
            note = key.checkpoint(head.size, head.root)
            store.write(lambda unit: unit.add_checkpoint(head.size, note)).result()
            tree = store.read(lambda view: read_tree(view, head.size))
            certifier = Certifier(reader=store, key=key, keys=(), nodes=lambda view, _: StoredNodes(view, tree))
            issued_per_s = _rate(lambda number: certifier.certificate(names[number]), PIECES)
            content = certifier.certificate(names[0])
        finally:
            store.close()
    keys = (key.verifier(),)
    verified_per_s = _rate(lambda _: check_certificate(content, keys), PIECES)
    public, signature = private.public_key(), private.sign(content)
    bare_per_s = _rate(lambda _: public.verify(signature, content), 10 * PIECES)
    return {
        "leaves": head.size,
        "bytes": len(content),
        "issued_per_s": round(issued_per_s),
        "verified_per_s": round(verified_per_s),
        "bare_verified_per_s": round(bare_per_s),
        "issued_to_bare": round(issued_per_s / bare_per_s, 4),
        "verified_to_bare": round(verified_per_s / bare_per_s, 4),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))  # noqa: T201 - its purpose
