"""What both Modbus units have to stand: a correct peer and a hostile one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from station.domain.errors import DeviceProtocolError, DeviceUnreachableError
from station.drivers.link import Link
from station.ports.lane_plc import Command, CommandResult
from tests.contract.adversary import AskedSuite, Host, Mischief
from tests.contract.driver_peers import ModbusPeer

READS_INPUTS = 4
UPTIME_AT = 2 + 2 * 20
"""Behind function and byte count: register 20."""

UPTIME_MS = 4_711_000


def reframed(peer: ModbusPeer, change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> Mischief:
    """An answer that is valid on the wire (CRC, lengths), but another one."""

    def mischief(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
        return [(0, peer.frame(*change(*peer.unframe(answer))))]

    return mischief


def valid_but_wrong(peer: ModbusPeer) -> dict[str, Mischief]:
    return {
        "wrong unit": reframed(peer, lambda head, pdu: (head[:-1] + bytes([head[-1] + 1]), pdu)),
        "wrong function": reframed(peer, lambda head, pdu: (head, bytes([pdu[0] ^ 7]) + pdu[1:])),
        "wrong count": reframed(peer, lambda head, pdu: (head, bytes([pdu[0], max(0, pdu[1] - 2)]) + pdu[2:-2])),
        "count too large": reframed(peer, lambda head, pdu: (head, bytes([pdu[0], pdu[1] + 2 & 0xFF]) + pdu[2:] + b"\0\0")),
        "wrong echo": reframed(peer, lambda head, pdu: (head, pdu[:4] + bytes([pdu[4] ^ 0xFF]) + pdu[5:])),
        "other content": reframed(peer, lambda head, pdu: (head, pdu[:2] + bytes(byte ^ 0xA5 for byte in pdu[2:]))),
        "exception": reframed(peer, lambda head, pdu: (head, bytes([pdu[0] | 0x80, 4]))),
        "empty": reframed(peer, lambda head, pdu: (head, pdu[:1])),
    }


class ModbusSuite(AskedSuite):
    peer: ModbusPeer

    quiet_readings = 3
    """So many readings without a new device heartbeat are not yet 2 s of the peer's time apart."""

    def link(self, driver: Any) -> Link:
        return driver._unit._master._link

    async def read(self, driver: Any) -> Any:
        """The newest block of a poll."""
        return await driver.read_status()

    async def probe(self, driver: Any) -> object:
        return (await self.read(driver)).uptime_ms

    def truth(self, host: Host) -> object:
        assert isinstance(host.device, ModbusPeer)
        return 1000 * host.device.served

    def wrong_but_valid(self) -> dict[str, Mischief]:
        return valid_but_wrong(self.peer)

    def plausible(self) -> tuple[Mischief, object]:
        """A reading whose CRC, counters and echo are right: no register proves another one's value."""

        def other_uptime(head: bytes, pdu: bytes) -> tuple[bytes, bytes]:
            return head, pdu if pdu[0] != READS_INPUTS else pdu[:UPTIME_AT] + UPTIME_MS.to_bytes(4, "big") + pdu[UPTIME_AT + 4 :]

        return reframed(self.peer, other_uptime), UPTIME_MS

    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        host.device.reboot()
        with pytest.raises(DeviceProtocolError, match="restarted"):
            await self.read(driver)

    async def test_a_stuck_heartbeat_echo_is_no_evidence(self, rig: tuple[Any, Host]):
        driver, host = rig
        stuck = self.peer.inputs[9]
        original = self.peer.refresh

        def refresh() -> None:
            original()
            self.peer.inputs[9] = stuck

        self.peer.refresh = refresh  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match="heartbeat"):
            await self.read(driver)
        del self.peer.refresh  # type: ignore[method-assign]
        await self.works_again(driver, host)

    async def test_a_program_that_stands_still_is_noticed(self, rig: tuple[Any, Host]) -> None:
        driver, host = rig
        original = self.peer.refresh

        def refresh() -> None:
            original()
            self.peer.inputs[8] = 5

        self.peer.refresh = refresh  # type: ignore[method-assign]
        for _ in range(self.quiet_readings):
            await self.read(driver)
        with pytest.raises(DeviceProtocolError, match="heartbeat up"):
            await self.read(driver)
        del self.peer.refresh  # type: ignore[method-assign]
        await self.works_again(driver, host)

    @pytest.mark.parametrize(("address", "value"), [(0, 0x1234), (1, 2), (17, 0), (3, 1)])
    async def test_another_device_is_no_evidence(self, rig: tuple[Any, Host], address: int, value: int):
        driver, _ = rig
        self.peer.inputs[address] = value
        with pytest.raises(DeviceProtocolError):
            await self.read(driver)
        with pytest.raises(DeviceUnreachableError):
            await driver.heartbeat()

    async def test_a_torn_block_is_read_again_and_then_refused(self, rig: tuple[Any, Host]):
        driver, _ = rig
        original, tears = self.peer.refresh, [1]

        def refresh() -> None:
            original()
            if tears[0]:
                tears[0] -= 1
                self.peer.inputs[self.peer.blocks[0][1]] ^= 1

        self.peer.refresh = refresh  # type: ignore[method-assign]
        assert await self.read(driver)
        tears[0] = 3
        with pytest.raises(DeviceProtocolError, match="tore"):
            await self.read(driver)
        assert await self.read(driver)

    async def test_heartbeats_and_readings_from_two_tasks(self, rig: tuple[Any, Host]):
        driver, _ = rig
        await asyncio.gather(*[driver.heartbeat() if n % 2 else self.read(driver) for n in range(40)])

    async def test_select_before_operate(self, rig: tuple[Any, Host]):
        driver, _ = rig
        assert await driver.command(Command.JOG, 3) is CommandResult.ACCEPTED
        select, operate = [write for write in self.peer.writes if write[0] in {110, 113}][-2:]
        assert select == (110, bytes([0, 23, 0, 3]) + operate[1])
        self.peer.inputs[7] = 99
        self.peer.on_write = lambda _address, _data: None  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match="result 99"):
            await driver.command(Command.START)

    async def test_connecting_is_off_first_and_sets_the_watchdog(self, rig: tuple[Any, Host]):
        assert self.peer.writes[0] == (127, b"\0\0")
        assert (101, (1000).to_bytes(2, "big")) in self.peer.writes
