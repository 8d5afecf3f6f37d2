"""`station tracking` at a terminal: what stands in the outbox, sending again, and comparing a day, with their exit codes."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from station.api.receiver import create_receiver, serve_receiver
from station.bootstrap import tracking
from station.bootstrap.loop_thread import LoopThread
from station.bootstrap.stores import open_store
from station.clock import SystemClock
from station.domain.events import PieceStatus
from station.settings import edit, load
from station.storage.receiver_store import SqliteReceiverLedger
from tests.support.store_facts import NOON, event
from tests.support.terminal import Terminal
from tests.support.tracking_wire import utc_now
from tests.support.waiting import until

DAY = str(NOON.date())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "ANSWER_S", 0.0)
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def site(terminal: Terminal, tmp_path: Path) -> Path:
    assert terminal.run("config", "init", tmp_path)[0] == 0
    path = tmp_path / "station.toml"
    edit(path, {"tracking.further_signing_key_files": ["keys/new.key"]})
    return path


@contextmanager
def receiver(site: Path) -> Iterator[SqliteReceiverLedger]:
    """A receiver that believes only the station's new key, and whose own next key the station knows already."""
    directory = site.parent
    tracking.signing_of(load(site))
    files = tracking.ReceiverFiles(
        directory=directory / "receiver",
        name="centre",
        station_keys=[f"site-1={directory / 'keys/new.pub'}"],
        next_key=directory / "next.key",
    )
    server = tracking.open_receiver(files)
    (directory / "keys/tracking-receiver.pub").write_text("".join(f"centre {key}\n" for key in server.public_keys), encoding="ascii")
    thread, url = LoopThread("receiver"), Future[str]()
    app = create_receiver(server.ledger, server.identity, utc_now)
    thread.submit(serve_receiver(app, "127.0.0.1", 0, lambda host, port: url.set_result(f"http://{host}:{port}")))
    edit(site, {"tracking.receiver": url.result(10)})
    try:
        yield server.ledger
    finally:
        thread.stop()
        server.ledger.close()


def publish(site: Path) -> None:
    store = open_store(load(site))
    for piece in ("P1", "P2"):
        for number in range(2):
            told = replace(event(piece, PieceStatus.HELD, number))
            store.write(lambda unit, told=told: unit.publish(told)).result(10)
    store.close()


def deliver(site: Path) -> None:
    """What the station's tracking does, until everything has its receipt."""

    async def run() -> None:
        configuration = load(site)
        store = open_store(configuration)
        relay = await tracking.open_relay(configuration, store, SystemClock())
        running = asyncio.create_task(relay.run())
        await until(lambda: store.read(lambda view: view.outbox_depth()) == (4, 4, 0) and not relay._active)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        store.close()

    asyncio.run(run())


def test_a_day_is_sent_compared_and_mended(terminal: Terminal, site: Path):
    publish(site)
    status = json.loads(terminal.run("tracking", "status", "--json")[1])
    assert (status["written"], status["pending"], status["paused"], status["troubled"]) == (4, 4, None, [])
    with receiver(site) as ledger:
        assert terminal.run("tracking", "replay")[:2] == (0, "Gửi lại / sent again: 0\n")
        deliver(site)
        code, out, _ = terminal.run("tracking", "reconcile", "--date", DAY)
        assert code == 0
        assert "agrees" in out
        with ledger._write_engine.begin() as connection:
            for table in ("effect", "seen_event"):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE subject = 'P2'")  # noqa: S608
        code, out, _ = terminal.run("tracking", "reconcile", "--date", DAY)
        assert code == 1
        assert "✗ missing: P2 1" in out
        found = json.loads(terminal.run("tracking", "reconcile", "--date", DAY, "--json")[1])
        assert (found["holds"], found["ours"], found["theirs"], len(found["findings"])) == (False, 4, 2, 2)
        assert json.loads(terminal.run("tracking", "replay", "--since", DAY, "--piece", "P2", "--json")[1]) == {"events": 2}
        # A station that has the store does it itself.
        running = open_store(load(site))
        code, out, _ = terminal.run("tracking", "replay", "--piece", "P1")
        running.close()
        assert code == 0
        assert "the station will do it" in out
        deliver(site)
        assert list((site.parent / "data/replays").glob("*.wanted")) == []
        assert terminal.run("tracking", "reconcile", "--date", DAY)[0] == 0
    code, _, err = terminal.run("tracking", "reconcile", "--date", DAY)
    assert code == 3
    assert "did not answer" in err


def test_what_gives_trouble_is_shown(terminal: Terminal, site: Path):
    publish(site)
    store = open_store(load(site))
    store.write(lambda unit: unit.mark_blocked("P1", 1, "another body")).result()
    store.write(lambda unit: unit.mark_retry("P2", 1, NOON, "no answer")).result()
    store.write(lambda unit: unit.set_value("tracking.paused", "gone (410)")).result()
    store.close()
    _, out, _ = terminal.run("tracking", "status")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "paused gone (410)" in lines
    assert lines[-2:] == ["blocked site-1:P1:1 × 1 another body", "pending site-1:P2:1 × 1 no answer"]
    edit(site, {"tracking.receiver": "http://127.0.0.1:9"})
    assert json.loads(terminal.run("tracking", "replay", "--blocked", "--json")[1]) == {"events": 1}
    status = json.loads(terminal.run("tracking", "status", "--json")[1])
    assert (status["blocked"], status["paused"]) == (0, None)


def test_what_cannot_be_asked_is_told(terminal: Terminal, site: Path):
    assert terminal.run("tracking", "replay")[0] == terminal.run("tracking", "reconcile")[0] == 2
    edit(site, {"tracking.receiver": "http://127.0.0.1:9"})
    for arguments, why in ((("replay", "--since", "soon"), "is no time"), (("reconcile", "--date", "today"), "is no day")):
        code, _, err = terminal.run("tracking", *arguments)
        assert (code, why in err) == (2, True)
    assert terminal.run("tracking", "replay")[0] == 1
    edit(site, {"tracking.transport": "epcis"})
    code, _, err = terminal.run("config", "validate")
    assert (code, 'receipts = "none"' in err) == (2, True)
    edit(site, {"tracking.receipts": "none"})
    assert terminal.run("config", "validate")[0] == 0
    code, _, err = terminal.run("tracking", "reconcile")
    assert (code, "keeps its side" in err) == (2, True)
