"""A hostile peer on a real socket or a real pty, and the suite of mischief that every driver inherits.

`Host` serves a correct device (`tests.contract.driver_peers`) and lets a `Mischief` decide what becomes of each answer.
"""

import asyncio
import contextlib
import os
import tty
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

import pytest

from station.domain.errors import StationError
from station.drivers.link import Link
from tests.support.waiting import until

Mischief = Callable[[bytes, bytes], Sequence[tuple[float, bytes]]]
"""(answer, answer before it) -> (delay in s, bytes) to send instead, in the order of the delays."""

DEADLINE_S = 0.25
LATE_S = 0.3
QUIET_S = 0.15


class Device(Protocol):
    boot: int

    def feed(self, data: bytes) -> list[bytes]: ...

    def reboot(self) -> None: ...


class Host:
    """Serves a device; answers pass through `mischief` while it is set."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.mischief: Mischief | None = None
        self.skip = 0
        self.answered = 0
        self.before = b""
        self.endpoint = ""
        self.hang_up: Callable[[], None] = lambda: None
        self._send: Callable[[bytes], None] = lambda _data: None
        self._tasks: set[asyncio.Task[None]] = set()

    def harm(self, mischief: Mischief, *, skip: int = 0) -> None:
        """From the answer after the next `skip` ones on, let `mischief` decide."""
        self.mischief, self.skip = mischief, skip

    def take(self, data: bytes) -> None:
        send = self._send
        for answer in self.device.feed(data):
            self.answered += 1
            actions: Sequence[tuple[float, bytes]] = [(0.0, answer)]
            if self.mischief is not None:
                if self.skip:
                    self.skip -= 1
                else:
                    actions = self.mischief(answer, self.before)
            self.before = answer
            at_once = [out for delay_s, out in actions if not delay_s]
            for out in at_once:
                send(out)
            if len(at_once) < len(actions):
                task = asyncio.ensure_future(self._later(actions[len(at_once) :], send))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _later(self, actions: Sequence[tuple[float, bytes]], send: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        for delay_s, data in actions:
            await asyncio.sleep(started_s + delay_s - loop.time())
            with contextlib.suppress(OSError):
                send(data)

    def push(self, data: bytes) -> None:
        """Send something that nobody asked for."""
        self._send(data)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.asynccontextmanager
async def tcp_host(device: Device) -> AsyncIterator[Host]:
    """Serve a device on a free TCP port; the newest connection gets the answers."""
    host = Host(device)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        host._send, host.hang_up = writer.write, writer.close
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                host.take(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host.endpoint = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        await host.stop()
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def pty_host(device: Device, baudrate: int = 115200) -> AsyncIterator[Host]:
    """Serve a device on the master side of a new pty."""
    host = Host(device)
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    host.endpoint = f"serial:{os.ttyname(slave)}?baudrate={baudrate}"
    host._send = lambda data: void(os.write(master, data))

    def readable() -> None:
        with contextlib.suppress(OSError):
            host.take(os.read(master, 4096))

    loop = asyncio.get_running_loop()
    loop.add_reader(master, readable)
    try:
        yield host
    finally:
        await host.stop()
        loop.remove_reader(master)
        os.close(slave)
        os.close(master)


def void(_value: object) -> None:
    """Let a call that returns something stand where nothing is expected."""


def late(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(LATE_S, answer)]


def duplicated(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, answer), (0, answer)]


def previous(answer: bytes, before: bytes) -> list[tuple[float, bytes]]:
    """The stream is one answer behind, as after a time-out that nobody cleaned up."""
    return [(0, before)]


def split(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    middle = len(answer) // 2
    return [(0, answer[:middle]), (0.005, answer[middle:])]


def in_bytes(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0.0001 * at, bytes([byte])) for at, byte in enumerate(answer)]


def truncated(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, answer[: len(answer) * 2 // 3])]


def silent(_answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return []


def corrupted(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    at = len(answer) * 2 // 3
    return [(0, answer[:at] + bytes([answer[at] ^ 0x15]) + answer[at + 1 :])]


def noisy(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, bytes(range(0x80, 0xC0)) + answer)]


ANY_LINK: dict[str, Mischief] = {
    "late": late,
    "truncated": truncated,
    "silent": silent,
    "noisy": noisy,
}
"""Mischief against which any driver must fail within its deadline."""


class AdversarialSuite(ABC):
    """What every driver is asked: a late peer, a duplicating, splitting, corrupting, truncating, silent and rebooting one.

    Inherit it and name the fixture `rig` (driver, host). A driver says what its answer is; whether it is asked is not its to say.
    `probe` asks the device something that is different each time; `truth` is what the device really said last.
    """

    @abstractmethod
    async def probe(self, driver: Any) -> object: ...

    @abstractmethod
    def truth(self, host: Host) -> object: ...

    @abstractmethod
    def wrong_but_valid(self) -> dict[str, Mischief]:
        """Answers with a right check value and a content that cannot be true: not one is believed."""

    @abstractmethod
    def plausible(self) -> tuple[Mischief, object]:
        """A wrong answer with a right check value that could be true, and what the driver then says: it cannot know better."""

    @abstractmethod
    async def meets_duplicates(self, driver: Any, host: Host) -> None:
        """Each answer comes twice."""

    @abstractmethod
    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        """Reboots the device, and meets what shows it."""

    def fatal(self) -> dict[str, Mischief]:
        return ANY_LINK

    def damaged(self) -> Mischief:
        """A flipped bit or two, and no check value that fits."""
        return corrupted

    longest_s = 10 * DEADLINE_S
    """What a call may take at most before it must have failed; several transactions."""

    async def fails_in_time(self, driver: Any) -> None:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with pytest.raises(StationError):
            await self.probe(driver)
        assert loop.time() - started_s < self.longest_s

    async def works_again(self, driver: Any, host: Host) -> None:
        host.mischief = None
        await driver.connect()
        for _ in range(3):
            assert await self.probe(driver) == self.truth(host)

    async def never_believed(self, driver: Any, host: Host, mischiefs: dict[str, Mischief], *, skip: int = 0) -> None:
        assert mischiefs
        for name, mischief in mischiefs.items():
            host.harm(mischief, skip=skip)
            try:
                await self.fails_in_time(driver)
                await self.works_again(driver, host)
            except BaseException as error:
                error.add_note(f"mischief: {name}")
                raise

    async def test_tells_the_truth(self, rig: tuple[Any, Host]):
        driver, host = rig
        for _ in range(3):
            assert await self.probe(driver) == self.truth(host)

    async def test_mischief_is_never_believed(self, rig: tuple[Any, Host]):
        await self.never_believed(*rig, self.fatal())

    async def test_a_wrong_answer_with_a_right_check_value_is_never_believed(self, rig: tuple[Any, Host]):
        await self.never_believed(*rig, self.wrong_but_valid())

    async def test_a_plausible_wrong_answer_is_told_once(self, rig: tuple[Any, Host]):
        driver, host = rig
        mischief, told = self.plausible()
        host.harm(mischief)
        assert await self.probe(driver) == told != self.truth(host)
        await self.works_again(driver, host)

    async def test_a_duplicated_answer_is_no_other_answer(self, rig: tuple[Any, Host]):
        driver, host = rig
        host.harm(duplicated)
        await self.meets_duplicates(driver, host)
        await self.works_again(driver, host)

    async def test_a_split_answer_is_whole(self, rig: tuple[Any, Host]):
        driver, host = rig
        host.harm(split)
        assert await self.probe(driver) == self.truth(host)
        host.harm(in_bytes)
        assert await self.probe(driver) == self.truth(host)

    async def test_a_corrupted_answer_is_never_believed(self, rig: tuple[Any, Host]):
        driver, host = rig
        host.harm(self.damaged())
        await self.fails_in_time(driver)
        await self.works_again(driver, host)

    async def test_a_reboot_is_noticed(self, rig: tuple[Any, Host]):
        driver, host = rig
        boot = host.device.boot
        await self.notices_a_reboot(driver, host)
        assert host.device.boot == boot + 1
        await self.works_again(driver, host)

    async def test_a_reboot_in_the_middle_of_an_answer_is_no_answer(self, rig: tuple[Any, Host]):
        driver, host = rig

        def reboots(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
            host.device.reboot()
            asyncio.get_running_loop().call_soon(host.hang_up)
            return [(0, answer[: len(answer) // 2])]

        host.harm(reboots)
        await self.fails_in_time(driver)
        await self.works_again(driver, host)


class AskedSuite(AdversarialSuite):
    """For a device that answers requests: an answer must belong to its own. `link` is the one that answers come over."""

    @abstractmethod
    def link(self, driver: Any) -> Link: ...

    def fatal(self) -> dict[str, Mischief]:
        return {**super().fatal(), "previous": previous}

    async def meets_duplicates(self, driver: Any, host: Host) -> None:
        for _ in range(6):
            try:
                got = await self.probe(driver)
            except StationError:
                await driver.connect() if host.mischief is None else None
                host.mischief = None
            else:
                assert got == self.truth(host)

    async def test_mischief_in_the_second_answer_is_never_believed(self, rig: tuple[Any, Host]):
        await self.never_believed(*rig, {**self.fatal(), **self.wrong_but_valid()}, skip=1)

    async def test_nothing_works_on_a_dirty_link_until_it_is_connected_again(self, rig: tuple[Any, Host]):
        driver, host = rig
        host.harm(silent)
        await self.fails_in_time(driver)
        host.mischief = None
        with pytest.raises(StationError):
            await self.probe(driver)
        await self.works_again(driver, host)

    async def test_a_cancelled_request_leaves_nothing_behind(self, rig: tuple[Any, Host]):
        driver, host = rig
        kept: list[bytes] = []

        def keep(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
            kept.append(answer)
            return []

        host.harm(keep)
        send = host._send
        task = asyncio.ensure_future(self.probe(driver))
        await until(lambda: bool(kept), look_every_s=0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        host.mischief = None
        with pytest.raises(StationError):
            await self.probe(driver)
        with contextlib.suppress(OSError):
            send(kept[0])
        await self.works_again(driver, host)

    async def test_unasked_bytes_are_no_answer(self, rig: tuple[Any, Host]):
        driver, host = rig
        host.push(host.before)
        await until(lambda: bool(self.link(driver)._reader._buffer), look_every_s=0.001)
        with contextlib.suppress(StationError):
            assert await self.probe(driver) == self.truth(host)
        await self.works_again(driver, host)
