"""Certificates of pieces that went the real way: they hold, and nothing that is changed in them does."""

import asyncio
import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pymerkle
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from feeding import PIECE, POLICY, Feeding

from station.audit.certificate import MOST_BYTES
from station.audit.certificate_check import check_certificate
from station.audit.certificate_issue import Chosen, issue
from station.audit.certificate_story import CertificateError, Flaw
from station.audit.checkpoint import LogKey
from station.audit.merkle import NodeAt
from station.audit.reading import StoredNodes, read_tree
from station.domain.clearance import Outcome
from station.domain.commitment import SPLITS
from station.domain.errors import NotFoundError
from station.domain.gate import Permit
from station.domain.piece import Announcement, PieceState, Secrecy
from station.domain.policy import Authority
from station.domain.reasons import Reason
from station.domain.review import OperatorDecision, OperatorReading
from station.domain.scan import Finding
from station.ports.store import ReadView, UnitOfWork
from station.workflow.refusals import NotProvableError, NotReleasedError, NotYetProvedError
from tests.support.audit_logs import KEYS, LOG_KEY, as_before_parts, seal
from tests.support.certificates import certifier, changed, facts_of_a_release, in_its_form, members_of, signed_anew, tell
from tests.support.store_facts import at, opened

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "certificate.schema.json").read_text(encoding="utf-8"))
NAMES = ("Nguyễn Thị An", "Trần Bình")

Path_ = tuple[str | int, ...]


async def release(feeding: Feeding, *readers: str) -> None:
    """One visit to its end; each reader clears the scan within the window."""
    piece = await feeding.arrive()
    await feeding.scan(piece)
    for person in readers:
        assert piece.scan is not None
        reading = OperatorReading(
            piece_id=PIECE,
            visit=piece.visit,
            at=feeding.clock.utc_now(),
            scan_sha256=piece.scan.sha256,
            person=person,
            decision=OperatorDecision.CLEAR,
            blind=True,
        )
        await feeding.journey.decided(piece, reading)
    await feeding.disinfect(piece)
    assert isinstance(await feeding.journey.ask_gate(piece, feeding.at_gate(piece)), Permit)
    await feeding.journey.released(piece, ring_seq=1, exit_seen=True)


async def _by_model(feeding: Feeding) -> None:
    feeding.announce()
    await release(feeding)


async def _by_review(feeding: Feeding) -> None:
    feeding.announce()
    await feeding.feed(radiation=520.0)
    feeding.review(*NAMES)
    await release(feeding)


async def _marked(feeding: Feeding) -> None:
    feeding.announce(Announcement(piece_id=PIECE, secrecy=Secrecy.A, length_mm=200.0, weight_g=50.0))
    await release(feeding, *NAMES)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, list[bytes]]]:
    """Certificates by the way on which the piece was cleared, each with the entries of its log."""
    found = {}
    for way in (_by_model, _by_review, _marked):
        feeding = Feeding(tmp_path_factory.mktemp(way.__name__), POLICY)
        asyncio.run(way(feeding))
        with pytest.raises(NotYetProvedError):
            certifier(feeding.store).certificate(PIECE)
        seal(feeding.store)
        entries = [leaf.commitment or b"" for leaf in feeding.store.read(lambda view: view.audit_leaves(start=0, limit=999))]
        found[way.__name__] = certifier(feeding.store).certificate(PIECE), entries
        feeding.store.close()
    return found


def flaw_of(content: bytes, keys: Any = KEYS) -> Flaw | None:
    try:
        check_certificate(content, keys)
    except CertificateError as error:
        return error.flaw
    return None


def places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Everything in a document with its place, itself included."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in inner:
        yield from places(member, (*path, name))


def with_change(members: dict[str, Any], path: Path_, change: Callable[[Any, Any], None]) -> dict[str, Any]:
    other = copy.deepcopy(members)
    holder: Any = other
    for name in path[:-1]:
        holder = holder[name]
    change(holder, path[-1])
    return other


def another(value: Any) -> Any:
    """Another scalar of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{chr(ord(value[0]) ^ 1)}{value[1:]}" if value else "x"
    return "x"


def test_they_hold_and_say_what_happened(made: dict[str, tuple[bytes, list[bytes]]]):
    jsonschema_rs.meta.validate(SCHEMA)
    schema = jsonschema_rs.Draft202012Validator(SCHEMA)
    by = {"_by_model": 1, "_by_review": 2, "_marked": 2}
    for way, (content, entries) in made.items():
        proved = check_certificate(content, KEYS)
        story = proved.story
        assert len(story.clearance.open["by"]) == by[way]
        assert (len(story.reviews), len(story.readings)) == {"_by_model": (0, 0), "_by_review": (2, 0), "_marked": (0, 2)}[way]
        assert proved.certificate.certificate_id == f"urn:kt1:certificate:test:{PIECE}:{2 if way == '_by_review' else 1}"
        assert proved.checkpoint.witnessed_at is not None
        members = members_of(content)
        schema.validate(members)
        assert content == rfc8785.dumps(members) + b"\n"
        assert not any(name.encode() in content for name in NAMES)
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for entry in entries:
            tree.append_entry(entry)
        assert tree.get_root(proved.checkpoint.checkpoint.size) == proved.checkpoint.checkpoint.root
        for fact in proved.certificate.facts:
            theirs = tree.prove_inclusion(fact.leaf + 1, proved.checkpoint.checkpoint.size).serialize()["path"]
            # Their path has the same hashes in another order, and the leaf's own.
            assert {each.hex() for each in fact.proof} <= set(theirs)
            assert fact.commitment == entries[fact.leaf]


def test_the_schema_has_the_members_of_every_kind():
    for rule in SCHEMA["$defs"]["fact"]["allOf"]:
        split, then = SPLITS[rule["if"]["properties"]["kind"]["const"]], rule["then"]["properties"]
        assert set(then["open"]["required"]) == set(then["open"]["properties"]) == split.open | split.tokens
        assert set(then["guarded"]["then"]["properties"]["members"]["required"]) == split.guarded
    assert len(SCHEMA["$defs"]["fact"]["allOf"]) == len(SPLITS)


@pytest.mark.parametrize("way", ["_by_model", "_by_review", "_marked"])
def test_none_holds_with_any_one_value_altered(made: dict[str, tuple[bytes, list[bytes]]], way: str):
    members = members_of(made[way][0])
    assert flaw_of(signed_anew(members)) is None
    scalars = 0
    for path, value in places(members):
        if isinstance(value, dict | list):
            continue
        scalars += 1
        altered = with_change(members, path, lambda holder, name, v=value: holder.__setitem__(name, another(v)))
        assert flaw_of(in_its_form(altered)) is not None, path
        # Not even if it was signed anew: the facts stand in the log, and everything else follows from them.
        if path != ("signature",):
            assert flaw_of(signed_anew(altered)) not in {None, Flaw.SIGNATURE_WRONG}, path
    assert scalars > 150


@pytest.mark.parametrize("way", ["_by_review", "_marked"])
def test_none_holds_with_anything_added_left_out_or_reordered(made: dict[str, tuple[bytes, list[bytes]]], way: str):
    members = members_of(made[way][0])
    others = members_of(made["_by_model"][0])
    forgeries = []
    for path, value in places(members):
        if path:
            forgeries.append(with_change(members, path, lambda holder, name: holder.__delitem__(name)))
        if isinstance(value, dict):
            forgeries.append(with_change(members, (*path, "more"), lambda holder, name: holder.__setitem__(name, None)))
        if isinstance(value, list):
            forgeries.append(with_change(members, (*path, 0), lambda holder, _: holder.insert(0, None)))
            forgeries.append(with_change(members, (*path, 0), lambda holder, _: holder.append(holder[-1] if holder else 0)))
            for at_ in range(len(value) - 1):
                swapped = (slice(at_, at_ + 2), [value[at_ + 1], value[at_]])
                forgeries.append(with_change(members, (*path, at_), lambda holder, _, s=swapped: holder.__setitem__(*s)))
    forgeries += [{**members, name: others[name]} for name in members]
    forgeries += [
        with_change(members, ("facts", at_), lambda holder, place, o=other: holder.__setitem__(place, o))
        for at_ in range(len(members["facts"]))
        for other in others["facts"]
    ]
    assert len(forgeries) > 400
    assert [forged for forged in forgeries if forged != members and flaw_of(in_its_form(forged)) is None] == []


def test_only_the_file_itself_and_the_logs_own_key_are_believed(made: dict[str, tuple[bytes, list[bytes]]]):
    content = made["_by_model"][0]
    for other in (
        b"",
        b"{}\n",
        b"[" * 100_000,
        content[:-1],
        content + b"\n",
        content.replace(b'"visit":1', b'"visit":1.0', 1),
        b" " + content,
    ):
        assert flaw_of(other) is Flaw.MALFORMED
    assert flaw_of(json.dumps(members_of(content), indent=1).encode()) is Flaw.MALFORMED
    assert flaw_of(b" " * (MOST_BYTES + 1)) is Flaw.MALFORMED
    assert {flaw_of(content[:cut]) for cut in range(0, len(content), 997)} == {Flaw.MALFORMED}
    stranger = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32))).verifier()
    for keys in ((), (stranger,), KEYS[1:], (replace(KEYS[0], name="urn:kt1:audit:other"),)):
        assert flaw_of(content, keys) is Flaw.CHECKPOINT_UNPROVED
    # A witness's signature that is wrong is one under a note that nobody may believe, and a missing one is missed.
    witness = members_of(content)["checkpoint"].splitlines(keepends=True)[-1]
    assert flaw_of(content.replace(witness[:-1].encode(), b"", 1)) is not None
    assert check_certificate(content, KEYS[:1]).checkpoint.witnessed_at is None


def test_it_is_checked_by_what_an_inspector_has(made: dict[str, tuple[bytes, list[bytes]]], tmp_path: Path):
    """The check needs Python, `cryptography`, and those few modules of the station: no database, no web, no numbers."""
    (tmp_path / "certificate.json").write_bytes(made["_marked"][0])
    program = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "station", "cryptography", "_cffi_backend"}:
            raise ImportError(name)
sys.meta_path.insert(0, Nothing())
from station.audit.certificate_check import check_certificate
from station.audit.note import read_verifier_key
print(check_certificate(open(sys.argv[1], "rb").read(), [read_verifier_key(sys.argv[2])]).certificate.outcome)
assert not [name for name in sys.modules if name.startswith(("station.storage", "station.settings", "station.ports"))]
"""
    told = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "certificate.json", str(KEYS[0])], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert told.stdout == "released\n"


def test_a_marked_pieces_certificate_tells_nothing_of_its_content(made: dict[str, tuple[bytes, list[bytes]]]):
    content, shown = made["_marked"][0], made["_by_model"][0]
    # The hash of the scan, the figures of the model and of the picture, the announced size and weight, the level.
    picture = members_of(shown)["facts"][2]["guarded"]["members"]["sha256"].encode()
    for marker in (picture, b'"0.1"', b'"0.5"', b'"0.4"', b'"200.0"', b'"50.0"', b"secrecy", b"score", b"findings", b"members"):
        assert marker in shown or marker == b'"200.0"'
        assert marker not in content
    story = check_certificate(content, KEYS).story
    assert story.scan.open["sha256"] == story.clearance.open["scan_sha256"] == story.permit.open["scan_sha256"] != picture.decode()
    assert len(set(story.clearance.open["by"])) == 2
    jsonschema_rs.Draft202012Validator(SCHEMA).validate(members_of(content))
    assert not jsonschema_rs.Draft202012Validator(SCHEMA).is_valid({**members_of(shown), "form": "marked"})


async def test_only_a_released_piece_whose_facts_have_parts_is_certified(tmp_path: Path):
    feeding = Feeding(tmp_path)
    with pytest.raises(NotFoundError):
        certifier(feeding.store).certificate(PIECE)
    feeding.announce()
    await feeding.feed(radiation=520.0)
    assert feeding.known.state is PieceState.HELD
    seal(feeding.store)
    with pytest.raises(NotReleasedError, match="it is held"):
        certifier(feeding.store).certificate(PIECE)
    feeding.review(*NAMES)
    await release(feeding)
    feeding.store.close()
    as_before_parts(tmp_path)
    with opened(tmp_path) as store:
        # The signature of before is none of this log, which is as if written by an older program.
        seal(store)
        with pytest.raises(NotProvableError, match="has no parts"):
            certifier(store).certificate(PIECE)


def by_model(facts: dict[str, Any], **reading: Any) -> dict[str, Any]:
    """The same piece, cleared by the model, whose reading says something else."""
    return changed(changed(facts, "clearance", authority=Authority.MODEL, by=("model",)), "model", **reading)


CASES: dict[str, tuple[Flaw | None, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "another barcode": (Flaw.OTHER_PIECE, lambda it: changed(it, "identification", barcode="EE1")),
    "a reason against it": (Flaw.OTHER_PIECE, lambda it: changed(it, "identification", reasons=(Reason.UNANNOUNCED,))),
    "another visit": (Flaw.OTHER_PIECE, lambda it: changed(it, "permit", visit=2)),
    "another lane": (Flaw.SCAN_DIFFERS, lambda it: changed(it, "identification", lane_id="2")),
    "another scan cleared": (Flaw.SCAN_DIFFERS, lambda it: changed(it, "clearance", scan_sha256="b" * 64)),
    "another scan permitted": (Flaw.SCAN_DIFFERS, lambda it: changed(it, "permit", scan_sha256="b" * 64)),
    "another scan read": (Flaw.SCAN_DIFFERS, lambda it: changed(it, "reading", scan_sha256="b" * 64)),
    "a projected image": (Flaw.SCAN_DIFFERS, lambda it: changed(it, "model", projected_sha256="b" * 64)),
    "held": (Flaw.NOT_CLEARED, lambda it: changed(it, "clearance", outcome=Outcome.HELD)),
    "cleared with a reason": (Flaw.NOT_CLEARED, lambda it: changed(it, "clearance", reasons=(Reason.MODEL_ALARM,))),
    "another model": (Flaw.NOT_CLEARED, lambda it: changed(it, "model", model_sha256="b" * 64)),
    "the operator holds": (Flaw.NOT_CLEARED, lambda it: changed(it, "reading", decision=OperatorDecision.HOLD)),
    "cleared by nobody": (Flaw.AUTHORITY_MISSING, lambda it: changed(it, "clearance", by=())),
    "cleared by another": (Flaw.AUTHORITY_MISSING, lambda it: changed(it, "clearance", by=("Trần Bình",))),
    "two are demanded": (Flaw.AUTHORITY_MISSING, lambda it: changed(it, "clearance", authority=Authority.TWO_PEOPLE)),
    "the model for an operator": (Flaw.AUTHORITY_MISSING, lambda it: changed(it, "clearance", by=("model",))),
    "one who is not the model": (Flaw.AUTHORITY_MISSING, lambda it: changed(it, "clearance", authority=Authority.MODEL)),
    "the model alarms": (
        Flaw.AUTHORITY_MISSING,
        lambda it: by_model(it, score=0.6),
    ),
    "the model fails": (Flaw.AUTHORITY_MISSING, lambda it: by_model(it, score=float("-inf"))),
    "the model has no threshold": (Flaw.AUTHORITY_MISSING, lambda it: by_model(it, threshold=float("inf"))),
    "the model names a thing": (Flaw.AUTHORITY_MISSING, lambda it: by_model(it, findings=(Finding(reason=Reason.MODEL_BLADE),))),
    "no model looked": (
        Flaw.FACT_MISSING,
        lambda it: {name: fact for name, fact in changed(it, "clearance", model_sha256=None).items() if name != "model"},
    ),
    "a finding that nobody reviewed": (Flaw.NOT_CLEARED, lambda it: changed(it, "scan", findings=(Finding(reason=Reason.OPAQUE_AREA),))),
    "what no operator may judge": (Flaw.NOT_CLEARED, lambda it: changed(it, "model", findings=(Finding(reason=Reason.TWO_PIECES),))),
    "judged before it ended": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", ended_at=at(10))),
    "a short dose": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", dose_mj_per_cm2=29.9)),
    "an endless dose": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", dose_mj_per_cm2=float("inf"))),
    "no target": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", target_mj_per_cm2=0.0)),
    "a failed cycle": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", reasons=(Reason.DOSE_SHORT,))),
    "begun before the clearance": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", started_at=at(2))),
    "ended before it began": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", ended_at=at(4))),
    "another cycle": (Flaw.PERMIT_DIFFERS, lambda it: changed(it, "permit", nonce=78)),
    "another policy": (Flaw.PERMIT_DIFFERS, lambda it: changed(it, "permit", policy_sha256="b" * 64)),
    "another tag": (Flaw.PERMIT_DIFFERS, lambda it: changed(it, "permit", tag=8)),
    "another challenge": (Flaw.PERMIT_DIFFERS, lambda it: changed(it, "gate", challenge=9)),
    "no scan": (Flaw.FACT_MISSING, lambda it: {name: fact for name, fact in it.items() if name != "scan"}),
    "two clearances": (Flaw.OUT_OF_ORDER, lambda it: {**it, "clearance": it["clearance"], "x": it["clearance"]}),
    "disinfected first": (
        Flaw.OUT_OF_ORDER,
        lambda it: {
            name: it[name] for name in ("identification", "scan", "model", "reading", "disinfection", "clearance", "permit", "gate")
        },
    ),
    "a level": (Flaw.LEVEL_DIFFERS, lambda it: changed(it, "identification", secrecy=Secrecy.C)),
    "no dose": (Flaw.NOT_DISINFECTED, lambda it: changed(it, "disinfection", dose_mj_per_cm2=float("nan"))),
    "nothing wrong": (None, lambda it: it),
    "nothing wrong by the model": (None, by_model),
    "a thing named by the model that an operator saw": (
        None,
        lambda it: changed(it, "model", score=0.6, findings=(Finding(reason=Reason.MODEL_BLADE),)),
    ),
}


def test_facts_of_the_log_that_tell_another_story_prove_nothing(tmp_path: Path):
    """Whoever has the log's key may choose facts; those that stand in the log must still tell of a release by the rules."""

    def write(unit: UnitOfWork) -> None:
        for name, (_, change) in CASES.items():
            tell(unit, name, change(facts_of_a_release(name)).values())

    def issued(view: ReadView, name: str, node_at: NodeAt) -> bytes:
        facts = view.audit_facts_of(name)
        kinds = [json.loads(fact.content or b"")["kind"] for fact in facts]
        steps = [fact for fact, kind in zip(facts, kinds, strict=True) if kind != "state_change.v1"]
        chosen = Chosen(facts=(*steps, facts[-1]), visit=1, marked=False)
        return issue(chosen, checkpoint=note, size=size, node_at=node_at, key=LOG_KEY).content

    def issue_all(view: ReadView) -> dict[str, Flaw | None]:
        node_at = StoredNodes(view, read_tree(view, size))
        return {name: flaw_of(issued(view, name, node_at)) for name in CASES}

    with opened(tmp_path) as store:
        store.write(write).result(30)
        note, size = seal(store), store.read(lambda view: view.audit_head()).size
        assert store.read(issue_all) == {name: flaw for name, (flaw, _) in CASES.items()}
