"""The disinfection unit against a correct peer and a hostile one, over a real socket and a real pty."""

from collections.abc import AsyncIterator

import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, StationError
from station.drivers.disinfection_unit import DisinfectionUnitDriver
from tests.contract.adversary import DEADLINE_S, QUIET_S, Host, pty_host, tcp_host
from tests.contract.driver_peers import UnitPeer
from tests.contract.modbus_suite import ModbusSuite
from tests.support.clocks import LoopClock


def unit_driver(endpoint: str) -> DisinfectionUnitDriver:
    return DisinfectionUnitDriver(endpoint, 2, clock=LoopClock(), deadline_s=DEADLINE_S, quiet_s=QUIET_S)


class UnitSuite(ModbusSuite):
    async def test_reads_the_map(self, rig: tuple[DisinfectionUnitDriver, Host]):
        driver, _ = rig
        put = self.peer.put
        put(22, ">HIHhHIIHIHHI", 3, 1500, 1, -55, 421, 9000, 11000, 15, 12345, 40, 12, 7)
        put(39, ">IIIIIH", 11, 22, 412, 1000, 5000, 1)
        put(83, ">H20I", 500, *range(20, 0, -1))
        status = await driver.read_status()
        assert (status.phase, status.temperature_c, status.humidity_percent) == (3, -5.5, 42.1)
        assert (status.lamp_bits, status.lamp_hours, status.ozone_ppb) == (15, 1234.5, 40)
        (slot,) = status.slots
        assert (slot.tag, slot.nonce, slot.dose_mj_per_cm2, slot.entered_ms, slot.left_ms, slot.verdict) == (11, 22, 41.2, 1000, 5000, 1)
        assert (status.sample_seq, status.samples_uw_per_cm2) == (500, tuple(range(1, 21)))
        put(49, ">H", 3)
        with pytest.raises(DeviceProtocolError, match="verdict 3"):
            await driver.read_status()

    async def test_writes_and_reads_back(self, rig: tuple[DisinfectionUnitDriver, Host]):
        driver, _ = rig
        await driver.set_lamps(on=True)
        await driver.set_dose_target(40.04)
        await driver.announce_next(tag=9, nonce=0xFFFFFFFF)
        assert self.peer.holdings[127] == 1
        assert self.peer.held(125, ">I") == (400,)
        assert (120, bytes.fromhex("00000009 ffffffff")) in self.peer.writes
        self.peer.on_write = lambda _address, _data: self.peer.holdings.update({127: 1})  # type: ignore[method-assign]
        self.peer.inputs[7] = 3
        with pytest.raises(DeviceRefusedError, match="wrong state"):
            await driver.set_lamps(on=False)

    async def test_an_unknown_phase_is_refused(self, rig: tuple[DisinfectionUnitDriver, Host]):
        driver, _ = rig
        self.peer.inputs[22] = 7
        with pytest.raises(DeviceProtocolError, match="phase 7"):
            await driver.read_status()


class TestDisinfectionUnitOverTcp(UnitSuite):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[DisinfectionUnitDriver, Host]]:
        self.peer = UnitPeer()
        async with tcp_host(self.peer) as host:
            driver = unit_driver(host.endpoint)
            await driver.connect()
            yield driver, host
            await driver.close()


class TestDisinfectionUnitOverRtu(UnitSuite):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[DisinfectionUnitDriver, Host]]:
        self.peer = UnitPeer(serial_line=True)
        async with pty_host(self.peer) as host:
            driver = unit_driver(host.endpoint)
            await driver.connect()
            yield driver, host
            await driver.close()

    async def test_a_stale_read_back_is_found_out(self, rig: tuple[DisinfectionUnitDriver, Host]):
        driver, host = rig
        await driver.set_lamps(on=True)
        stale = host.before = self.peer.frame(b"\x02", bytes([3, 2, 0, 1]))
        self.peer.on_write = lambda _address, _data: self.peer.holdings.update({127: 0})  # type: ignore[method-assign]
        host.harm(lambda answer, _before: [(0, stale), (0.01, answer)], skip=1)
        with pytest.raises(StationError):
            await driver.set_lamps(on=True)
