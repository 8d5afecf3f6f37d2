"""A station that went on from a backup, and the receiver that knows of the time that was lost."""

import asyncio
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from station.api.receiver_trust import TrustedStation
from station.bootstrap.audit import believed_keys, open_keeper
from station.bootstrap.backup import make_backup
from station.bootstrap.restore import Restored, restore
from station.bootstrap.stores import open_store
from station.bootstrap.tracking import open_counterpart
from station.clock import SystemClock
from station.domain.events import PieceStatus
from station.domain.reasons import Reason
from station.ports.tracking import ReceiverUnreachableError
from station.settings import Configuration, edit, load, write_shipped
from station.storage.receiver_store import SqliteReceiverLedger
from station.storage.store import SqliteStore
from station.tracking.reconciliation import source_of
from station.tracking.signatures import public_text
from station.workflow.reconciling import reconcile_day
from tests.support.outboxes import delivered
from tests.support.store_facts import announcement, event
from tests.support.tracking_wire import RECEIVER_KEY, STATION, STATION_KEY, relaying, serving, utc_now
from tests.support.waiting import until

SITE = TrustedStation(source=source_of("site-1"), keys=STATION.keys)
SMALL = {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1}


def configured(directory: Path, receiver: str) -> Configuration:
    write_shipped(directory)
    edit(directory / "station.toml", {**SMALL, "tracking.receiver": receiver})
    configuration = load(directory / "station.toml")
    configuration.signing_key_file.parent.mkdir(mode=0o700)
    pem = STATION_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    configuration.signing_key_file.write_bytes(pem)
    configuration.signing_key_file.chmod(0o600)
    configuration.receiver_key_file.write_text(public_text(RECEIVER_KEY))
    return configuration


def tell(store: SqliteStore, piece_id: str, at: datetime) -> None:
    told = replace(event(piece_id, PieceStatus.HELD), at=at)
    store.write(lambda uow: uow.publish(told)).result()


async def put_back(configuration: Configuration, backup: Path) -> Restored:
    configuration.data_dir.rename(configuration.data_dir.with_name(f"data.{utc_now():%H%M%S%f}"))
    keys = believed_keys(configuration)
    return await asyncio.to_thread(restore, configuration.path, backup, keys, person="Lan", note="disk", progress=lambda _done, _all: None)


async def test_it_takes_up_where_the_receiver_is(tmp_path: Path, ledger: SqliteReceiverLedger):
    async with serving(ledger, stations=(SITE,)) as url:
        site = configured(tmp_path / "site", url)
        store = open_store(site)
        store.write(lambda uow: uow.announce(announcement("P1"), utc_now())).result()
        for piece_id in ("P1", "P1", "P2"):
            tell(store, piece_id, utc_now())
        await open_keeper(site, store, SystemClock()).start()
        made = await asyncio.to_thread(make_backup, site, tmp_path / "backups", keep=None, at=utc_now(), progress=lambda _done, _all: None)
        # In the lost time: what was written before is delivered, and more is.
        for piece_id in ("P1", "P3", "P3"):
            tell(store, piece_id, utc_now())
        async with relaying(store, url):
            await until(delivered(store, 6))
        store.close()

        done = await put_back(site, made.directory)
        assert (done.asked, done.settled.lost_events, done.settled.marked) == (True, 3, 2)
        store = open_store(site)
        for piece_id in ("P1", "P2", "P3"):
            tell(store, piece_id, utc_now())
        async with relaying(store, url):
            await until(delivered(store, 6))
        status = store.read(lambda view: view.outbox_status())
        assert (status.blocked, status.pending) == (0, 0)
        sequences = {piece: [one.sequence for one in store.read(lambda view, p=piece: view.events_of(p))] for piece in ("P1", "P2", "P3")}
        assert sequences == {"P1": [1, 2, 4], "P2": [1, 2], "P3": [3]}
        other = open_counterpart(site, utc_now)
        assert other is not None
        for day in {made.manifest.made_at.date(), utc_now().date()}:
            report = await reconcile_day(store.read, other, day)
            assert (report.holds, report.findings) == (True, ())
        await other.close()
        known = [row.evidence.lost_events for row in store.read(lambda view: view.evidence("P3"))]  # type: ignore[union-attr]
        assert known == [2]
        assert Reason.RECORD_RESTORED not in store.read(lambda view: view.piece("P1")).reasons  # type: ignore[union-attr]
        store.close()


async def test_a_receiver_that_does_not_answer_leaves_everything_as_it_was(tmp_path: Path):
    site = configured(tmp_path / "site", "http://127.0.0.1:9")
    store = open_store(site)
    await open_keeper(site, store, SystemClock()).start()
    store.close()
    made = await asyncio.to_thread(make_backup, site, tmp_path / "backups", keep=None, at=utc_now(), progress=lambda _done, _all: None)
    with pytest.raises(ReceiverUnreachableError, match="lost time could not be asked"):
        await put_back(site, made.directory)
    assert not site.data_dir.exists()
    assert not list(site.path.parent.glob("*unfinished*"))
