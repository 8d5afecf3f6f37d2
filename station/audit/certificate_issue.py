"""Makes the certificate of a released piece from its facts in the audit log. Pure."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from station.audit.certificate import MARKED, RELEASED, UNMARKED, Certificate, ShownFact, signature_of
from station.audit.checkpoint import LogKey, site_of
from station.audit.merkle import NodeAt, inclusion_proof
from station.domain.commitment import PartedFact, parted
from station.domain.identifiers import certificate_id
from station.domain.piece import PieceState
from station.ports.store import AuditFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The facts that prove a release, in the order of their leaves."""

    facts: tuple[AuditFact, ...]
    visit: int
    marked: bool

    @property
    def last_leaf(self) -> int:
        """The leaf of the last of them: a checkpoint that proves them all has more leaves than this."""
        return self.facts[-1].row_id - 1


class _Facts:
    """What is stored of a piece, to choose from."""

    def __init__(self, facts: Sequence[AuditFact]) -> None:
        self._facts = [fact for fact in facts if fact.content is not None]
        self._rows = [json.loads(fact.content or b"") for fact in self._facts]
        self._taken: set[int] = set()

    def take(self, kind: str, wanted: Callable[[dict[str, Any], dict[str, Any]], bool], *, before: int | None = None) -> list[int]:
        """Places of the facts of a kind that are wanted (asked with row and payload), oldest first; `before`: earlier ones alone."""
        rows = enumerate(self._rows[:before])
        return [at for at, row in rows if row["kind"] == kind and wanted(row, row["payload"])]

    def keep(self, places: Sequence[int]) -> None:
        """These belong to the certificate."""
        self._taken.update(places)

    def payload(self, place: int) -> dict[str, Any]:
        """The members of the fact at a place."""
        found: dict[str, Any] = self._rows[place]["payload"]
        return found

    def chosen(self, *, visit: int, marked: bool) -> Chosen:
        """What was kept."""
        return Chosen(facts=tuple(self._facts[at] for at in sorted(self._taken)), visit=visit, marked=marked)


def choose(facts: Sequence[AuditFact], *, is_marked: bool) -> Chosen | None:
    """The facts that prove a piece's release; None when it was not released, or its facts do not say how.

    Args:
        facts: all facts about the piece, in their order.
        is_marked: the piece counts as marked now; one that did when it was identified, or announced, is marked all the same.
    """
    known = _Facts(facts)
    left = known.take("state_change.v1", lambda _, it: it["after"] == PieceState.RELEASED)
    if not left:
        return None
    visit = known.payload(left[-1])["visit"]

    def last(kind: str, wanted: Callable[[dict[str, Any]], bool], *, before: int | None = None) -> int | None:
        found = known.take(kind, lambda row, it: row["visit"] == visit and wanted(it), before=before)
        known.keep(found[-1:])
        return found[-1] if found else None

    known.keep(left[-1:])
    gate = last("gate_action.v1", lambda _: True)
    used = (known.payload(gate)["tag"], known.payload(gate)["challenge"]) if gate is not None else None
    permit = last("permit.v1", lambda it: (it["tag"], it["challenge"]) == used)
    nonce = known.payload(permit)["nonce"] if permit is not None else None
    dose = last("disinfection.v1", lambda it: it["nonce"] == nonce)
    clearance = last("clearance.v1", lambda it: it["outcome"] == PieceState.CLEARED, before=dose)
    identified = last("identification.v1", lambda _: True)
    if None in {gate, permit, dose, clearance, identified} or clearance is None or identified is None:
        return None
    cleared = known.payload(clearance)
    scan_sha256 = cleared["scan_sha256"]
    last("scan.v1", lambda it: it["sha256"] == scan_sha256)
    last(
        "model_reading.v1",
        lambda it: (it["scan_sha256"], it["model_sha256"], it["projected_sha256"]) == (scan_sha256, cleared["model_sha256"], None),
    )
    match = last("image_match.v1", lambda it: it["new_scan_sha256"] == scan_sha256)
    if match is not None:
        reviewed = (known.payload(match)["cleared_scan_sha256"], "clear")
        reviews = known.take("review_decision.v1", lambda _, it: (it["scan_sha256"], it["outcome"]) == reviewed, before=identified)
        known.keep([place for place in reviews if known.payload(place)["person"] in cleared["by"]])
    known.keep(
        known.take(
            "operator_reading.v1",
            lambda row, it: row["visit"] == visit and (it["scan_sha256"], it["projected_sha256"]) == (scan_sha256, None),
            before=clearance,
        )
    )
    announced = known.take("announcement.v1", lambda *_: True, before=identified)[-1:]
    known.keep(announced)
    levels = [known.payload(place)["secrecy"] for place in (identified, *announced)]
    return known.chosen(visit=visit, marked=is_marked or any(level is not None for level in levels))


def issue(chosen: Chosen, *, checkpoint: str, size: int, node_at: NodeAt, key: LogKey) -> Certificate:
    """The signed certificate of chosen facts.

    Args:
        chosen: what `choose` gave.
        checkpoint: a signed note of the log, with its witnesses' signatures.
        size: how many leaves it signs.
        node_at: the nodes of the log's tree.
        key: signs the certificate; the log's own.

    Raises:
        ValueError: a fact is from before facts had parts, or the checkpoint does not cover them all.
    """
    shown = tuple(_shown(fact, chosen, inclusion_proof(fact.row_id - 1, size, node_at)) for fact in chosen.facts)
    piece_id = shown[0].piece_id
    certificate = Certificate(
        checkpoint=checkpoint,
        facts=shown,
        form=MARKED if chosen.marked else UNMARKED,
        certificate_id=certificate_id(site_of(key.origin), piece_id, chosen.visit),
        outcome=RELEASED,
        piece_id=piece_id,
        visit=chosen.visit,
    )
    return replace(certificate, signature=signature_of(certificate, key))


def _shown(fact: AuditFact, chosen: Chosen, proof: tuple[bytes, ...]) -> ShownFact:
    taken: PartedFact = parted(fact.salt or b"", fact.content or b"")
    row = taken.row
    return ShownFact(
        leaf=fact.row_id - 1,
        kind=row["kind"],
        at=row["at"],
        piece_id=row["piece_id"],
        visit=row["visit"],
        open=row["open"],
        guarded=taken.guarded.digest if chosen.marked else taken.guarded,
        closed=taken.closed.digest,
        proof=proof,
    )
