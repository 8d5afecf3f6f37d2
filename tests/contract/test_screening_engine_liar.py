"""A worker that was taken over: whatever it answers, nothing but a well-formed reading of the known model gets through."""

import os
import signal
import sys

import pytest
from structlog.testing import capture_logs

from station.domain.errors import ScreeningError
from station.screening import worker
from station.screening.worker import WorkerScreening
from tests.support.lying_worker import LIES
from tests.support.screening_models import SHIPPED, raw_scan


@pytest.mark.parametrize("lie", sorted(set(LIES) - {"truth"}))
async def test_a_lie_is_no_reading_and_ends_the_worker(lie: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_PROGRAM", "tests.support.lying_worker")
    engine = WorkerScreening(SHIPPED, alpha=0.05, site=lie, time_limit_s=30)
    try:
        await engine.start()
        pid = engine.worker_pid
        with capture_logs() as log, pytest.raises(ScreeningError):
            await engine.read(raw_scan())
        assert [line["event"] for line in log] == ["the screening worker failed and is started anew"]
        await engine.start()
        assert engine.worker_pid != pid
    finally:
        await engine.close()


async def test_a_worker_that_cannot_be_started_holds_one_piece_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_PROGRAM", "tests.support.lying_worker")
    engine = WorkerScreening(SHIPPED, alpha=0.05, site="truth", time_limit_s=30)
    try:
        with monkeypatch.context() as context:
            context.setattr(sys, "executable", "/nowhere/python")
            with pytest.raises(ScreeningError, match=r"cannot be started \(No such file"):
                await engine.start()
        await engine.start()
        pid = engine.worker_pid
        with monkeypatch.context() as context:
            context.setattr(sys, "executable", "/nowhere/python")
            os.kill(pid, signal.SIGKILL)
            for _ in range(2):
                with pytest.raises(ScreeningError, match="screening worker: it"):
                    await engine.read(raw_scan())
        assert (await engine.read(raw_scan())).score == 0
    finally:
        await engine.close()


async def test_what_is_well_formed_gets_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker, "_PROGRAM", "tests.support.lying_worker")
    engine = WorkerScreening(SHIPPED, alpha=0.05, site="truth", time_limit_s=30)
    try:
        assert (await engine.read(raw_scan())).score == 0
        with pytest.raises(ScreeningError):
            await engine.score_test_piece(raw_scan())
    finally:
        await engine.close()
