"""The barcode reader over a real pty."""

import asyncio
import contextlib

import pytest

from station.domain.errors import DeviceUnreachableError
from station.drivers.barcode_reader import BarcodeReaderDriver
from tests.contract.adversary import Host, pty_host, tcp_host
from tests.contract.driver_peers import SilentPeer
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
