"""The barcode reader against a correct peer and a hostile one, over a real pty and a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from station.domain.errors import DeviceUnreachableError, IdentifierError
from station.domain.identifiers import identify
from station.domain.reasons import Reason
from station.drivers.barcode_reader import STALE_S, BarcodeReaderDriver
from tests.contract.adversary import (
    DEADLINE_S,
    LATE_S,
    QUIET_S,
    AdversarialSuite,
    Host,
    Mischief,
    late,
    previous,
    pty_host,
    silent,
    tcp_host,
)
from tests.contract.driver_peers import ReaderPeer, SilentPeer, s10
from tests.support.clocks import LoopClock
from tests.support.waiting import until


async def read(host: Host, *chunks: bytes, count: int) -> list[tuple[str | None, str]]:
    driver = BarcodeReaderDriver(host.endpoint, clock=LoopClock())
    host.push(b"]C0BEFORE\r\n")
    await driver.connect()
    codes = []
    for chunk in chunks:
        host.push(chunk)
        await asyncio.sleep(0)
    async with asyncio.timeout(2):
        for _ in range(count):
            code = await driver.next_code()
            codes.append((code.text, code.symbology))
            assert abs(code.read_at_s - asyncio.get_running_loop().time()) < 1
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            pytest.fail(f"one code too many: {await driver.next_code()}")
    await driver.close()
    return codes


async def test_codes_arrive_as_the_reader_sent_them():
    async with pty_host(SilentPeer(), 9600) as host:
        codes = await read(
            host,
            b"]C0EE473124829VN\r\n]Q3qr\r\n]d2matrix\r\n",
            b"]C1(00)123\r\n",
            b"NOREAD\r\n\r\n]X0other\r\nEE4731",
            b"24829VN\r\n",
            count=7,
        )
    assert codes == [
        ("EE473124829VN", "code128"),
        ("qr", "qr"),
        ("matrix", "datamatrix"),
        ("(00)123", "gs1-128"),
        (None, ""),
        ("other", "]X0"),
        ("EE473124829VN", ""),
    ]


async def test_junk_is_a_code_that_nobody_can_read():
    async with pty_host(SilentPeer(), 9600) as host:
        codes = await read(host, b"]C0EE\x00473\r\n", 5000 * b"x" + b"\r\n", b"\xff\xfe\r\n", b"]C0\r\n", b"]C0fine\r\n", count=5)
    assert codes == [(None, ""), (None, ""), (None, ""), (None, "code128"), ("fine", "code128")]


async def test_a_torso_is_not_joined_to_the_next_code(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("station.drivers.barcode_reader.STALE_S", 0.02)
    async with tcp_host(SilentPeer()) as host:
        driver = BarcodeReaderDriver(host.endpoint, clock=LoopClock())
        await driver.connect()
        waiting = asyncio.ensure_future(driver.next_code())
        host.push(b"]C0EE4731")
        await until(lambda: driver._lines._line == b"]C0EE4731")
        # The silence after which a torso is stale.
        await asyncio.sleep(0.05)
        host.push(b"]C0RR000000000VN\r\n")
        assert (await waiting).text is None
        assert (await driver.next_code()).text == "RR000000000VN"
        await driver.close()


async def test_a_reader_that_hangs_up_is_gone_until_connected_again():
    async with tcp_host(SilentPeer()) as host:
        driver = BarcodeReaderDriver(host.endpoint, clock=LoopClock())
        with pytest.raises(DeviceUnreachableError, match="not connected"):
            await driver.next_code()
        await driver.connect()
        waiting = asyncio.ensure_future(driver.next_code())
        await asyncio.sleep(0)
        host.hang_up()
        with pytest.raises(DeviceUnreachableError):
            await waiting
        await driver.connect()
        host.push(b"]C0A\r\n")
        assert (await driver.next_code()).text == "A"
        await driver.close()


TORSO = b"]C0EE4731"
CHECK_DIGIT_AT = len("]C0EE47312482")
ANOTHER = s10(12345678)


def wrong_check_digit(code: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    digit = (code[CHECK_DIGIT_AT] - ord("0") + 1) % 10
    return [(0, code[:CHECK_DIGIT_AT] + str(digit).encode() + code[CHECK_DIGIT_AT + 1 :])]


def wrong_digit(code: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    digit = (code[CHECK_DIGIT_AT - 1] - ord("0") + 1) % 10
    return [(0, code[: CHECK_DIGIT_AT - 1] + str(digit).encode() + code[CHECK_DIGIT_AT:])]


def cut_off_with_its_end(code: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, code[:-4] + b"\r\n")]


def joined(code: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    """The head of one code and at once the next, as from a reader that was cut off in the middle of a code."""
    return [(0, TORSO + code)]


def unread(_code: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, b"NOREAD\r\n")]


class ReaderSuite(AdversarialSuite):
    """A reader is not asked and only sends: a piece that passes under it is the question, the code that comes of it the answer.

    The driver hands on what was sent. What proves a code is the check digit inside, which `identify` judges; so the probe is both.
    """

    peer: ReaderPeer
    host: Host

    @pytest.fixture(autouse=True)
    def _quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Long enough for a late code to count as one that waited."""
        monkeypatch.setattr("station.drivers.barcode_reader.DROP_QUIET_S", QUIET_S)

    def reached(self, peer: ReaderPeer) -> AbstractAsyncContextManager[Host]:
        """The peer at the end of a wire of some kind."""
        raise NotImplementedError

    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[BarcodeReaderDriver, Host]]:
        self.peer = ReaderPeer()
        async with self.reached(self.peer) as self.host:
            driver = BarcodeReaderDriver(self.host.endpoint, clock=LoopClock())
            await driver.connect()
            yield driver, self.host
            await driver.close()

    def piece_passes(self) -> None:
        self.host.take(b"")

    async def probe(self, driver: Any) -> object:
        self.piece_passes()
        return await self.next_id(driver)

    async def next_id(self, driver: Any) -> str:
        try:
            async with asyncio.timeout(DEADLINE_S):
                code = await driver.next_code()
        except TimeoutError as error:
            raise DeviceUnreachableError("no code came") from error
        found = identify(code.text)
        if isinstance(found, Reason):
            raise IdentifierError(found)
        return found.value

    def truth(self, host: Host) -> object:
        return self.peer.code

    def wrong_but_valid(self) -> dict[str, Mischief]:
        """Whole lines of printable ASCII under an AIM prefix: a line has no other check value."""
        return {
            "check digit": wrong_check_digit,
            "digit": wrong_digit,
            "cut off": cut_off_with_its_end,
            "joined": joined,
            "unread": unread,
        }

    def plausible(self) -> tuple[Mischief, object]:
        """Another code with a right check digit is the code of another piece."""
        return lambda _code, _before: [(0, f"]C0{ANOTHER}\r\n".encode())], ANOTHER

    async def meets_duplicates(self, driver: Any, host: Host) -> None:
        """Both are told: a reader may read a piece twice, and two pieces may carry one code."""
        for _ in range(3):
            assert await self.probe(driver) == self.truth(host)
            assert await self.next_id(driver) == self.truth(host)

    async def test_a_code_of_the_piece_before_is_told_as_it_came(self, rig: tuple[Any, Host]):
        """Nothing in it says whose it is."""
        driver, host = rig
        before = await self.probe(driver)
        host.harm(previous)
        assert await self.probe(driver) == before != self.truth(host)

    async def test_a_late_code_says_when_it_came(self, rig: tuple[Any, Host]):
        driver, host = rig
        passed_at_s = asyncio.get_running_loop().time()
        host.harm(late)
        self.piece_passes()
        code = await driver.next_code()
        assert code.text == self.truth(host)
        assert code.read_at_s >= passed_at_s + LATE_S

    async def test_a_silent_reader_needs_no_new_connection(self, rig: tuple[Any, Host]):
        """Silence is what a reader says when nothing passes; a wait that was given up loses no code."""
        driver, host = rig
        for mischief in (silent, late):
            host.harm(mischief)
            await self.fails_in_time(driver)
        host.mischief = None
        assert (await driver.next_code()).text == self.truth(host)
        assert await self.probe(driver) == self.truth(host)


class TestBarcodeReaderOverPty(ReaderSuite):
    def reached(self, peer: ReaderPeer) -> AbstractAsyncContextManager[Host]:
        return pty_host(peer, 9600)

    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        """A serial line does not end: what began before the silence is a code that nobody can read."""
        waiting = asyncio.ensure_future(driver.next_code())
        host.push(TORSO)
        host.device.reboot()
        await until(lambda: driver._lines._line == TORSO)
        await asyncio.sleep(1.1 * STALE_S)
        self.piece_passes()
        assert (await waiting).text is None
        assert await self.next_id(driver) == self.truth(host)


class TestBarcodeReaderOverTcp(ReaderSuite):
    def reached(self, peer: ReaderPeer) -> AbstractAsyncContextManager[Host]:
        return tcp_host(peer)

    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        waiting = asyncio.ensure_future(driver.next_code())
        host.push(TORSO)
        host.device.reboot()
        host.hang_up()
        with pytest.raises(DeviceUnreachableError):
            await waiting
