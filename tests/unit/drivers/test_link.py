import asyncio
import os
import tty

import pytest

from station.domain.errors import ConfigurationError, DeviceUnreachableError
from station.drivers.link import Link, open_endpoint, parse_endpoint
from tests.support.waiting import until


def test_endpoints():
    serial = parse_endpoint("serial:/dev/pts/3?baudrate=19200&parity=E&stopbits=2")
    assert (serial.serial, serial.address, serial.baudrate, serial.parity, serial.stopbits) == (True, "/dev/pts/3", 19200, "E", 2)
    assert serial.bits_per_character == 12
    assert parse_endpoint("serial:/dev/ttyUSB0").baudrate == 9600
    tcp = parse_endpoint("tcp:[::1]:502")
    assert (tcp.serial, tcp.address, tcp.port) == (False, "::1", 502)


@pytest.mark.parametrize(
    "endpoint",
    [
        "", "serial:", "serial:?baudrate=9600", "serial:/dev/x?baudrate=fast", "serial:/dev/x?baudrate=0", "serial:/dev/x?parity=M",
        "serial:/dev/x?stopbits=3", "serial:/dev/x?speed=9600", "tcp:host", "tcp::502", "tcp:host:0", "tcp:host:65536", "tcp:host:x",
        "udp:host:1",
    ],
)  # fmt: skip
def test_a_malformed_endpoint_says_what_is_allowed(endpoint: str):
    with pytest.raises(ConfigurationError, match="Write serial:PATH"):
        parse_endpoint(endpoint)


async def opened(endpoint: str, **options: float) -> Link:
    return await Link.open(endpoint, open_endpoint, device="It", timeout_s=1, **options)


async def test_a_pty_that_nobody_reads_is_a_write_time_out():
    master, slave = os.openpty()
    tty.setraw(slave)
    link = await opened(f"serial:{os.ttyname(slave)}", write_timeout_s=0.1)
    with pytest.raises(DeviceUnreachableError, match="takes no data"):
        await link.write(bytes(200_000))
    assert link.dirty
    async with asyncio.timeout(1):
        await link.close()
    os.close(slave)
    os.close(master)


async def test_a_hang_up_ends_reading():
    master, slave = os.openpty()
    tty.setraw(slave)
    link = await opened(f"serial:{os.ttyname(slave)}")
    reading = asyncio.ensure_future(link.read())
    await asyncio.sleep(0)
    os.close(slave)
    os.close(master)
    with pytest.raises(DeviceUnreachableError, match=r"It (hung up|closed)"):
        await reading
    assert link.dirty
    await link.close()
    await link.close()


async def test_a_second_opener_is_kept_off_the_line():
    master, slave = os.openpty()
    tty.setraw(slave)
    link = await opened(f"serial:{os.ttyname(slave)}")
    with pytest.raises(DeviceUnreachableError, match="lock"):
        await opened(f"serial:{os.ttyname(slave)}")
    await link.close()
    os.close(slave)
    os.close(master)


async def test_draining_waits_for_silence_and_gives_up_on_chatter():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(8):
            writer.write(b"late")
            await asyncio.sleep(0.02)
        await silence_seen.wait()
        while not (reader.at_eof() or reader.exception()):
            writer.write(b"chatter")
            chattering.set()
            await asyncio.sleep(0.01)
        writer.close()
        gone.set()

    silence_seen, chattering, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = await opened(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert await link.drain_input(0.1) == 32
    silence_seen.set()
    await chattering.wait()
    with pytest.raises(DeviceUnreachableError, match="without end"):
        await link.drain_input(0.1, limit_s=0.15)
    await link.close()
    await gone.wait()
    server.close()


async def test_pending_input_is_taken_without_waiting():
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        await taken.wait()
        writer.close()

    taken = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = await opened(f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}")
    seen: list[bytes] = []

    async def something_came() -> bool:
        seen.append(await link.take_pending())
        return bool(seen[-1])

    await until(something_came, look_every_s=0.001)
    assert seen[-1] == b"here"
    assert await link.take_pending() == b""
    taken.set()
    with pytest.raises(DeviceUnreachableError):
        await link.read_exactly(1)
    with pytest.raises(DeviceUnreachableError):
        await link.read()
    await link.close()
    server.close()


@pytest.mark.parametrize("endpoint", ["serial:/dev/there-is-none", "tcp:127.0.0.1:1", "tcp:name.invalid:502"])
async def test_what_is_not_there_cannot_be_opened(endpoint: str):
    with pytest.raises(DeviceUnreachableError, match="cannot be opened"):
        await opened(endpoint)
