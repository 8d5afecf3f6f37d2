import asyncio
from collections.abc import Callable

import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError, StationError
from station.drivers.stx import encode
from station.drivers.stx_link import StxLine
from station.drivers.stx_profiles import XRB011, XRV, StxProfile
from tests.unit.drivers.scripted_wire import ScriptedWire


def frame(text: str) -> bytes:
    body = text.encode() + b","
    return b"\x02" + body + bytes([(-sum(body) & 0x7F) | 0x40, 3])


async def opened(
    answer: Callable[[bytes], bytes], profile: StxProfile = XRV, endpoint: str = "serial:/dev/none"
) -> tuple[StxLine, ScriptedWire]:
    wire = ScriptedWire(answer)
    line = StxLine(endpoint, profile, device="It", connector=wire, deadline_s=0.03, quiet_s=0.0)
    await line.open()
    return line, wire


async def test_over_tcp_there_are_no_checksums():
    line, wire = await opened(lambda _request: b"\x0214,4095,\x03", endpoint="tcp:host:50001")
    assert await line.read(14, 1, highest=4095) == (4095,)
    assert wire.sent == [b"\x0214,\x03"]
    await line.close()


async def test_a_refusal_is_named_and_leaves_the_line_good():
    line, wire = await opened(lambda _request: frame("98,2"))
    for _ in range(2):
        with pytest.raises(DeviceRefusedError, match="interlock open"):
            await line.write(98, 1)
    assert (wire.opened, wire.sent) == (1, [encode(98, 1)] * 2)
    await line.close()


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ("98,7", "manual does not name"),
        ("99,$", "frame 99"),
        ("98,$,$", "2 values"),
        ("98", "0 values"),
    ],
)
async def test_any_other_answer_to_a_setting_spoils_the_line(answer: str, match: str):
    line, _ = await opened(lambda _request: frame(answer))
    with pytest.raises(DeviceProtocolError, match=match):
        await line.write(98, 1)
    with pytest.raises(DeviceUnreachableError, match="not connected"):
        await line.write(98, 0)
    await line.close()


@pytest.mark.parametrize("answer", ["22,0,0.5,0", "22,0,2,0", "22,0,,0", "22,0,nan,0", "22,0,-1,0", "22,0,inf,0"])
async def test_bits_are_nought_or_one(answer: str):
    line, _ = await opened(lambda _request: frame(answer), XRB011)
    with pytest.raises(DeviceProtocolError):
        await line.read_bits(22, 3)
    await line.close()


@pytest.mark.parametrize("answer", ["inf", "nan", "1e3", "1_0", "+1", "-1", "-0", " 1", "1 ", "1.", ".5", "0x1", "", "4096", "4095.5"])
async def test_a_number_is_plain_and_within_its_range(answer: str):
    line, _ = await opened(lambda _request: frame(f"14,{answer}"))
    with pytest.raises(DeviceProtocolError):
        await line.read(14, 1, highest=4095)
    await line.close()


@pytest.mark.parametrize(("answer", "number"), [("0", 0), ("4095", 4095), ("0012", 12), ("0.7", 0.7)])
async def test_a_plain_number_is_read(answer: str, number: float):
    line, _ = await opened(lambda _request: frame(f"14,{answer}"))
    assert await line.read(14, 1, highest=4095) == (number,)
    await line.close()


@pytest.mark.parametrize("stray", [frame("14,7"), b"\x0214,7,\x41\x03", b"noise"])
async def test_what_nobody_asked_for_spoils_the_line(stray: bytes):
    line, wire = await opened(lambda _request: frame("14,1"))
    wire.push(stray)
    with pytest.raises(DeviceProtocolError):
        await line.read(14, 1, highest=4095)
    assert wire.sent == []
    await line.close()


async def test_an_unasked_status_is_passed_over_by_a_model_that_sends_them():
    line, wire = await opened(lambda _request: frame("22,0,0,1") + frame("14,1"), XRB011)
    wire.push(frame("22,0,0,1"))
    assert await line.read(14, 1, highest=4095) == (1,)
    await line.close()


async def test_an_answer_after_the_deadline_answers_nothing():
    line, wire = await opened(lambda _request: b"")
    with pytest.raises(DeviceUnreachableError, match="did not answer command 14"):
        await line.read(14, 1, highest=4095)
    await line.open()
    wire.answer = lambda _request: frame("15,3")
    assert await line.read(15, 1, highest=4095) == (3,)
    await line.close()
    line.spoil()


async def test_a_line_that_dies_while_it_is_drained_is_none():
    wire = ScriptedWire(lambda _request: b"")

    async def dying(endpoint: str, /) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await wire(endpoint)
        wire.abort()
        return streams

    line = StxLine("serial:/dev/none", XRV, device="It", connector=dying, deadline_s=0.03, quiet_s=None)
    with pytest.raises(StationError, match="closed"):
        await line.open()
    await line.close()
