from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sims.stx import RequestReader, checksum, encode, reseal
from firmware_sims.xray_generator import XrayGenerator
from firmware_sims.xrb011 import Xrb011
from firmware_sims.xrv import Xrv


class PermitWorld:
    def __init__(self) -> None:
        self.beam_permitted = True
        self.beam = (False, 0.0, 0.0)

    def set_beam(self, on: bool, kv: float, ma: float) -> None:
        self.beam = (on, kv, ma)


class Bench:
    def __init__(self, model: type[XrayGenerator] = Xrv, **options: Any) -> None:
        self.world = PermitWorld()
        self.generator = model(world=self.world, rng=np.random.default_rng(3), **options)

    def ask(self, command: str, *arguments: object) -> list[str]:
        answers = self.generator.feed(encode(command, *arguments))
        assert len(answers) == 1
        assert answers[0][0] == 2
        assert answers[0][-1] == 3
        assert answers[0][-2] == checksum(answers[0][1:-2])
        return answers[0][1:-3].decode().split(",")

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.generator.step(0.01)

    def bits(self, command: str) -> list[int]:
        return [int(value) for value in self.ask(command)[1:]]


def hot(kv_dac: int = 4095, ma_dac: int = 1024, **options: Any) -> Bench:
    bench = Bench(**options)
    assert bench.ask("10", kv_dac) == ["10", "$"]
    assert bench.ask("11", ma_dac) == ["11", "$"]
    assert bench.ask("98", 1) == ["98", "$"]
    return bench


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (encode("10", 4095), "02 31 30 2C 34 30 39 35 2C 75 03"),
        (encode("22"), "02 32 32 2C 70 03"),
        (encode("99", 1), "02 39 39 2C 31 2C 45 03"),
        (encode("99", 0), "02 39 39 2C 30 2C 46 03"),
        (encode("10", "$"), "02 31 30 2C 24 2C 63 03"),
        (encode("27"), "02 32 37 2C 6B 03"),
        (encode("28", 3), "02 32 38 2C 33 2C 4B 03"),
    ],
)
def test_published_frames(frame: bytes, wire: str):
    assert frame.hex(" ").upper() == wire


@given(st.binary(max_size=60), st.integers(0, 12))
def test_noise_before_a_request_is_skipped(noise: bytes, cut: int):
    request = encode("10", 100)
    reader = RequestReader()
    noise = noise.replace(b"\x02", b"x").replace(b"\x03", b"y")
    found = reader.feed(noise + request[:cut]) + reader.feed(request[cut:])
    assert [one.command for one in found] == ["10"]


@given(st.integers(0, 10), st.integers(1, 255))
def test_one_damaged_byte_gets_no_answer(at: int, change: int):
    request = bytearray(encode("10", 4095))
    request[at] ^= change
    found = RequestReader().feed(bytes(request))
    # The checksum keeps seven bits of a sum: what it cannot see is a flipped top bit, which is not ASCII.
    assert not [one for one in found if one.command == "10" and one.arguments == ("4095",)]


def test_a_bad_checksum_is_met_with_silence():
    frame = bytearray(encode("98", 1))
    frame[-2] ^= 1
    bench = Bench()
    assert bench.generator.feed(bytes(frame)) == []
    assert not bench.generator.tube.enabled
    assert bench.generator.feed(reseal(bytes(frame))) == [encode("98", "$")]


def test_xrv_ramps_to_its_set_points():
    bench = hot()
    assert bench.ask("14") == ["14", "4095"]
    bench.run(0.1)
    assert 0 < bench.world.beam[1] < 100
    bench.run(1.0)
    assert bench.world.beam == (True, 160.0, pytest.approx(1.0, abs=0.01))
    assert int(bench.ask("60")[1]) == pytest.approx(4095 / 1.2, abs=1)
    monitors = bench.bits("19")
    assert monitors[1] == pytest.approx(4095 / 1.2 / 4, abs=2)
    status = bench.bits("22")
    assert len(status) == 17
    assert (status[0], status[1], status[2], status[4], status[5], status[15]) == (1, 1, 1, 0, 0, 1)
    assert bench.ask("98", 0) == ["98", "$"]
    assert bench.world.beam[0] is False


def test_xrv_refuses_without_the_hardware_permit_and_never_rearms():
    bench = Bench()
    bench.world.beam_permitted = False
    assert bench.ask("98", 1) == ["98", "2"]
    assert bench.bits("22")[1] == 0
    bench.world.beam_permitted = True
    assert bench.ask("10", 3000) == ["10", "$"]
    assert bench.ask("98", 1) == ["98", "$"]
    bench.run(1.0)
    assert bench.world.beam[0]
    bench.world.beam_permitted = False
    bench.run(0.02)
    assert bench.world.beam == (False, 0.0, 0.0)
    bench.world.beam_permitted = True
    bench.run(2.0)
    assert bench.world.beam[0] is False
    assert bench.bits("22")[0] == 0


@pytest.mark.parametrize(("command", "arguments", "code"), [("10", (5000,), "3"), ("10", ("x",), "1"), ("10", (), "1"), ("44", (), "1")])
def test_xrv_refusals(command: str, arguments: tuple[object, ...], code: str):
    assert Bench().ask(command, *arguments) == [command, code]


def test_xrv_local_mode_takes_no_settings_but_off():
    bench = hot()
    bench.ask("99", 0)
    assert bench.ask("10", 5) == ["10", "5"]
    assert bench.bits("22")[5] == 1
    assert bench.ask("98", 1) == ["98", "5"]
    assert bench.ask("98", 0) == ["98", "$"]
    bench.ask("99", 1)
    assert bench.ask("10", 5) == ["10", "$"]


def test_arcs_collapse_kv_and_too_many_latch():
    bench = hot()
    bench.run(1.0)
    bench.generator.inject("arc")
    bench.generator.step(0.01)
    assert bench.world.beam[1] == 0
    bench.run(1.0)
    assert bench.world.beam[1] == 160.0
    bench.generator.inject("arc", count=4)
    bench.run(0.1)
    faults = bench.bits("68")
    assert len(faults) == 27
    assert faults[11] == 1
    assert bench.ask("98", 1) == ["98", "4"]
    assert bench.bits("22")[4] == 1
    bench.ask("31")
    assert sum(bench.bits("68")) == 0
    assert bench.world.beam[0] is False
    assert bench.ask("98", 1) == ["98", "$"]


@pytest.mark.parametrize(("which", "bit"), [("over_voltage", 2), ("under_current", 5), ("watchdog", 21), ("board_over_temperature", 22)])
def test_latched_faults_switch_off(which: str, bit: int):
    bench = hot()
    bench.run(0.5)
    bench.generator.inject("latch", which=which)
    assert bench.world.beam[0] is False
    assert bench.bits("68")[bit] == 1


def test_a_cold_tube_arcs_and_a_warmed_one_does_not():
    cold, warm = hot(idle_hours=100.0), hot(idle_hours=100.0)
    cold.run(15.0)
    assert cold.generator.tube.arc_count > 3
    warm.ask("31")
    warm.ask("10", 2000)
    warm.run(25.0)
    warm.ask("10", 4095)
    warm.run(15.0)
    assert warm.generator.tube.arc_count == 0


def test_an_unseasoned_tube_must_be_brought_up_slowly():
    bench = hot(kv_dac=2200, idle_hours=3000.0)
    bench.run(20.0)
    assert bench.generator.tube.arc_count > 3


def test_drift_shows_on_the_monitor_and_a_restart_forgets():
    bench = hot()
    bench.generator.inject("kv_drift", factor=0.8)
    bench.run(1.0)
    assert bench.world.beam[1] == pytest.approx(128.0)
    assert int(bench.ask("60")[1]) == pytest.approx(0.8 * 4095 / 1.2, abs=2)
    bench.generator.inject("reboot")
    assert bench.world.beam[0] is False
    assert bench.generator.feed(encode("22")) == []
    bench.run(2.1)
    assert bench.ask("14") == ["14", "0"]
    assert bench.generator.boot_count == 2


def test_muting_and_unknown_faults():
    bench = Bench()
    bench.generator.inject("mute")
    assert bench.generator.feed(encode("22")) == []
    bench.generator.clear("mute")
    assert bench.ask("22")[0] == "22"
    for name in ("inject", "clear"):
        with pytest.raises(KeyError):
            getattr(bench.generator, name)("gremlins")
    with pytest.raises(KeyError):
        bench.generator.inject("latch", which="gremlins")
    for name in bench.generator.faults:
        bench.generator.clear(name)


def test_xrb011_speaks_its_own_scales():
    bench = Bench(Xrb011)
    assert bench.ask("10", 800) == ["10", "$"]
    assert bench.ask("11", 500) == ["11", "$"]
    assert bench.ask("10", 801) == ["10", "E#1"]
    assert bench.bits("22") == [0, 0, 0]
    bench.world.beam_permitted = False
    assert bench.bits("22") == [0, 1, 0]
    assert bench.ask("99", 1) == ["99", "E#2"]
    bench.world.beam_permitted = True
    assert bench.ask("99", 1) == ["99", "$"]
    bench.run(1.0)
    assert bench.world.beam == (True, 80.0, pytest.approx(0.5))
    assert bench.bits("20")[2] == 4095
    assert bench.ask("98", 1) == ["98", "E#1"]


def test_xrb011_watchdog_must_be_fed():
    bench = Bench(Xrb011)
    bench.ask("10", 600)
    assert bench.ask("28", 3) == ["28", "$"]
    bench.ask("99", 1)
    for _ in range(4):
        bench.run(2.0)
        bench.ask("27")
    assert bench.world.beam[0]
    bench.run(3.2)
    assert bench.world.beam[0] is False
    answer = bench.ask("32")
    assert answer[0] == "22"
    assert answer[1:] == ["0", "0", "0", "0", "0", "0", "1", "0"]
    assert bench.generator.poll() == [encode("22", 0, 0, 1)]
    assert bench.ask("99", 1) == ["99", "E#3"]
    bench.ask("52")
    assert bench.ask("99", 1) == ["99", "$"]
    bench.ask("28", 0)
    bench.run(20.0)
    assert bench.world.beam[0]


def test_xrb011_that_restarts_has_its_default_watchdog_again():
    bench = Bench(Xrb011)
    bench.ask("28", 2)
    bench.generator.reboot()
    bench.run(2.1)
    bench.ask("10", 600)
    bench.ask("99", 1)
    bench.run(4.8)
    assert bench.world.beam[0]
    bench.run(0.4)
    assert bench.world.beam[0] is False
