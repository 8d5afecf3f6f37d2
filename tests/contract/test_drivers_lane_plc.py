"""The lane PLC against a correct peer and a hostile one, over a real socket."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from station.domain.errors import DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError, StationError
from station.drivers.lane_plc import LanePlcDriver
from station.ports.lane_plc import CommandResult, EyeEdge, PassedPiece
from tests.contract.adversary import DEADLINE_S, Host, Mischief, tcp_host
from tests.contract.driver_peers import LanePeer
from tests.contract.modbus_suite import UPTIME_MS, ModbusSuite, reframed
from tests.support.clocks import LoopClock

RUNNING = (200,) * 5
EVENTS_BYTES = 2 + 2 * 110
EVENTS_UPTIME_AT = 2 + 2 * 3
"""Likewise register 203 of the block that starts at 200."""


def lane_driver(endpoint: str) -> LanePlcDriver:
    return LanePlcDriver(endpoint, 1, clock=LoopClock(), deadline_s=DEADLINE_S)


class LanePlcSuite(ModbusSuite):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[LanePlcDriver, Host]]:
        self.peer = LanePeer()
        async with tcp_host(self.peer) as host:
            driver = lane_driver(host.endpoint)
            await driver.connect()
            yield driver, host
            await driver.close()


class TestLanePlcOverTcp(LanePlcSuite):
    async def test_writes_are_one_transaction_each(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        self.peer.inputs[7] = 1
        await driver.set_belts([200, 200, -100, 0, 1])
        assert self.peer.writes[-1] == (120, bytes.fromhex("00c8 00c8 ff9c 0000 0001"))
        await driver.tag_infeed(0x01020304)
        assert (130, bytes.fromhex("01020304")) in self.peer.writes
        assert await driver.permit(tag=5, challenge=0xDEADBEEF, valid_ms=800) is CommandResult.ACCEPTED
        assert (132, bytes.fromhex("00000005 deadbeef 0320")) in self.peer.writes
        await driver.set_diverter_1(through=True)
        await driver.set_diverter_2(through=False)
        await driver.request_beam(on=True)
        await driver.set_stack_light(3)
        assert [self.peer.holdings[address] for address in range(125, 129)] == [1, 0, 1, 3]
        await driver.freeze()
        status = await driver.read_status()
        assert status.freeze_latch
        assert status.belt_speeds_mm_s == (200, 200, -100, 0, 1)

    async def test_refusals_name_their_reason(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig

        def refuse(address: int, _data: bytes) -> None:
            if address >= 120:
                self.peer.holdings.update(dict.fromkeys(range(120, 125), 0))
                self.peer.inputs[7] = 7

        self.peer.on_write = refuse  # type: ignore[method-assign]
        with pytest.raises(DeviceRefusedError, match="frozen"):
            await driver.set_belts([200] * 5)
        with pytest.raises(DeviceRefusedError, match="frozen"):
            await driver.tag_infeed(7)
        assert await driver.permit(tag=1, challenge=2, valid_ms=3) is CommandResult.FROZEN
        with pytest.raises(DeviceRefusedError, match="does not fit"):
            await driver.set_belts([200] * 4)
        self.peer.inputs[7] = 1
        self.peer.on_write = lambda _address, _data: self.peer.holdings.update({125: 0})  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match="kept diverter_1_set"):
            await driver.set_diverter_1(through=True)

    async def test_a_freeze_that_does_not_latch_is_an_error(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        self.peer.on_write = lambda _address, _data: self.peer.holdings.update({129: 0})  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match="freeze"):
            await driver.freeze()

    def keeps_its_speeds(self, result: CommandResult, *, times: int = 1000) -> None:
        """The peer had speeds set before, and refuses other ones."""
        self.peer.put_held(120, ">5h", *RUNNING)
        left = [times]

        def keep(address: int, data: bytes) -> None:
            self.peer.writes.append((address, data))
            if address == 120 and left[0]:
                left[0] -= 1
                self.peer.put_held(120, ">5h", *RUNNING)
                self.peer.inputs[7] = result

        self.peer.on_write = keep  # type: ignore[method-assign]

    @pytest.mark.parametrize("result", [CommandResult.FROZEN, CommandResult.STALE_HEARTBEAT])
    async def test_a_plc_that_keeps_its_belts_still_by_itself_is_connected_to(self, rig: tuple[LanePlcDriver, Host], result: CommandResult):
        driver, _ = rig
        self.keeps_its_speeds(result)
        assert await driver.connect()
        assert await driver.read_status()

    async def test_a_standstill_that_was_refused_for_a_stale_heartbeat_is_written_again_with_a_fresh_one(
        self, rig: tuple[LanePlcDriver, Host]
    ):
        driver, _ = rig
        self.keeps_its_speeds(CommandResult.STALE_HEARTBEAT, times=2)
        await driver.connect()
        assert self.peer.held(120, ">5h") == (0,) * 5

    @pytest.mark.parametrize("result", [CommandResult.WRONG_STATE, CommandResult.MAINTENANCE, CommandResult.NONE])
    async def test_a_plc_that_keeps_its_speeds_for_another_reason_is_not_connected_to(
        self, rig: tuple[LanePlcDriver, Host], result: CommandResult
    ):
        driver, _ = rig
        self.keeps_its_speeds(result)
        with pytest.raises(StationError, match=r"stop its belts|did not say why"):
            await driver.connect()
        with pytest.raises(DeviceUnreachableError):
            await driver.read_status()

    async def test_a_plc_that_cannot_prove_itself_is_frozen_all_the_same(self, rig: tuple[LanePlcDriver, Host]):
        """Its image stands still: it echoes no heartbeat, and takes what is written."""
        driver, _ = rig
        self.peer.refresh = lambda: None  # type: ignore[method-assign]
        self.peer.writes.clear()
        with pytest.raises(DeviceProtocolError, match="heartbeat"):
            await driver.connect(frozen=True)
        assert self.peer.writes[:4] == [(129, b"\0\1"), (127, b"\0\0"), (120, bytes(10)), (128, b"\0\4")]

    async def test_a_new_link_sees_the_latch_that_it_set(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        assert (await driver.connect(frozen=True)).freeze_latch
        self.peer.inputs[47] = 0
        self.peer.on_write = lambda _address, _data: self.peer.holdings.update({129: 0})  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match="freeze"):
            await driver.connect(frozen=True)

    async def test_events_come_oldest_first_across_the_wrap(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        for slot, (seq, where, encoder) in enumerate([(1, 0x0107, 70), (65534, 0x0000, 10), (65535, 0x0103, 0xFFFFFFFF), (0, 0x0006, 60)]):
            self.peer.put(205 + 4 * slot, ">HHI", seq, where, encoder)
        self.peer.put(269, ">HII", 9, 900, 0xC0FFEE)
        events = await driver.read_events()
        assert events.edges == (
            EyeEdge(seq=65534, eye=0, leading=True, encoder=10),
            EyeEdge(seq=65535, eye=3, leading=False, encoder=0xFFFFFFFF),
            EyeEdge(seq=0, eye=6, leading=True, encoder=60),
            EyeEdge(seq=1, eye=7, leading=False, encoder=70),
        )
        assert events.passed == (PassedPiece(seq=9, tag=900, challenge=0xC0FFEE),)
        self.peer.put(205, ">HHI", 2, 0x000A, 0)
        with pytest.raises(DeviceProtocolError, match="eye 10"):
            await driver.read_events()

    async def test_a_code_outside_the_map_is_refused(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        self.peer.inputs[44] = 4
        with pytest.raises(DeviceProtocolError, match="gate = 4"):
            await driver.read_status()

    async def test_the_answer_to_another_transaction_is_refused(self, rig: tuple[LanePlcDriver, Host]):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, (int.from_bytes(answer[:2], "big") + 1).to_bytes(2, "big") + answer[2:])])
        with pytest.raises(DeviceProtocolError, match="another request"):
            await driver.heartbeat()
        host.mischief = None
        await driver.connect()
        host.harm(lambda answer, _before: [(0, answer[:2] + b"\0\1" + answer[4:])])
        with pytest.raises(DeviceProtocolError, match="not Modbus"):
            await driver.heartbeat()


class TestBothBlocksOfTheLanePlc(LanePlcSuite):
    """A poll reads both blocks by one heartbeat: nothing of it is believed that would not be believed alone."""

    quiet_readings = 2

    async def read(self, driver: Any) -> Any:
        _, events = await driver.read_lane()
        return events

    def plausible(self) -> tuple[Mischief, object]:
        def later_events(head: bytes, pdu: bytes) -> tuple[bytes, bytes]:
            return head, pdu if len(pdu) != EVENTS_BYTES else pdu[:EVENTS_UPTIME_AT] + UPTIME_MS.to_bytes(4, "big") + pdu[
                EVENTS_UPTIME_AT + 4 :
            ]

        return reframed(self.peer, later_events), UPTIME_MS

    async def test_one_heartbeat_proves_both_blocks(self, rig: tuple[LanePlcDriver, Host]):
        driver, host = rig
        self.peer.writes.clear()
        answered = host.answered
        status, events = await driver.read_lane()
        assert [address for address, _ in self.peer.writes] == [100]
        assert host.answered == answered + 3
        assert (status.uptime_ms, events.uptime_ms) == (1000 * (self.peer.served - 1), 1000 * self.peer.served)

    async def test_mischief_in_the_third_answer_is_never_believed(self, rig: tuple[LanePlcDriver, Host]):
        await self.never_believed(*rig, {**self.fatal(), **self.wrong_but_valid()}, skip=2)

    @pytest.mark.parametrize(("address", "what"), [(201, "echoed heartbeat"), (202, "restarted"), (309, "tore")])
    async def test_the_events_prove_themselves(self, rig: tuple[LanePlcDriver, Host], address: int, what: str):
        """By an echo that stood still, another boot, a block torn in two."""
        driver, host = rig
        original = self.peer.refresh

        def refresh() -> None:
            original()
            self.peer.inputs[address] -= 1

        self.peer.refresh = refresh  # type: ignore[method-assign]
        with pytest.raises(DeviceProtocolError, match=what):
            await driver.read_lane()
        del self.peer.refresh  # type: ignore[method-assign]
        await self.works_again(driver, host)

    @pytest.mark.parametrize(("address", "bits"), [(309, 1), (203, 1)])
    async def test_events_that_were_torn_or_older_are_read_again_by_a_heartbeat_of_their_own(
        self, rig: tuple[LanePlcDriver, Host], address: int, bits: int
    ):
        """Torn in two, or with an uptime before the status'."""
        driver, _ = rig
        original, spoilt = self.peer.refresh, [0, bits]

        def refresh() -> None:
            original()
            for start in (20, 203):
                self.peer.put(start, ">I", (1 << 16) + 1000 * self.peer.served)
            self.peer.inputs[address] ^= spoilt.pop(0) if spoilt else 0

        self.peer.refresh = refresh  # type: ignore[method-assign]
        self.peer.writes.clear()
        status, events = await driver.read_lane()
        assert len(self.peer.writes) == 2
        assert events.uptime_ms == status.uptime_ms + 2000

    async def test_an_uptime_that_wraps_between_the_blocks_goes_on(self, rig: tuple[LanePlcDriver, Host]):
        driver, _ = rig
        original = self.peer.refresh

        def refresh() -> None:
            original()
            self.peer.put(20, ">I", 2**32 - 1)
            self.peer.put(203, ">I", 5)

        self.peer.refresh = refresh  # type: ignore[method-assign]
        status, events = await driver.read_lane()
        assert (status.uptime_ms, events.uptime_ms) == (2**32 - 1, 5)


async def test_an_unreachable_device_is_named():
    driver = lane_driver("tcp:127.0.0.1:1")
    with pytest.raises(DeviceUnreachableError, match=r"lane PLC.*cannot be opened"):
        await driver.connect()
    with pytest.raises(DeviceUnreachableError, match="not connected"):
        await driver.read_status()


async def test_an_unknown_register_is_a_refusal_that_leaves_the_link_good():
    peer = LanePeer()
    async with tcp_host(peer) as host:
        driver = lane_driver(host.endpoint)
        await driver.connect()
        del peer.holdings[128]
        with pytest.raises(DeviceRefusedError, match="not in its map"):
            await driver.set_stack_light(1)
        assert await driver.read_status()
        await driver.close()
