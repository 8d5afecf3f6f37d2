"""What systemd hears of a station, and that it hears nothing of one that hangs."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path

import pytest

from station.bootstrap.loop_thread import LoopThread
from station.bootstrap.pulse import Asked, Pulse, watch_over
from station.bootstrap.service_manager import ServiceManager
from station.bootstrap.station import start_station
from station.bootstrap.stores import refuse_used_data
from station.domain.errors import StoreError
from station.settings import edit, load, write_shipped
from tests.support.clocks import SetClock


class Systemd:
    """The socket on which the service manager listens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), **more}

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    one = Systemd(tmp_path / "notify")
    yield one
    one.close()


class Turns:
    """Time that passes between two looks, without anybody waiting for it."""

    def __init__(self, clock: SetClock, systemd: Systemd, steps: list[tuple[float, Callable[[], None]]]) -> None:
        self._clock, self._systemd, self._steps = clock, systemd, iter(steps)
        self.heard: list[list[str]] = []
        self.asked: list[float] = []

    def wait(self, timeout: float) -> bool:
        self.asked.append(timeout)
        self.heard.append(self._systemd.heard())
        step = next(self._steps, None)
        if step is None:
            return True
        seconds, happen = step
        self._clock.forward(seconds)
        happen()
        return False


def test_the_start_and_the_end_are_told(systemd: Systemd):
    manager = ServiceManager(systemd.environment(WATCHDOG_USEC="30000000", WATCHDOG_PID="7"), pid=7)
    assert manager.watchdog_s == 30.0
    manager.still_starting(900.0, "the audit log is being checked")
    assert systemd.heard() == ["EXTEND_TIMEOUT_USEC=900000000", "STATUS=the audit log is being checked"]
    manager.ready("1 lane(s)")
    assert systemd.heard() == ["READY=1", "STATUS=1 lane(s)"]
    manager.stopping()
    assert systemd.heard()[0] == "STOPPING=1"


def test_nobody_or_nobody_any_more_hinders_nothing(systemd: Systemd):
    nobody = ServiceManager({"WATCHDOG_USEC": "30000000"}, pid=7)
    nobody.ready("")
    assert nobody.watchdog_s == 0.0
    assert ServiceManager(systemd.environment(WATCHDOG_USEC="30000000", WATCHDOG_PID="8"), pid=7).watchdog_s == 0.0
    assert ServiceManager(systemd.environment(WATCHDOG_USEC="soon"), pid=7).watchdog_s == 0.0
    gone = ServiceManager(systemd.environment(), pid=7)
    systemd.close()
    systemd.path.unlink()
    gone.ready("")


def test_an_abstract_socket_is_understood(tmp_path: Path):
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"kt1-{tmp_path.name}-{id(tmp_path)}"
    listening.bind(f"\0{name}")
    ServiceManager({"NOTIFY_SOCKET": f"@{name}"}, pid=7).alive()
    assert listening.recv(100) == b"WATCHDOG=1"
    listening.close()


def test_a_hanging_loop_or_writer_is_not_kept_alive(systemd: Systemd):
    clock, go, lanes = SetClock(datetime(2026, 11, 27, tzinfo=UTC)), threading.Event(), LoopThread("lanes")
    written: list[Future[None]] = []

    def write() -> Future[None]:
        written.append(Future())
        return written[-1]

    def done() -> None:
        written[-1].set_exception(OSError("the disk is full")) if len(written) % 2 else written[-1].set_result(None)

    def turn() -> None:
        # Answered in their turn: what the pulse asked before is answered by then.
        lanes.submit(asyncio.sleep(0)).result(20)

    def settle() -> None:
        done()
        turn()

    def hang() -> None:
        settle()
        lanes.loop.call_soon_threadsafe(go.wait, 20)

    def let_go() -> None:
        go.set()
        settle()

    pulse = Pulse(
        {"lanes": Asked(ask=lambda: lanes.submit(asyncio.sleep(0)), limit_s=10.0), "store": Asked(ask=write, limit_s=60.0)}, clock
    )
    steps: list[tuple[float, Callable[[], None]]] = [(7.5, settle), (7.5, hang)]
    # The loop hangs: what was asked before is still answered, then nothing is.
    steps += [(0.1, done), (7.5, done), (7.5, done), (0.1, let_go)]
    # The writer hangs: 60 s are within its limit, more are not.
    steps += [(20.0, turn), (20.0, turn), (20.0, turn), (0.1, turn), (0.1, settle)]
    turns = Turns(clock, systemd, steps)
    try:
        watch_over(pulse, ServiceManager(systemd.environment(WATCHDOG_USEC="30000000"), pid=7), turns)
    finally:
        go.set()
        lanes.stop()
    assert set(turns.asked) == {7.5}
    alive = [heard == ["WATCHDOG=1"] for heard in turns.heard]
    assert [heard for heard in turns.heard if heard not in ([], ["WATCHDOG=1"])] == []
    assert alive == [True, True, True, True, True, False, True, True, True, True, False, True]


def test_a_start_that_is_given_up_leaves_nothing_running(tmp_path: Path):
    write_shipped(tmp_path)
    edit(tmp_path / "station.toml", {"storage.free_floor_mb": 1, "storage.free_warning_mb": 1, "storage.reserve_mb": 1})
    configuration = load(tmp_path / "station.toml")
    heard = []

    def told_to_stop(what: str) -> None:
        heard.append(what)
        with pytest.raises(StoreError, match="in use"):
            refuse_used_data(configuration.data_dir)
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        start_station(configuration, still_starting=told_to_stop)
    assert heard == ["images are being encrypted; the lanes start when all are"]
    refuse_used_data(configuration.data_dir)
    assert set(threading.enumerate()) <= before
