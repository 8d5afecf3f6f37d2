"""The audit log's keeper and its witness over real HTTP: what grows is signed twice, what contradicts itself is refused loudly."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import httpx
import pysqlite3.dbapi2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from station.audit.checkpoint import LogKey, open_checkpoint
from station.audit.merkle import EMPTY_ROOT, MemoryTree, consistency_proof, leaf_hash
from station.audit.note import split
from station.bootstrap.audit import AuditFiles, verify_log
from station.domain.alarm import AlarmCode
from station.ports.tracking import ReceiverUnreachableError, Witness, WitnessAnswer
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.sqlite import append_only_triggers
from station.storage.store import DATABASE_NAME, SqliteStore
from station.tracking.http import HttpLink, HttpWitness
from station.workflow.audit_keeper import AuditKeeper
from tests.support.audit_logs import KEYS, LOG_KEY, append_facts
from tests.support.store_facts import opened
from tests.support.tracking_wire import QuickClock, serving
from tests.support.waiting import until

TREE = MemoryTree(leaf_hash(b"%d" % number) for number in range(40))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with opened(tmp_path / "station") as one:
        yield one


def grow(store: SqliteStore, count: int, start: int = 0) -> None:
    store.write(lambda unit: append_facts(unit, start, count)).result(10)


def keeper_of(store: SqliteStore, witness: Witness | None = None, *, quicker: float = 1.0) -> AuditKeeper:
    """Of one that does not run, the log would be stale after 0.15 s of the quick clock."""
    return AuditKeeper(store=store, clock=QuickClock(quicker), key=LOG_KEY, keys=KEYS, site="test", witness=witness)


@asynccontextmanager
async def keeping(store: SqliteStore, witness: Witness | None) -> AsyncIterator[AuditKeeper]:
    keeper = keeper_of(store, witness, quicker=200)
    await keeper.start()
    task = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def alarms(store: SqliteStore) -> list[AlarmCode]:
    return [alarm.code for alarm in store.read(lambda view: view.alarms()) if alarm.cleared_at is None]


def sizes(store: SqliteStore) -> tuple[int, int]:
    """How many leaves are signed, and how many are witnessed too."""
    newest, witnessed = store.read(lambda view: (view.newest_checkpoint(), view.newest_checkpoint(witnessed=True)))
    return (newest.size if newest else 0, witnessed.size if witnessed else 0)


async def test_what_grows_is_signed_and_witnessed(store: SqliteStore, ledger: SqliteReceiverLedger, tmp_path: Path):
    grow(store, 3)
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, keeping(store, HttpWitness(HttpLink(url))) as keeper:
        for size in (3, 700, 701):
            grow(store, size - store.read(lambda view: view.audit_head()).size, 1000 + size)
            await until(lambda size=size: sizes(store) == (size, size))
        await until(lambda: keeper.intact)
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            kept = await client.get("/checkpoint", params={"origin": LOG_KEY.origin})
            assert (await client.get("/checkpoint", params={"origin": "another"})).status_code == 404
    assert alarms(store) == []
    opened_note = open_checkpoint(kept.text, KEYS)
    assert opened_note.by_log
    assert opened_note.witnessed_at is not None
    # What an inspector gets from the receiver proves the station's file.
    saved = tmp_path / "from-the-receiver"
    saved.write_text(kept.text, encoding="utf-8")
    report = verify_log(AuditFiles(database=tmp_path / "station" / DATABASE_NAME, keys=KEYS, saved=saved))
    assert report.holds
    assert report.witnessed == 701


async def test_a_log_that_was_begun_anew_is_refused_loudly(store: SqliteStore, ledger: SqliteReceiverLedger, tmp_path: Path):
    grow(store, 20)
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url:
        async with keeping(store, HttpWitness(HttpLink(url))):
            await until(lambda: sizes(store) == (20, 20))
        with opened(tmp_path / "anew") as other:
            for size in (20, 30):
                # As long as the one that was witnessed, and longer.
                grow(other, size - other.read(lambda view: view.audit_head()).size, 5000 * size)
                keeper, witness = keeper_of(other), HttpWitness(HttpLink(url))
                await keeper.start()
                assert not await keeper.show(witness)
                await witness.close()
                assert alarms(other) == [AlarmCode.WITNESS_REFUSED]
                assert keeper.intact
                assert sizes(other) == (size, 0)
        with opened(tmp_path / "short") as shorter:
            grow(shorter, 10)
            async with keeping(shorter, HttpWitness(HttpLink(url))):
                await until(lambda: alarms(shorter) == [AlarmCode.WITNESS_REFUSED])
    assert ledger.witnessed(LOG_KEY.origin) is not None


async def test_a_receiver_that_forgot_or_knows_more_is_followed(store: SqliteStore, tmp_path: Path):
    grow(store, 10)
    for name in ("first", "second"):
        ledger = SqliteReceiverLedger(tmp_path / name)
        async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, keeping(store, HttpWitness(HttpLink(url))):
            if name == "second":
                # The station remembers ten leaves as witnessed; this one has never heard of the log.
                grow(store, 5, 100)
                await until(lambda: sizes(store) == (15, 15))
            else:
                await until(lambda: sizes(store) == (10, 10))
        ledger.close()
    assert alarms(store) == []


async def test_a_receiver_that_is_no_witness_is_no_alarm(store: SqliteStore, ledger: SqliteReceiverLedger):
    grow(store, 4)
    async with serving(ledger) as url:
        witness = HttpWitness(HttpLink(url))
        keeper = keeper_of(store)
        await keeper.start()
        assert not await keeper.show(witness)
        await witness.close()
    assert alarms(store) == []
    stranger = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    async with serving(ledger, log_keys=(stranger.verifier(),)) as url, keeping(store, HttpWitness(HttpLink(url))):
        # It knows the log by another key: somebody must look.
        await until(lambda: alarms(store) == [AlarmCode.WITNESS_REFUSED])
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, keeping(store, HttpWitness(HttpLink(url))):
        await until(lambda: sizes(store) == (4, 4) and alarms(store) == [])


class Silent:
    """A witness that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
        self.asked += 1
        await asyncio.Event().wait()
        raise ReceiverUnreachableError("never")

    async def close(self) -> None:
        return None


async def test_signing_does_not_wait_for_the_witness(store: SqliteStore):
    silent = Silent()
    async with keeping(store, silent):
        for size in range(1, 6):
            grow(store, 1, size)
            await until(lambda size=size: sizes(store) == (size, 0))
        assert silent.asked == 1


async def test_a_wrong_signature_of_the_witness_is_not_kept(store: SqliteStore):
    class Liar(Silent):
        async def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> WitnessAnswer:
            return WitnessAnswer(status=200, body=note.splitlines(keepends=True)[-1] + "— witness AAAAAAAA\nnonsense\n")

    grow(store, 2)
    keeper = keeper_of(store)
    await keeper.start()
    assert not await keeper.show(Liar())
    assert sizes(store) == (2, 0)
    assert alarms(store) == [AlarmCode.WITNESS_REFUSED]


def tamper(directory: Path, statement: str) -> None:
    with closing(pysqlite3.dbapi2.connect(str(directory / "station" / DATABASE_NAME), isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER IF EXISTS evidence_no_update")
        connection.execute(statement)


async def test_a_log_that_is_broken_while_it_grows_is_signed_no_more(store: SqliteStore, tmp_path: Path):
    keeper = keeper_of(store)
    grow(store, 5)
    await keeper.start()
    assert keeper.intact
    grow(store, 5, 5)
    tamper(tmp_path, "UPDATE evidence SET piece_id = 'another' WHERE row_id = 8")
    await keeper.seal()
    assert not keeper.intact
    assert alarms(store) == [AlarmCode.AUDIT_BROKEN]
    assert sizes(store) == (5, 0)
    grow(store, 5, 10)
    await keeper.seal()
    again = keeper_of(store)
    report = await again.start()
    assert (again.intact, report.first_wrong_leaf) == (False, 7)
    assert sizes(store) == (5, 0)
    # Put right, the next start signs it.
    with closing(pysqlite3.dbapi2.connect(str(tmp_path / "station" / DATABASE_NAME), isolation_level=None)) as connection:
        connection.execute("UPDATE evidence SET piece_id = 'P7' WHERE row_id = 8")
        connection.execute(dict(append_only_triggers("evidence"))["evidence_no_update"])
    whole = keeper_of(store)
    await whole.start()
    assert whole.intact
    assert alarms(store) == []
    assert sizes(store) == (15, 0)


def asked(old: int, size: int, *, key: LogKey = LOG_KEY, tree: MemoryTree = TREE, proof: Sequence[bytes] | None = None) -> bytes:
    hashes = (consistency_proof(old, size, TREE.node_at) if old else ()) if proof is None else proof
    lines = "".join(base64.b64encode(one).decode() + "\n" for one in hashes)
    return f"old {old}\n{lines}\n{key.checkpoint(size, tree.root(size))}".encode()


async def test_the_receiver_answers_as_the_witness_protocol_says(ledger: SqliteReceiverLedger):
    other = MemoryTree(leaf_hash(b"other %d" % number) for number in range(40))
    stranger = LogKey(LOG_KEY.origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:

        async def ask(body: bytes) -> tuple[int, str]:
            answer = await client.post("/add-checkpoint", content=body)
            return answer.status_code, answer.text if answer.headers["content-type"].startswith("text/x.tlog.size") else ""

        not_a_hash = b"old 0\nAAAA\n\n" + asked(0, 3)[7:]
        for malformed in (
            b"",
            b"old 1",
            b"\xff\n\n",
            b"old 01\n\nx",
            asked(0, 3).replace(b"\n3\n", b"\nthree\n"),
            not_a_hash,
        ):
            assert await ask(malformed) == (400, "")
        assert await ask(b"old 0\n" * 20_000) == (413, "")
        assert await ask(asked(0, 3, proof=[bytes(32)] * 64)) == (400, "")
        assert await ask(asked(0, 3, key=LogKey("another", LOG_KEY.key))) == (404, "")
        assert await ask(asked(0, 3, key=stranger)) == (403, "")
        assert await ask(asked(0, 3).replace(b"\n3\n", b"\n4\n")) == (403, "")
        assert await ask(asked(5, 3, proof=())) == (400, "")
        assert await ask(asked(2, 3)) == (409, "0\n")
        assert await ask(asked(0, 3, proof=[bytes(32)])) == (422, "")
        assert await ask(asked(0, 3)) == (200, "")
        assert await ask(asked(3, 3)) == (200, "")
        assert await ask(asked(0, 9)) == (409, "3\n")
        assert await ask(asked(3, 3, tree=other)) == (409, "")
        assert await ask(asked(3, 9, tree=other)) == (422, "")
        assert await ask(asked(3, 9, proof=())) == (422, "")
        assert await ask(asked(3, 9)) == (200, "")
        known = ledger.witnessed(LOG_KEY.origin)
        assert known is not None
        assert (known.size, known.root) == (9, TREE.root(9))
        # Two at once: one of them is told what the other brought about.
        answers = await asyncio.gather(*(ask(asked(9, size)) for size in (20, 30)))
        assert sorted(status for status, _ in answers) == [200, 409]


async def test_a_log_without_leaves_has_one_root_and_can_be_continued(ledger: SqliteReceiverLedger):
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:

        async def ask(body: bytes) -> int:
            return (await client.post("/add-checkpoint", content=body)).status_code

        def empty(root: bytes) -> bytes:
            return f"old 0\n\n{LOG_KEY.checkpoint(0, root)}".encode()

        assert await ask(empty(TREE.root(3))) == 422
        assert ledger.witnessed(LOG_KEY.origin) is None
        assert await ask(empty(EMPTY_ROOT)) == 200
        assert await ask(empty(EMPTY_ROOT)) == 200
        assert await ask(asked(0, 3, proof=[bytes(32)])) == 422
        assert await ask(asked(0, 3)) == 200


async def test_what_others_add_to_a_note_is_not_kept(ledger: SqliteReceiverLedger, tmp_path: Path):
    """Everybody can fetch a checkpoint and send it again; what is handed to an inspector must stay readable."""
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for times in (1, 63, 63):
            junk = "".join(f"\u2014 nobody{number} AAAAAAA=\n" for number in range(times))
            assert (await client.post("/add-checkpoint", content=asked(3 if times > 1 else 0, 3) + junk.encode())).status_code == 200
        kept = (await client.get("/checkpoint", params={"origin": LOG_KEY.origin})).text
        again = f"old 3\n\n{kept}".encode()
        assert (await client.post("/add-checkpoint", content=again)).status_code == 200
        kept = (await client.get("/checkpoint", params={"origin": LOG_KEY.origin})).text
    assert len(split(kept).signatures) == 2
    assert open_checkpoint(kept, KEYS).by_log


async def test_of_two_histories_sent_at_once_one_is_signed(ledger: SqliteReceiverLedger):
    other = MemoryTree(leaf_hash(b"other %d" % number) for number in range(40))
    async with serving(ledger, log_keys=(LOG_KEY.verifier(),)) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        requests = [asked(0, 8), asked(0, 8, tree=other), asked(0, 9), asked(0, 9, tree=other)] * 3
        answers = await asyncio.gather(*(client.post("/add-checkpoint", content=one) for one in requests))
        signed = {index % 4 for index, answer in enumerate(answers) if answer.status_code == 200}
        assert len(signed) == 1
        assert {answer.status_code for answer in answers} == {200, 409}
