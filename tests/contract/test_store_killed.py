"""What is in the store after a kill, or a power cut in the middle of a commit: all that was acknowledged, and nothing half."""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from station.domain.events import PieceStatus
from tests.support.store_facts import announcement, arrive, at, check_audit, event, opened, permit


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_loses_nothing_that_was_acknowledged(seed: int):
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory:
        acknowledged: dict[str, tuple[str, int]] = {}
        for _ in range(2):
            process = subprocess.Popen([sys.executable, "-m", "tests.support.store_killed", directory], stdout=subprocess.PIPE)
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 400)):
                _note(acknowledged, process.stdout.readline())
            process.kill()
            for line in process.stdout.read().splitlines(keepends=True):
                _note(acknowledged, line)
            process.stdout.close()
            process.wait()
        with opened(Path(directory)) as store:
            steps = 0
            for piece in store.read(lambda view: view.pieces(limit=10**6)):
                history, facts, events = store.read(
                    lambda view, p=piece.piece_id: (view.history(p), view.evidence(p), view.events_of(p)),
                )
                steps += len(history)
                assert history[-1].after is piece.state
                assert len(facts) == len(history) - 1
                assert [sent.sequence for sent in events] == list(range(1, len(events) + 1))
                assert len(events) == {"announced": 0, "arrived": 1, "scanning": 1, "scanned": 2}[piece.state]
                _, permits = acknowledged.pop(piece.piece_id, ("", 0))
                assert len(facts) >= permits
            assert acknowledged == {}
            done = store.write(lambda unit: unit.next_number("done")).result(10) - 1
            announced = len(store.read(lambda view: view.pieces(limit=10**6)))
            assert steps == announced + done
            assert check_audit(store) == 2 * announced + 2 * done


def _note(acknowledged: dict[str, tuple[str, int]], line: bytes) -> None:
    if line.endswith(b"\n"):
        piece_id, state, permits, _ = line.decode().split()
        acknowledged[piece_id] = (state, int(permits))


def test_a_torn_log_is_cut_at_the_last_commit(tmp_path: Path):
    copy = tmp_path / "copy"
    with opened(tmp_path / "data") as store:
        arrive(store, "P1")
        before = check_audit(store)
        store.write(lambda unit: (unit.publish(event("P1", PieceStatus.HELD)), unit.append(permit("P1", 3)))).result(10)
        copy.mkdir()
        # What a power cut in the middle of the last commit leaves: the log without its end.
        for name in ("station.db", "station.db-wal"):
            (copy / name).write_bytes((tmp_path / "data" / name).read_bytes())
    wal = copy / "station.db-wal"
    wal.write_bytes(wal.read_bytes()[:-100])
    with opened(copy) as store:
        assert check_audit(store) == before
        assert store.read(lambda view: view.outbox_depth()) == (0, 0, 0)
        store.write(lambda unit: unit.announce(announcement("P2"), at())).result(10)
        assert check_audit(store) == before + 2
