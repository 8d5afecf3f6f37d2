"""Released pieces and their certificates, for tests."""

import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from station.audit.certificate import TYPE
from station.audit.reading import StoredNodes, read_tree
from station.domain.canonical import canonical
from station.domain.clearance import Clearance, Identification, Outcome
from station.domain.disinfection import DisinfectionResult
from station.domain.gate import GateAction, Permit
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import ModelReading
from station.ports.store import UnitOfWork
from station.storage.store import SqliteStore
from station.workflow.certifying import Certifier
from station.workflow.proving import LogProofs, OwnCheckpoints
from tests.support.audit_logs import KEYS, LOG_KEY
from tests.support.store_facts import at, scan

POLICY, MODEL, PICTURE = "d" * 64, "e" * 64, "a" * 64
_STATES = ("arrived", "scanning", "scanned", "cleared", "disinfecting", "disinfected")


def certifier(store: SqliteStore) -> Certifier:
    """One that signs with the key of the tests' logs."""
    return Certifier(reader=store, key=LOG_KEY, keys=KEYS, nodes=lambda view, size: StoredNodes(view, read_tree(view, size)))


def proofs(store: SqliteStore) -> LogProofs:
    """Over the same log; it holds as long as its head is that of its leaves."""

    def holds() -> bool:
        head = store.read(lambda view: view.audit_head())
        return store.read(lambda view: read_tree(view, head.size)).root() == head.root

    nodes = lambda view, size: StoredNodes(view, read_tree(view, size))  # noqa: E731 - as above
    return LogProofs(OwnCheckpoints(LOG_KEY.origin, KEYS), nodes, holds)


def signed_anew(members: dict[str, Any]) -> bytes:
    """A certificate's file after somebody with the log's key signed what now stands in it."""
    rest = {name: member for name, member in members.items() if name != "signature"}
    text = f"{TYPE}\n{canonical(rest)}\n"
    line = LOG_KEY.key.sign(text.encode())
    return in_its_form({**rest, "signature": _line(line)})


def in_its_form(members: Any) -> bytes:
    return f"{canonical(members)}\n".encode()


def _line(signature: bytes) -> str:
    return f"\u2014 {LOG_KEY.origin} {b64encode(LOG_KEY.verifier().key_id() + signature).decode()}"


def facts_of_a_release(piece_id: str) -> dict[str, Any]:
    """The facts of a piece that one operator cleared, by their names, in the order in which they come."""
    of = {"piece_id": piece_id, "visit": 1}
    return {
        "identification": Identification(**of, at=at(1), lane_id="1", tag=7, barcode=piece_id, secrecy=None),
        "scan": scan(piece_id, PICTURE),
        "model": ModelReading(
            **of,
            at=at(2),
            scan_sha256=PICTURE,
            model_sha256=MODEL,
            score=0.1234567,
            threshold=0.5,
            p_value=0.4,
            calibration_n=1000,
            kind="envelope",
            duration_ms=5.0,
        ),
        "reading": OperatorReading(
            **of, at=at(3), scan_sha256=PICTURE, person="Nguyễn Thị An", decision=OperatorDecision.CLEAR, blind=False
        ),
        "clearance": Clearance(
            **of,
            at=at(3),
            outcome=Outcome.CLEARED,
            reasons=(),
            scan_sha256=PICTURE,
            model_sha256=MODEL,
            authority=Authority.OPERATOR,
            by=("Nguyễn Thị An",),
            policy_sha256=POLICY,
        ),
        "disinfection": DisinfectionResult(
            **of,
            at=at(9),
            unit_id="uv-1",
            nonce=77,
            recipe_sha256="c" * 64,
            dose_mj_per_cm2=40.0,
            unit_dose_mj_per_cm2=40.0,
            target_mj_per_cm2=30.0,
            min_irradiance_uw_per_cm2=9000.0,
            max_irradiance_uw_per_cm2=9900.0,
            started_at=at(5),
            ended_at=at(8),
            samples_sha256="f" * 64,
        ),
        "permit": Permit(**of, at=at(10), tag=7, challenge=8, valid_ms=500, scan_sha256=PICTURE, nonce=77, policy_sha256=POLICY),
        "gate": GateAction(**of, at=at(11), tag=7, challenge=8, ring_seq=1, exit_seen=True),
    }


def changed(facts: dict[str, Any], name: str, **members: Any) -> dict[str, Any]:
    """The same facts, with other members in one of them."""
    return {**facts, name: replace(facts[name], **members)}


def tell(unit: UnitOfWork, piece_id: str, facts: Iterable[Any], *, secrecy: Secrecy | None = None, leaves: bool = True) -> None:
    """Record a piece that was announced, these facts about it, and that it left."""
    unit.announce(Announcement(piece_id=piece_id, secrecy=secrecy, destination="Hà Nội"), at())
    for step in _STATES:
        unit.change_state(piece_id, PieceState(step), at(1), lane_id="1", visit=1)
    for fact in facts:
        unit.append(fact)
    if leaves:
        unit.change_state(piece_id, PieceState.RELEASED, at(11), lane_id="1")


def members_of(content: bytes) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(content)
    return members
