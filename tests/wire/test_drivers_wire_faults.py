"""Everything that a wire can do to an answer, against the drivers: a call ends in time, with the truth or an error."""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from station.domain.errors import StationError
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.lane_plc import Zone
from tests.support.waiting import until
from tests.wire.simulated_devices import WITHIN_S, Rig, running

BEHIND_READER_MM = 550

WIRE_FAULTS = ("drop", "delay", "duplicate", "split", "corrupt", "corrupt_valid", "truncate", "noise", "previous", "mute", "close")
MODBUS_FAULTS = ("wrong_count", "wrong_function", "wrong_echo")
"""What only a Modbus answer has; any other goes out as it is."""

LOSES_ANSWER = {"drop", "delay", "truncate", "mute", "close", "wrong_function", "wrong_echo"}
"""After these nothing came that could be believed, and the call cannot but fail."""


async def _survives(rig: Rig, device: str, driver: Any, probe: Callable[[], Awaitable[None]], fault: str, **args: Any) -> None:
    """Whatever the wire does, a call ends in time, with the truth or a `StationError`; connected again the driver works."""
    args |= {"seconds": 0.6} if fault == "delay" else {}
    await rig.ask(do="fault", device=f"wire:{device}", name=fault, args=args)
    failed = False
    for _ in range(4):
        async with asyncio.timeout(3):
            try:
                await probe()
            except StationError:
                failed = True
                break
    assert failed or fault not in LOSES_ANSWER, f"{fault} changed nothing"
    await rig.ask(do="clear_fault", device=f"wire:{device}", name=fault)

    async def back() -> bool:
        # On a busy machine an answer may come too late again; whoever asked connects once more.
        with contextlib.suppress(StationError):
            await driver.connect()
            await probe()
            return True
        return False

    await until(back, WITHIN_S)


@pytest.mark.parametrize("fault", [*WIRE_FAULTS, *MODBUS_FAULTS])
@pytest.mark.parametrize("device", ["lane_plc", "disinfection_unit"])
async def test_modbus_units_survive_the_wire(rig: Rig, device: str, fault: str):
    driver: LanePlcDriver | DisinfectionUnitDriver = rig.plc() if device == "lane_plc" else rig.unit()
    first = await driver.connect()
    last_ms = [first.uptime_ms]

    async def probe() -> None:
        if fault == "wrong_echo":
            # Only a write is echoed.
            await driver.heartbeat()
        status = await driver.read_status()
        assert last_ms[0] <= status.uptime_ms <= first.uptime_ms + 60_000
        assert status.boot_count == first.boot_count
        last_ms[0] = status.uptime_ms

    await _survives(rig, device, driver, probe, fault)
    await driver.close()


async def _generator_survives(rig: Rig, generator: XrayGeneratorDriver, fault: str, *, kv: float, ma: float, **args: Any) -> None:
    """A digit changed under a right checksum may be told, once."""
    await generator.connect()
    await generator.set_point(kv=kv, ma=ma)
    told = []

    async def probe() -> None:
        status = await generator.read_status()
        set_points = (status.kv_set, status.ma_set) == (pytest.approx(kv, abs=0.1), pytest.approx(ma, abs=0.01))
        told.append(set_points and not status.high_voltage_on and not status.fault_names)

    await _survives(rig, "xray_generator", generator, probe, fault, **args)
    assert told.count(False) <= (fault == "corrupt_valid")
    assert told[-1]
    await generator.close()


@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_the_generator_survives_the_wire(rig: Rig, fault: str):
    await _generator_survives(rig, rig.generator(), fault, kv=120, ma=2)


@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_the_xrb011_survives_the_wire(xrb011_rig: Rig, fault: str):
    """The first answer to it, the watchdog's, holds no digit to change: the second is changed too."""
    args = {"count": 2} if fault == "corrupt_valid" else {}
    await _generator_survives(xrb011_rig, xrb011_rig.generator("XRB011"), fault, kv=60, ma=0.5, **args)


@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_the_detector_survives_the_wire(rig: Rig, fault: str):
    """LSP/1 answers have no check value: with another digit in it another temperature is told, and none after it."""
    detector = rig.detector()
    await detector.connect()
    told_c: list[float] = []

    async def probe() -> None:
        told_c.append(await detector.temperature_c())

    await _survives(rig, "line_detector.command", detector, probe, fault)
    wrong_c = [celsius for celsius in told_c if not 20 < celsius < 60]
    assert all(0 <= celsius < 100 for celsius in wrong_c)
    assert len(wrong_c) <= (fault == "corrupt_valid")
    assert told_c[-1] not in wrong_c
    await detector.close()


SECONDS = {"delay": 0.2, "split": 0.05}
"""A code in two parts pauses much shorter than what makes a torso of its first part: a busy machine adds to it."""

CODES_OF_ONE_PIECE: dict[str, tuple[str, ...]] = {
    "drop": (),
    "mute": (),
    "close": (),
    "delay": ("its own",),
    "split": ("its own",),
    "duplicate": ("its own", "its own"),
    "previous": ("the one before",),
}
"""What a reader's wire makes of one code; after all other faults anything may have come. A serial line that is closed loses that code."""


@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_the_reader_survives_the_wire(rig: Rig, fault: str):
    """A reader is not asked: three pieces pass, the second under the fault. Its code is told as it came, and none after it is harmed."""
    plc, reader = rig.plc(), rig.reader()
    await reader.connect()
    codes: list[str | None] = []

    async def collect() -> None:
        while True:
            codes.append((await reader.next_code()).text)

    collecting = asyncio.ensure_future(collect())
    async with running(plc):
        await plc.set_belts([500] * 5)

        async def passes() -> str:
            """A piece passes under the reader and is lifted off behind it."""
            piece_id: str = (await rig.ask(do="piece", kind="envelope"))["piece"]["piece_id"]
            await rig.ask(do="feed", piece_id=piece_id)

            async def behind() -> bool:
                where = await rig.ask(do="where", piece_id=piece_id)
                return where["place"] == "lane" and where["head_mm"] > BEHIND_READER_MM

            await until(behind, WITHIN_S)
            lifted = await rig.ask(do="lift", zone=Zone.INFEED, to="away", stealth=True)
            assert lifted["piece_id"] == piece_id
            return piece_id

        first = await passes()
        await until(lambda: codes == [first], WITHIN_S)
        args = {"seconds": SECONDS[fault]} if fault in SECONDS else {}
        await rig.ask(do="fault", device="wire:barcode_reader", name=fault, args=args)
        second = await passes()
        await rig.ask(do="clear_fault", device="wire:barcode_reader", name=fault)
        third = await passes()
        await until(lambda: codes[-1] == third, WITHIN_S)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting
    between = codes[1:-1]
    if fault in CODES_OF_ONE_PIECE:
        own = {"its own": second, "the one before": first}
        assert between == [own[whose] for whose in CODES_OF_ONE_PIECE[fault]]
    elif fault == "corrupt_valid":
        assert len(between) == 1
    await reader.close()


@pytest.mark.parametrize("fault", WIRE_FAULTS)
async def test_lines_are_true_whatever_the_wire_does(rig: Rig, fault: str):
    detector = rig.detector()
    await detector.connect()
    # Each acquisition has a number of its own: by it the last lines of an older one are told from its first.
    acquisitions = itertools.count(1 + 1000 * WIRE_FAULTS.index(fault))
    await detector.start(next(acquisitions), by_encoder=False)
    args = {"seconds": 0.1} if fault == "delay" else {}
    last, lines, missing, injected = -1, 0, 0, False
    async with asyncio.timeout(10):
        while lines < 200:
            try:
                block = await asyncio.wait_for(detector.next_lines(), 1.0)
            except (StationError, TimeoutError):
                # A line port that fell silent or died costs the acquisition; connected again it goes on.
                await rig.ask(do="clear_fault", device="wire:line_detector.lines", name=fault)
                await detector.connect()
                await detector.start(next(acquisitions), by_encoder=False)
                last, lines, missing = -1, 0, 0
                continue
            numbers = block.line_numbers.astype(np.int64)
            assert (np.diff(numbers) > 0).all()
            missing += int(block.lost_before.sum())
            lines += len(numbers)
            last = int(numbers[-1])
            assert last + 1 == lines + missing
            assert 500 < block.le.mean() < 2000
            if not injected:
                await rig.ask(do="fault", device="wire:line_detector.lines", name=fault, args=args)
                injected = True
    await rig.ask(do="clear_fault", device="wire:line_detector.lines", name=fault)
    await detector.stop()
