"""The X-ray generator against a correct peer and a hostile one, over a real pty."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from station.domain.errors import ConfigurationError, DeviceProtocolError, DeviceRefusedError, DeviceUnreachableError
from station.drivers.link import Link
from station.drivers.xray_generator import XrayGeneratorDriver
from tests.contract.adversary import DEADLINE_S, QUIET_S, AskedSuite, Host, Mischief, pty_host
from tests.contract.driver_peers import StxPeer, Xrb011Peer, XrvPeer, stx
from tests.support.clocks import LoopClock, SetClock


def rests_only() -> SetClock:
    """Station time in which nothing takes time but resting: how often the tube is looked at does not hang on the machine."""
    return SetClock(datetime(2026, 11, 21, tzinfo=UTC))


WARM_UP_AND_ON = ["10,1638", "10,2252", "10,2866", "10,4095"]
"""What sets the kV of each step, and then of the set point."""

SWITCHED_ON = 7
"""Requests that set a step's kV and mA, read them back, switch on, and read status and faults."""


LIE_COUNTS = 777


class RestingClock(LoopClock):
    """Tells when somebody rests."""

    def __init__(self) -> None:
        self.resting = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.resting.set()
        await super().sleep(seconds)


def generator(endpoint: str, **options: Any) -> XrayGeneratorDriver:
    return XrayGeneratorDriver(endpoint, **{"clock": LoopClock(), "deadline_s": DEADLINE_S, "quiet_s": QUIET_S, **options})


def as_another_command(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, stx("15" + answer[3:-3].decode()))]


def one_value_less(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, stx(",".join(answer[1:-3].decode().split(",")[:-1])))]


def letters(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, stx(answer[1:3].decode() + ",x" * answer[1:-3].count(b",")))]


def too_large(answer: bytes, _before: bytes) -> list[tuple[float, bytes]]:
    return [(0, stx(answer[1:3].decode() + ",70000" * answer[1:-3].count(b",")))]


class StxSuite(AskedSuite):
    """Both models; `lie` is an answer to the monitors' command that says `LIE_COUNTS`."""

    peer: StxPeer
    ma_at_full_counts: float
    lie: str

    def link(self, driver: Any) -> Link:
        return driver._line._link

    async def probe(self, driver: Any) -> object:
        return round((await driver.read_status()).ma / self.ma_at_full_counts * 4095)

    def truth(self, host: Host) -> object:
        return self.peer.served % 1000

    def wrong_but_valid(self) -> dict[str, Mischief]:
        return {"other command": as_another_command, "short": one_value_less, "letters": letters, "too large": too_large}

    def plausible(self) -> tuple[Mischief, object]:
        """Another current, checksum right: no command reads a monitor back."""
        return lambda answer, _before: [(0, stx(self.lie) if answer[1:3] == self.lie[:2].encode() else answer)], LIE_COUNTS

    async def notices_a_reboot(self, driver: Any, host: Host) -> None:
        """A generator counts no restarts; what shows one is that its set-points are gone."""
        await driver.set_point(kv=60, ma=0.5)
        host.device.reboot()
        with pytest.raises(DeviceProtocolError, match="restarted"):
            await driver.switch_on()
        assert not self.peer.on


class TestXrv(StxSuite):
    ma_at_full_counts = 4 * 1.2
    lie = f"19,0,{LIE_COUNTS},0,0,0,0,0,0"
    peer: XrvPeer

    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[XrayGeneratorDriver, Host]]:
        self.peer = XrvPeer()
        async with pty_host(self.peer) as host:
            driver = generator(host.endpoint)
            await driver.connect()
            yield driver, host
            await driver.close()

    async def test_connecting_is_off_first(self, rig: tuple[XrayGeneratorDriver, Host]):
        assert self.peer.commands[:2] == ["98,0", "22"]

    async def test_scans(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        await driver.set_point(kv=160, ma=1)
        assert (self.peer.kv_set, self.peer.ma_set) == (4095, 1024)
        await driver.switch_on()
        status = await driver.read_status()
        assert status.high_voltage_on
        assert status.interlock_closed
        assert status.kv == pytest.approx(160, abs=0.1)
        assert (status.kv_set, status.ma_set) == (pytest.approx(160), pytest.approx(1, abs=1e-3))
        assert status.fault_names == ()
        await driver.switch_off()
        assert not (await driver.read_status()).high_voltage_on

    async def test_refuses_by_name(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        with pytest.raises(DeviceRefusedError, match="at most 160 kV"):
            await driver.set_point(kv=161, ma=1)
        self.peer.interlock = 0
        with pytest.raises(DeviceRefusedError, match="interlock open"):
            await driver.switch_on()
        self.peer.interlock, self.peer.faults[11] = 1, 1
        with pytest.raises(DeviceRefusedError, match="anode arc"):
            await driver.switch_on()
        assert (await driver.read_status()).fault_names == ("anode arc",)
        await driver.reset_faults()
        await driver.switch_on()

    async def test_a_set_point_that_was_not_taken_is_an_error(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, stx("14,7") if answer[1:3] == b"14" else answer)])
        with pytest.raises(DeviceProtocolError, match="set-points"):
            await driver.set_point(kv=100, ma=1)

    @pytest.mark.parametrize("kv", ["inf", "4096", "1_0"])
    async def test_a_monitor_beyond_its_converter_is_no_reading(self, rig: tuple[XrayGeneratorDriver, Host], kv: str):
        driver, host = rig
        host.harm(lambda answer, _before: [(0, stx(f"19,{kv},0,0,0,0,0,0,0") if answer[1:3] == b"19" else answer)])
        with pytest.raises(DeviceProtocolError):
            await driver.read_status()
        await self.works_again(driver, host)

    async def test_high_voltage_that_stays_on_is_an_error(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, host = rig
        await driver.switch_on()
        host.harm(lambda answer, _before: [(0, stx("98,$") if answer[1:3] == b"98" else stx("22,1" + answer[5:-3].decode()))])
        with pytest.raises(DeviceProtocolError):
            await driver.switch_off()

    async def test_a_generator_in_local_mode_is_taken_over(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        self.peer.remote = 0
        await driver.connect()
        assert self.peer.remote == 1

    async def test_another_full_scale_is_refused(self, rig: tuple[XrayGeneratorDriver, Host]):
        _, host = rig
        driver = generator(host.endpoint, kv_max=130.0)
        await rig[0].close()
        with pytest.raises(DeviceProtocolError, match="full scale"):
            await driver.connect()
        await driver.close()

    async def test_a_cold_tube_is_warmed_up_first(self, rig: tuple[XrayGeneratorDriver, Host]):
        await rig[0].close()
        driver = generator(rig[1].endpoint, clock=rests_only(), idle_days=1.0)
        await driver.connect()
        await driver.set_point(kv=160, ma=1)
        before = len(self.peer.commands)
        await driver.switch_on()
        levels = [command for command in self.peer.commands[before:] if command.startswith("10,")]
        assert levels == WARM_UP_AND_ON
        assert self.peer.on
        await driver.switch_off()
        before = len(self.peer.commands)
        await driver.switch_on()
        assert not [command for command in self.peer.commands[before:] if command.startswith("10,")]
        await driver.close()

    async def test_a_cancelled_warm_up_leaves_the_beam_off(self, rig: tuple[XrayGeneratorDriver, Host]):
        await rig[0].close()
        clock = RestingClock()
        driver = generator(rig[1].endpoint, clock=clock, idle_days=1.0)
        await driver.connect()
        task = asyncio.ensure_future(driver.switch_on())
        await clock.resting.wait()
        assert self.peer.on
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not self.peer.on
        await driver.close()

    async def test_a_warm_up_that_was_cut_off_begins_anew(self, rig: tuple[XrayGeneratorDriver, Host]):
        await rig[0].close()
        driver = generator(rig[1].endpoint, clock=rests_only(), idle_days=1.0)
        await driver.connect()
        await driver.set_point(kv=160, ma=1)
        self.peer.arcs = True
        with pytest.raises(DeviceRefusedError):
            await driver.switch_on()
        self.peer.arcs = False
        before = len(self.peer.commands)
        await driver.switch_on()
        assert [command for command in self.peer.commands[before:] if command.startswith("10,")] == WARM_UP_AND_ON
        await driver.close()

    async def test_a_warm_up_whose_link_falls_silent_says_so(self, rig: tuple[XrayGeneratorDriver, Host]):
        """Not that the OFF after it found no link any more."""
        await rig[0].close()
        driver = generator(rig[1].endpoint, clock=rests_only(), idle_days=1.0)
        await driver.connect()
        rig[1].harm(lambda _answer, _before: [], skip=SWITCHED_ON)
        with pytest.raises(DeviceUnreachableError, match="did not answer"):
            await driver.switch_on()
        rig[1].mischief = None
        await driver.connect()
        assert not self.peer.on
        await driver.close()

    async def test_a_tube_that_arcs_goes_a_step_back_and_then_gives_up(self, rig: tuple[XrayGeneratorDriver, Host]):
        await rig[0].close()
        driver = generator(rig[1].endpoint, clock=rests_only(), idle_days=1.0)
        await driver.connect()
        self.peer.arcs = True
        with pytest.raises(DeviceRefusedError, match="arced 11 times"):
            await driver.switch_on()
        assert not self.peer.on
        await driver.close()


class TestXrb011(StxSuite):
    ma_at_full_counts = 0.7
    lie = f"20,0,0,0,{LIE_COUNTS},0,0,0"
    peer: Xrb011Peer

    @pytest.fixture
    async def rig(self) -> AsyncIterator[tuple[XrayGeneratorDriver, Host]]:
        self.peer = Xrb011Peer()
        async with pty_host(self.peer) as host:
            driver = generator(host.endpoint, model="XRB011")
            await driver.connect()
            yield driver, host
            await driver.close()

    async def test_sets_and_feeds_the_watchdog(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        assert self.peer.commands[:2] == ["99,0", "22"]
        assert "28,2" in self.peer.commands
        await driver.read_status()
        assert self.peer.commands.count("27") == 2

    async def test_is_not_on_with_another_watchdog_when_it_restarted_before_its_set_point(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        await driver.set_point(kv=60, ma=0.5)
        self.peer.reboot()
        assert self.peer.watchdog_s == 5
        await driver.set_point(kv=60, ma=0.5)
        await driver.switch_on()
        assert (self.peer.on, self.peer.watchdog_s) == (1, 2)

    async def test_each_step_of_a_warm_up_sets_the_watchdog(self, rig: tuple[XrayGeneratorDriver, Host]):
        await rig[0].close()
        driver = generator(rig[1].endpoint, model="XRB011", clock=rests_only(), idle_days=1.0)
        await driver.connect()
        before = len(self.peer.commands)
        with pytest.raises(DeviceRefusedError, match="arced"):
            await driver.switch_on()
        sent = [command for command in self.peer.commands[before:] if command in {"28,2", "99,1"}]
        assert sent == ["28,2", "99,1"] * (len(sent) // 2)
        assert sent
        await driver.close()

    async def test_scales_and_the_open_interlock(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, _ = rig
        await driver.set_point(kv=80, ma=0.5)
        assert (self.peer.kv_set, self.peer.ma_set) == (800, 500)
        self.peer.interlock_open = 1
        assert not (await driver.read_status()).interlock_closed
        with pytest.raises(DeviceRefusedError, match="interlock"):
            await driver.switch_on()

    async def test_an_unasked_status_frame_is_taken_for_no_answer(self, rig: tuple[XrayGeneratorDriver, Host]):
        driver, host = rig
        host.push(stx("22,0,0,1"))
        assert await self.probe(driver) == self.truth(host)
        host.harm(lambda answer, _before: [(0, stx("22,0,0,1")), (0, answer)])
        assert await self.probe(driver) == self.truth(host)


def test_an_unknown_model_is_a_configuration_error():
    async def build() -> None:
        generator("serial:/dev/null", model="XRZ")

    with pytest.raises(ConfigurationError, match="XRZ"):
        asyncio.run(build())
