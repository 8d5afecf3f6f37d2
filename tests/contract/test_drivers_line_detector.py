"""The line detector against a correct peer and a hostile one, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.link import Link
from tests.contract.adversary import DEADLINE_S, AskedSuite, Host, Mischief, tcp_host
from tests.contract.driver_peers import DetectorPeer, SilentPeer
from tests.support.waiting import until


def another_word(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, b"WHAT" + answer)]


def letters(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, b"OK x\r\n")]


def endless(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, b"OK " + 5000 * b"x")]


def bare(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, answer.replace(b"\r", b""))]


def instead_of(answer: bytes, other: bytes) -> Mischief:
    """One answer becomes another; all others stay."""
    return lambda given, _before: [(0, other if given == answer else given)]


class TestLineDetector(AskedSuite):
    """LSP/1 commands have no check value and answers no numbers: what is in the form of an answer, and could be one, is one."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[LineDetectorDriver, Host]]:
        self.peer = DetectorPeer()
        async with tcp_host(self.peer) as host, tcp_host(SilentPeer()) as self.lines:
            driver = LineDetectorDriver(host.endpoint, self.lines.endpoint, deadline_s=DEADLINE_S)
            self.info = await driver.connect()
            yield driver, host
            await driver.close()

    def link(self, driver: Any) -> Link:
        return driver._command

    async def probe(self, driver: Any) -> object:
        return await driver.temperature_c()

    def truth(self, host: Host) -> object:
        return pytest.approx(20 + self.peer.served % 400 / 10)

    def fatal(self) -> dict[str, Mischief]:
        return {**super().fatal(), "endless": endless, "no CR": bare}

    def wrong_but_valid(self) -> dict[str, Mischief]:
        return {"word": another_word, "letters": letters}

    def plausible(self) -> tuple[Mischief, object]:
        """The pixel count as a temperature: any number could be one."""
        return lambda answer, _before: [(0, b"OK 8\r\n" if answer.startswith(b"OK 2") else answer)], 8.0

    def damaged(self) -> Mischief:
        """A digit that became another digit is `plausible`; only what no answer holds shows."""
        return lambda answer, _before: [(0, answer[:3] + bytes([answer[3] | 0x80]) + answer[4:])]

    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        """In the lines, which carry the boot count; the answers on the command port do not."""
        await driver.start(7, by_encoder=True)
        host.device.reboot()
        await self.send(self.peer.line(0, acquisition=7))
        with pytest.raises(DeviceProtocolError, match="restarted"):
            await driver.next_lines()
        with pytest.raises(DeviceUnreachableError):
            await driver.next_lines()

    async def test_says_what_it_is(self, rig: tuple[LineDetectorDriver, Host]):
        info = self.info
        assert (info.model, info.pixels, info.pixel_pitch_mm, info.line_pitch_mm) == ("LD-DE", 8, 0.8, 0.8)
        assert (info.he_lag_lines, info.full_scale) == (5, 65535)

    async def send(self, *lines: bytes) -> None:
        self.lines.push(b"".join(lines))

    async def test_lines_come_in_order_with_what_is_missing(self, rig: tuple[LineDetectorDriver, Host]):
        driver, _ = rig
        await driver.start(7, by_encoder=True)
        assert self.peer.trigger == "ENCODER"
        broken = bytearray(self.peer.line(3))
        broken[60] ^= 1
        await self.send(
            self.peer.line(0, acquisition=6),
            self.peer.line(0),
            b"XLI garbage XLIN garbage",
            self.peer.line(1),
            self.peer.line(1),
            self.peer.line(2, flags=3),
            bytes(broken),
            self.peer.line(4),
            self.peer.line(9, lost=4),
            self.peer.line(12)[:50],
            self.peer.line(13),
        )
        got: list[int] = []
        lost: list[int] = []
        while len(got) < 6:
            block = await driver.next_lines()
            assert block.le.dtype == np.uint16
            assert (block.le == block.line_numbers[:, None]).all()
            assert (block.he == block.line_numbers[:, None] + 1).all()
            assert (block.encoders == 8 * block.line_numbers).all()
            assert (block.acquisition, block.boot) == (7, 3)
            got += block.line_numbers.tolist()
            lost += block.lost_before.tolist()
        assert got == [0, 1, 2, 4, 9, 13]
        assert lost == [0, 0, 0, 1, 4, 3]
        await driver.stop()
        await self.send(self.peer.line(14, acquisition=7))
        assert (await driver.next_lines()).line_numbers.tolist() == [14]
        await driver.start(8, by_encoder=False)
        assert self.peer.trigger == "TIMER"
        await self.send(self.peer.line(15, acquisition=7), self.peer.line(0))
        assert (await driver.next_lines()).line_numbers.tolist() == [0]

    async def test_a_cancelled_wait_loses_no_line(self, rig: tuple[LineDetectorDriver, Host]):
        driver, _ = rig
        await driver.start(7, by_encoder=True)
        got: list[int] = []
        for number in range(20):
            await self.send(self.peer.line(number))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.002):
                    got += (await driver.next_lines()).line_numbers.tolist()
        while len(got) < 20:
            got += (await driver.next_lines()).line_numbers.tolist()
        assert got == list(range(20))

    async def test_who_waits_is_told_when_the_link_goes(self, rig: tuple[LineDetectorDriver, Host]):
        driver, _ = rig
        waiting = asyncio.ensure_future(driver.next_lines())
        await asyncio.sleep(0)
        await driver.close()
        with pytest.raises(DeviceUnreachableError):
            await waiting

    async def test_commands_run_while_another_task_waits_for_lines(self, rig: tuple[LineDetectorDriver, Host]):
        driver, host = rig
        await driver.start(7, by_encoder=True)
        waiting = asyncio.ensure_future(driver.next_lines())
        await asyncio.sleep(0)
        assert await driver.temperature_c() == self.truth(host)
        await self.send(self.peer.line(0))
        assert (await waiting).line_numbers.tolist() == [0]

    @pytest.mark.parametrize("celsius", [b"nan", b"inf", b"-300.0", b"1_0", b"1e1", b"-40.1", b"100.1", b""])
    async def test_what_is_no_temperature_is_not_told(self, rig: tuple[LineDetectorDriver, Host], celsius: bytes):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, b"OK " + celsius + b"\r\n" if answer.startswith(b"OK 2") else answer)])
        with pytest.raises(DeviceProtocolError):
            await driver.temperature_c()
        await self.works_again(driver, host)

    @pytest.mark.parametrize("celsius", [b"-40.0", b"100.0", b"0", b"8.25"])
    async def test_any_temperature_that_a_detector_can_have_is_told(self, rig: tuple[LineDetectorDriver, Host], celsius: bytes):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, b"OK " + celsius + b"\r\n" if answer.startswith(b"OK 2") else answer)])
        assert await driver.temperature_c() == float(celsius)

    async def test_a_refused_start_leaves_the_links_good(self, rig: tuple[LineDetectorDriver, Host]):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, b"ERR 4 acquisition running\r\n" if answer == b"OK 7\r\n" else answer)])
        with pytest.raises(DeviceRefusedError, match="4 acquisition running"):
            await driver.start(7, by_encoder=True)
        assert await self.probe(driver) == self.truth(host)

    @pytest.mark.parametrize(
        ("old", "new"), [(b"lsp=1", b"lsp=2"), (b"pixels=8", b"pixels=9"), (b"he_offset_um=4000", b"he_offset_um=4001")]
    )
    async def test_another_detector_is_refused(self, rig: tuple[LineDetectorDriver, Host], old: bytes, new: bytes):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, answer.replace(old, new))])
        with pytest.raises(DeviceProtocolError):
            await driver.connect()

    @pytest.mark.parametrize(
        ("answer", "other"),
        [
            (b"OK ENCODER\r\n", b"OK 8\r\n"),
            (b"OK ENCODER\r\n", b"OK TIMER\r\n"),
            (b"OK 7\r\n", b"OK 8\r\n"),
            (b"OK 7\r\n", b"OK ENCODER\r\n"),
            (b"OK 7\r\n", b"OK\r\n"),
        ],
    )
    async def test_an_acquisition_is_not_started_by_the_answer_to_another_question(
        self, rig: tuple[LineDetectorDriver, Host], answer: bytes, other: bytes
    ):
        """A setting's answer repeats it, and is read back."""
        driver, host = rig
        host.harm(instead_of(answer, other))
        with pytest.raises(DeviceProtocolError):
            await driver.start(7, by_encoder=True)
        await self.works_again(driver, host)

    @pytest.mark.parametrize("other", [b"OK ENCODER\r\n", b"OK 3000\r\n", b"OK vendor=X model=LD-DE\r\n"])
    async def test_a_detector_is_not_known_by_the_answer_to_another_question(self, rig: tuple[LineDetectorDriver, Host], other: bytes):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, other if b"lsp=1" in answer else answer)])
        with pytest.raises(DeviceProtocolError):
            await driver.connect()
        await self.works_again(driver, host)

    async def test_another_identity_that_could_be_true_is_believed(self, rig: tuple[LineDetectorDriver, Host]):
        """Only the pixels are asked for twice: a pitch, or a serial number, has nothing that it could be held against."""
        driver, host = rig
        told = b"serial=2 firmware=1 lsp=1 pixels=8 pixel_pitch_um=400 line_pitch_um=400 he_offset_um=2000"
        true = b"serial=1 firmware=1 lsp=1 pixels=8 pixel_pitch_um=800 line_pitch_um=800 he_offset_um=4000"
        host.harm(lambda answer, _before: [(0, answer.replace(true, told))])
        info = await driver.connect()
        assert (info.pixels, info.pixel_pitch_mm, info.line_pitch_mm, info.he_lag_lines) == (8, 0.4, 0.4, 5)
        await self.works_again(driver, host)

    async def test_lines_of_another_width_than_the_detector_gave_are_no_lines(self, rig: tuple[LineDetectorDriver, Host]):
        """A wrong pixel count, given twice, is believed, and costs every line; none is read as another."""
        driver, host = rig
        host.harm(lambda answer, _before: [(0, answer.replace(b"pixels=8", b"pixels=9").replace(b"OK 8\r", b"OK 9\r"))])
        assert (await driver.connect()).pixels == 9
        await driver.start(7, by_encoder=True)
        waiting = asyncio.ensure_future(driver.next_lines())
        lines = b"".join(self.peer.line(number) for number in range(20))
        await self.send(lines)
        await until(lambda: driver.garbage_bytes > len(lines) / 2)
        assert not waiting.done()
        await driver.close()
        with pytest.raises(DeviceUnreachableError):
            await waiting
        # A new link begins anew: what it counts is about it alone.
        await driver.connect()
        assert driver.garbage_bytes == 0

    async def test_a_wrong_boot_count_is_found_out_by_the_first_line(self, rig: tuple[LineDetectorDriver, Host]):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, answer.replace(b"boot=3", b"boot=8"))])
        await driver.connect()
        await driver.start(7, by_encoder=True)
        await self.send(self.peer.line(0))
        with pytest.raises(DeviceProtocolError, match="restarted"):
            await driver.next_lines()
        await self.works_again(driver, host)
