"""The drivers against the simulated devices over real ptys and sockets: two readings of the same contracts."""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError, StationError
from station.drivers.barcode_reader import BarcodeReaderDriver
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.line_detector import LineDetectorDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.lane_plc import STACK_GREEN, Command, CommandResult, Eye, Zone
from tests.support.clocks import LoopClock
from tests.support.waiting import until

T = TypeVar("T")

START_S = 20.0
PIXELS = 512
EXECUTE = 6
BEHIND_READER_MM = 550
WITHIN_S = 10.0
DEADLINE_S = 0.5
"""Longer than the drivers' default: the machine that runs the tests may be busy."""


class Rig:
    """One simulated lane in a process of its own, its control socket, and drivers for it."""

    def __init__(self, endpoints: dict[str, Any]) -> None:
        self.endpoints = endpoints
        self.clock = LoopClock()
        self.opened: list[Any] = []

    def _kept(self, driver: T) -> T:
        self.opened.append(driver)
        return driver

    async def ask(self, **request: Any) -> dict[str, Any]:
        host, port = self.endpoints["control"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
        writer.write(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        writer.close()
        await writer.wait_closed()
        assert answer["ok"], answer
        return answer

    def plc(self) -> LanePlcDriver:
        at = self.endpoints["lane_plc"]
        return self._kept(LanePlcDriver(f"tcp:{at['modbus_tcp']}", at["unit"], clock=self.clock, deadline_s=DEADLINE_S))

    def unit(self) -> DisinfectionUnitDriver:
        at = self.endpoints["disinfection_unit"]
        return self._kept(
            DisinfectionUnitDriver(
                f"serial:{at['modbus_rtu']}?baudrate={at['baudrate']}", at["unit"], clock=self.clock, deadline_s=DEADLINE_S
            )
        )

    def generator(self, model: str = "XRV") -> XrayGeneratorDriver:
        at = self.endpoints["xray_generator"]
        return self._kept(
            XrayGeneratorDriver(f"serial:{at['serial']}?baudrate=38400", model=model, clock=self.clock, deadline_s=DEADLINE_S)
        )

    def detector(self) -> LineDetectorDriver:
        at = self.endpoints["line_detector"]
        return self._kept(LineDetectorDriver(f"tcp:{at['command']}", f"tcp:{at['lines']}"))

    def reader(self) -> BarcodeReaderDriver:
        return self._kept(BarcodeReaderDriver(f"serial:{self.endpoints['barcode_reader']['serial']}?baudrate=9600", clock=self.clock))


@contextlib.contextmanager
def simulators(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """A simulated lane in a process of its own; gives where its devices are."""
    file = folder / "endpoints.json"
    command = [
        sys.executable, "-m", "firmware_sims", "--endpoints", str(file), "--pixels", str(PIXELS), "--seed", "5", "--until-stdin-closes",
        *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdin is not None
        try:

            async def read() -> dict[str, Any]:
                while not file.exists() or not file.read_text().strip():
                    assert process.poll() is None
                    await asyncio.sleep(0.05)
                found: dict[str, Any] = json.loads(file.read_text())
                return found

            yield asyncio.run(asyncio.wait_for(read(), START_S))
        finally:
            process.stdin.close()
            process.wait(10)


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with simulators(tmp_path_factory.mktemp("simulators")) as found:
        yield found


@pytest.fixture(scope="module")
def xrb011_endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with simulators(tmp_path_factory.mktemp("simulators"), "--generator", "XRB011") as found:
        yield found


@contextlib.asynccontextmanager
async def drivers_for(endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    rig = Rig(endpoints)
    yield rig
    for driver in rig.opened:
        await driver.close()


@pytest.fixture
async def rig(endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    async with drivers_for(endpoints) as rig:
        yield rig


@pytest.fixture
async def xrb011_rig(xrb011_endpoints: dict[str, Any]) -> AsyncIterator[Rig]:
    async with drivers_for(xrb011_endpoints) as rig:
        yield rig


@contextlib.asynccontextmanager
async def running(plc: LanePlcDriver | DisinfectionUnitDriver) -> AsyncIterator[None]:
    """Started, and fed with heartbeats."""
    await plc.connect()

    async def feed() -> None:
        while True:
            await plc.heartbeat()
            await asyncio.sleep(0.2)

    feeding = asyncio.ensure_future(feed())
    try:
        for command in (Command.RESET, Command.START):

            async def accepted(command: Command = command) -> bool:
                """Or on its way still from what an earlier test left."""
                return (await plc.read_status()).state == EXECUTE or await plc.command(command) is CommandResult.ACCEPTED

            await until(accepted, WITHIN_S)

        async def executing() -> bool:
            return (await plc.read_status()).state == EXECUTE

        await until(executing, WITHIN_S)
        if isinstance(plc, LanePlcDriver):
            await plc.set_stack_light(STACK_GREEN)
        yield
        assert await plc.command(Command.STOP) is CommandResult.ACCEPTED
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError, StationError):
            await feeding
        await plc.close()


async def test_a_piece_is_read_tagged_and_followed(rig: Rig):
    plc, reader = rig.plc(), rig.reader()
    await reader.connect()
    async with running(plc):
        piece = (await rig.ask(do="mail", count=1))["pieces"][0]
        await plc.set_belts([200] * 5)
        before = await plc.read_status()
        await rig.ask(do="feed", piece_id=piece["piece_id"])
        code = await asyncio.wait_for(reader.next_code(), 10)
        assert (code.text, code.symbology) == (piece["piece_id"], "code128")
        await plc.tag_infeed(77)
        assert (await plc.read_status()).zone_tags[Zone.INFEED] == 77
        with pytest.raises(DeviceRefusedError, match="wrong tag"):
            await plc.tag_infeed(78)

        async def in_xray() -> bool:
            return (await plc.read_status()).zone_tags[Zone.XRAY] == 77

        await until(in_xray, WITHIN_S)
        after, events = await plc.read_status(), await plc.read_events()
        assert after.belt_speeds_mm_s == (200,) * 5
        moved_mm = (after.encoders[1] - before.encoders[1]) % 2**32 / 10
        assert moved_mm == pytest.approx(0.2 * (after.uptime_ms - before.uptime_ms), rel=0.1)
        assert [edge.eye for edge in events.edges if edge.leading][-2:] == [Eye.INFEED, Eye.XRAY_IN]
        assert await plc.permit(tag=77, challenge=after.gate_challenge ^ 1, valid_ms=500) is not CommandResult.ACCEPTED
        await plc.freeze()
        with pytest.raises(DeviceRefusedError, match="frozen"):
            await plc.set_belts([200] * 5)
        await rig.ask(do="key_switch", on=True)
        assert await plc.command(Command.CLEAR_FREEZE) is CommandResult.ACCEPTED
        await rig.ask(do="key_switch", on=False)
    await reader.close()


async def test_the_beam_is_seen_by_the_detector(rig: Rig):
    plc, generator, detector = rig.plc(), rig.generator(), rig.detector()
    info = await detector.connect()
    assert (info.pixels, info.he_lag_lines) == (PIXELS, 5)
    assert not (await generator.connect()).high_voltage_on
    async with running(plc):
        with pytest.raises(DeviceRefusedError, match="interlock"):
            await generator.switch_on()
        await plc.set_belts([200] * 5)
        await plc.request_beam(on=True)

        async def permitted() -> bool:
            return bool((await plc.read_status()).beam_bits & 1)

        await until(permitted, WITHIN_S)
        await detector.start(41, by_encoder=True)
        dark = await detector.next_lines()
        await generator.set_point(kv=160, ma=1)
        await generator.switch_on()

        async def at_set_point() -> bool:
            status = await generator.read_status()
            assert status.high_voltage_on
            return bool(status.kv == pytest.approx(160, rel=0.02) and status.ma == pytest.approx(1, rel=0.02))

        await until(at_set_point, WITHIN_S)
        blocks = [dark]
        while not blocks[-1].flags[-1] & 1 or blocks[-1].le.mean() < 10 * dark.le.mean():
            blocks.append(await detector.next_lines())
        assert (await plc.read_status()).beam_bits & 4
        await generator.switch_off()
        assert not (await generator.read_status()).high_voltage_on
        await detector.stop()
        numbers = np.concatenate([block.line_numbers for block in blocks])
        assert numbers.tolist() == list(range(len(numbers)))
        assert (np.diff(np.concatenate([block.encoders for block in blocks]).astype(np.int64)) % 2**32 == 8).all()
        assert sum(int(block.lost_before.sum()) for block in blocks) == 0
        assert 20 < await detector.temperature_c() < 60
    await generator.close()
    await detector.close()


async def test_the_unit_burns_and_counts(rig: Rig):
    unit = rig.unit()
    async with running(unit):
        await unit.set_dose_target(40.0)
        await unit.announce_next(tag=3, nonce=0xDEADBEEF)
        await unit.set_lamps(on=True)
        seen = []

        async def five_samples_lit() -> bool:
            seen.append(await unit.read_status())
            return seen[-1].irradiance_min_uw_per_cm2 > 1000 and seen[-1].samples_uw_per_cm2[-5] > 0

        # B4 stands still in this test; the unit puts its lamps out after a second of that.
        await until(five_samples_lit, WITHIN_S)
        first = seen[-1]
        assert first.lamp_bits
        assert abs((first.uptime_ms // 100 - first.sample_seq) % 2**16) <= 1
        assert len(first.samples_uw_per_cm2) == 20
        assert first.samples_uw_per_cm2[-1] >= first.samples_uw_per_cm2[-5]
        await unit.set_lamps(on=False)

        async def dark() -> bool:
            return not (await unit.read_status()).lamp_bits

        await until(dark, 1)


MODBUS_FAULTS = ("wrong_count", "wrong_function", "wrong_echo")
"""What only a Modbus answer has; any other goes out as it is."""

WIRE_FAULTS = (
    "drop", "delay", "duplicate", "split", "corrupt", "corrupt_valid", "truncate", "noise", "previous", *MODBUS_FAULTS, "mute", "close",
)  # fmt: skip


async def _survives(rig: Rig, device: str, driver: Any, probe: Callable[[], Awaitable[None]], fault: str, **args: Any) -> None:
    """Whatever the wire does, a call ends in time, with the truth or a `StationError`; connected again the driver works."""
    args |= {"seconds": 0.6} if fault == "delay" else {}
    await rig.ask(do="fault", device=f"wire:{device}", name=fault, args=args)
    for _ in range(4):
        async with asyncio.timeout(3):
            try:
                await probe()
            except StationError:
                break
    await rig.ask(do="clear_fault", device=f"wire:{device}", name=fault)

    async def back() -> bool:
        # On a busy machine an answer may come too late again; whoever asked connects once more.
        with contextlib.suppress(StationError):
            await driver.connect()
            await probe()
            return True
        return False

    await until(back, 3)


@pytest.mark.parametrize("fault", WIRE_FAULTS)
@pytest.mark.parametrize("device", ["lane_plc", "disinfection_unit"])
async def test_modbus_units_survive_the_wire(rig: Rig, device: str, fault: str):
    driver: LanePlcDriver | DisinfectionUnitDriver = rig.plc() if device == "lane_plc" else rig.unit()
    first = await driver.connect()
    last_ms = [first.uptime_ms]

    async def probe() -> None:
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


async def _restarts(rig: Rig, generator: XrayGeneratorDriver) -> None:
    await generator.connect()
    await generator.set_point(kv=60, ma=0.5)
    await rig.ask(do="fault", device="xray_generator", name="reboot")
    with pytest.raises(DeviceUnreachableError):
        await generator.switch_on()

    async def back() -> bool:
        with contextlib.suppress(DeviceUnreachableError):
            status = await generator.connect()
            assert (status.high_voltage_on, status.kv_set, status.ma_set) == (False, 0, 0)
            return True
        return False

    await until(back, WITHIN_S)
    await generator.close()


async def test_a_generator_that_restarts_is_off_and_not_switched_on(rig: Rig):
    await _restarts(rig, rig.generator())


async def test_an_xrb011_that_restarts_is_off_and_not_switched_on(xrb011_rig: Rig):
    await _restarts(xrb011_rig, xrb011_rig.generator("XRB011"))


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


@pytest.mark.parametrize("fault", [fault for fault in WIRE_FAULTS if fault not in MODBUS_FAULTS])
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
        await rig.ask(do="fault", device="wire:barcode_reader", name=fault, args={"seconds": 0.2} if fault in {"delay", "split"} else {})
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


@pytest.mark.parametrize("fault", ["stuck_heartbeat", "torn_block", "stale_image", "reboot"])
@pytest.mark.parametrize("device", ["lane_plc", "disinfection_unit"])
async def test_evidence_of_a_failing_unit_is_refused(rig: Rig, device: str, fault: str):
    driver: LanePlcDriver | DisinfectionUnitDriver = rig.plc() if device == "lane_plc" else rig.unit()
    boot = (await driver.connect()).boot_count
    await rig.ask(do="fault", device=device, name=fault, args={"reads": 9} if fault == "torn_block" else {})

    async def refused() -> bool:
        try:
            await driver.read_status()
        except StationError as error:
            return isinstance(error, DeviceProtocolError) or fault == "reboot"
        return False

    await until(refused, 5)
    if fault != "reboot":
        await rig.ask(do="clear_fault", device=device, name=fault)

    async def back() -> bool:
        with contextlib.suppress(StationError):
            return (await driver.connect()).boot_count == boot + (fault == "reboot")
        return False

    await until(back, WITHIN_S)
    await driver.read_status()
    await driver.close()


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
