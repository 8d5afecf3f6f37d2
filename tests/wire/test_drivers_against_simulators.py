"""The drivers against the simulated devices over real ptys and sockets: two readings of the same contracts."""

import asyncio
import contextlib
from collections.abc import Sequence

import numpy as np
import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError, StationError
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from station.drivers.lane_plc import LanePlcDriver
from station.drivers.xray_generator import XrayGeneratorDriver
from station.ports.lane_plc import Command, CommandResult, Eye, Zone
from tests.support.waiting import until
from tests.wire.simulated_devices import PIXELS, WITHIN_S, Rig, running


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


def lit_in(samples: Sequence[int]) -> Sequence[int]:
    """The first five samples in a row that a lamp lit, to its working irradiance; empty when there are none."""
    in_a_row = (samples[at : at + 5] for at in range(len(samples) - 4))
    return next((five for five in in_a_row if five[0] > 0 and five[-1] > 1000), ())


async def test_the_unit_burns_and_counts(rig: Rig):
    unit = rig.unit()
    async with running(unit):
        await unit.set_dose_target(40.0)
        await unit.announce_next(tag=3, nonce=0xDEADBEEF)
        await unit.set_lamps(on=True)
        seen = []

        async def five_samples_lit() -> bool:
            seen.append(await unit.read_status())
            return bool(lit_in(seen[-1].samples_uw_per_cm2))

        # B4 stands still in this test; the unit puts its lamps out after a second of that, and its samples still tell of them.
        await until(five_samples_lit, WITHIN_S)
        first = seen[-1]
        assert any(status.lamp_bits for status in seen)
        assert abs((first.uptime_ms // 100 - first.sample_seq) % 2**16) <= 1
        assert len(first.samples_uw_per_cm2) == 20
        lit = lit_in(first.samples_uw_per_cm2)
        assert lit[-1] >= lit[0]
        await unit.set_lamps(on=False)

        async def dark() -> bool:
            return not (await unit.read_status()).lamp_bits

        await until(dark, 1)


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
