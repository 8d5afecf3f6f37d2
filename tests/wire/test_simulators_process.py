"""The simulators as a program, met by clients that were not written with them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minimalmodbus
import pytest
from pymeasure.instruments.spellmanhv.spellmanXRV import ErrorCode, SpellmanXRV, StatusCode

START_S = 30.0


@dataclass(kw_only=True)
class Simulators:
    process: subprocess.Popen[bytes]
    endpoints: dict[str, Any]
    control: socket.socket

    def ask(self, **request: Any) -> dict[str, Any]:
        self.control.sendall(json.dumps(request).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self.control.recv(1 << 16)
            assert part, "the control socket closed"
            answer += part
        return json.loads(answer)

    def good(self, **request: Any) -> dict[str, Any]:
        answer = self.ask(**request)
        assert answer["ok"], answer
        return answer


def address(text: str) -> tuple[str, int]:
    host, port = text.split(":")
    return host, int(port)


def launch(directory: Path, *options: str) -> Simulators:
    """Start the program; it is ready when its endpoints file is there."""
    file = directory / "endpoints.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_sims", "--endpoints", str(file), "--until-stdin-closes", *options],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    waited = 0.0
    while not file.exists():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            waited += 0.05
        else:
            _, errors = process.communicate()
            raise AssertionError(errors.decode())
        assert waited < START_S
    endpoints = json.loads(file.read_text())
    return Simulators(process=process, endpoints=endpoints, control=socket.create_connection(address(endpoints["control"]), 10))


def end(simulators: Simulators) -> int:
    simulators.control.close()
    assert simulators.process.stdin is not None
    assert simulators.process.stderr is not None
    simulators.process.stdin.close()
    code = simulators.process.wait(15)
    simulators.process.stderr.close()
    return code


@pytest.fixture(scope="module")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    running = launch(tmp_path_factory.mktemp("sims"), "--seed", "5")
    yield running
    assert end(running) == 0
    # Nobody who comes late finds somebody else's line under the old name.
    assert not Path(running.endpoints["xray_generator"]["serial"]).parent.exists()


def test_endpoints_have_the_agreed_form(simulators: Simulators):
    endpoints = simulators.endpoints
    assert set(endpoints) == {
        "xray_generator",
        "line_detector",
        "lane_plc",
        "disinfection_unit",
        "barcode_reader",
        "gate_reader",
        "control",
    }
    assert endpoints["lane_plc"]["unit"] == 1
    assert endpoints["disinfection_unit"]["unit"] == 2
    assert endpoints["disinfection_unit"]["baudrate"] == 115200
    for name in ("xray_generator", "barcode_reader", "gate_reader"):
        assert Path(endpoints[name]["serial"]).is_char_device()


@pytest.mark.filterwarnings("ignore")
def test_pymeasure_drives_the_generator(simulators: Simulators):
    port = simulators.endpoints["xray_generator"]["serial"]
    generator = SpellmanXRV(f"ASRL{port}::INSTR", visa_library="@py", query_delay=0.02)
    try:
        assert generator.scaling == {"voltage": 160000, "current": pytest.approx(0.004), "polarity": 0}
        generator.voltage_setpoint = 120000
        generator.current_setpoint = 0.001
        assert generator.voltage_setpoint == pytest.approx(120000, abs=40)
        assert generator.current_setpoint == pytest.approx(0.001, abs=1e-6)
        generator.filament.limit = 2000
        generator.filament.preheat = 1000
        assert (generator.filament.limit, generator.filament.preheat) == (2000, 1000)
        generator.power_limits = (500, 250)
        assert generator.power_limits == [500, 250]
        assert generator.errors == ErrorCode.NO_ERROR
        assert generator.status & StatusCode.POWER_SUPPLY_READY
        # No station talks to the lane PLC, so its hardware permit is open and high voltage is refused.
        assert not generator.status & StatusCode.INTERLOCK_1_CLOSED
        assert generator.output_enabled is False
        with pytest.raises(ValueError, match=r"got '2'"):
            generator.output_enabled = True
        generator.output_enabled = False
        assert generator.voltage == 0
        assert generator.analog_monitor["voltage"] == 0
        assert generator.configuration["max_kV"] == 160
        assert 15 < generator.temperature < 60
        assert generator.hv_on_timer > 0
        simulators.good(do="fault", device="xray_generator", name="latch", args={"which": "over_voltage"})
        assert generator.errors == ErrorCode.OVER_VOLTAGE
        assert generator.status & StatusCode.POWER_SUPPLY_FAULT
        generator.reset_errors()
        assert generator.errors == ErrorCode.NO_ERROR
        assert generator.unscaled.voltage_setpoint == 3071
    finally:
        generator.adapter.close()


def mbpoll(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("mbpoll is not installed (Debian package mbpoll)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)


def registers(output: str) -> list[int]:
    found = [line.split(":")[1].split()[0] for line in output.splitlines() if line.startswith("[")]
    return [int(value, 0) for value in found]


def test_mbpoll_reads_and_writes_the_lane_plc(simulators: Simulators):
    host, port = simulators.endpoints["lane_plc"]["modbus_tcp"].split(":")
    base = ["-m", "tcp", "-p", port, "-a", "1", "-0", "-1"]
    read = mbpoll(*base, "-t", "3:hex", "-r", "0", "-c", "20", host)
    assert read.returncode == 0, read.stderr
    words = registers(read.stdout)
    assert words[:2] == [0x4B54, 1]
    assert words[16:18] == [0xC2F6, 0xE666]
    assert words[18] in range(0x10000)
    written = mbpoll(*base, "-t", "4", "-r", "101", host, "700")
    assert written.returncode == 0, written.stderr
    back = mbpoll(*base, "-t", "4", "-r", "101", "-c", "1", host)
    assert registers(back.stdout) == [700]
    absent = mbpoll(*base, "-t", "3", "-r", "90", "-c", "1", host)
    assert "Illegal data address" in absent.stderr + absent.stdout
    too_much = mbpoll(*base, "-t", "4", "-r", "101", host, "5000")
    assert "Illegal data value" in too_much.stderr + too_much.stdout


def test_mbpoll_reads_the_disinfection_unit_over_rtu(simulators: Simulators):
    port = simulators.endpoints["disinfection_unit"]["modbus_rtu"]
    read = mbpoll("-m", "rtu", "-b", "115200", "-P", "none", "-a", "2", "-0", "-1", "-t", "3:hex", "-r", "0", "-c", "125", port)
    assert read.returncode == 0, read.stderr
    words = registers(read.stdout)
    assert words[0] == 0x4B55
    assert words[18] == words[124]


def test_minimalmodbus_reads_the_disinfection_unit(simulators: Simulators):
    unit = minimalmodbus.Instrument(simulators.endpoints["disinfection_unit"]["modbus_rtu"], 2)
    try:
        unit.serial.baudrate = 115200
        unit.serial.timeout = 1.0
        assert unit.read_register(0, functioncode=4) == 0x4B55
        assert unit.read_float(16, functioncode=4) == pytest.approx(-123.45, abs=0.01)
        unit.write_registers(100, [7, 900])
        assert unit.read_registers(100, 2) == [7, 900]
        with pytest.raises(minimalmodbus.IllegalRequestError):
            unit.read_register(999, functioncode=4)
    finally:
        unit.serial.close()


def test_lines_flow_over_tcp(simulators: Simulators):
    where = simulators.endpoints["line_detector"]
    with (
        socket.create_connection(address(where["command"]), 10) as command,
        socket.create_connection(address(where["lines"]), 10) as lines,
    ):
        talk = command.makefile("rwb")
        for request, answer in ((b"TRIG TIMER", b"OK TIMER"), (b"START 77", b"OK 77")):
            talk.write(request + b"\r\n")
            talk.flush()
            assert talk.readline() == answer + b"\r\n"
        stream = lines.makefile("rb")
        for number in range(50):
            message = stream.read(40 + 4 * 512)
            assert message[:4] == b"XLIN"
            assert int.from_bytes(message[8:12], "big") == 77
            assert int.from_bytes(message[12:16], "big") == number
            assert zlib.crc32(message[:36] + message[40:]) == int.from_bytes(message[36:40], "big")
        talk.write(b"STOP\r\n")
        talk.flush()
        assert talk.readline().startswith(b"OK ")
        talk.close()
        stream.close()


def test_control_answers_by_lines(simulators: Simulators):
    assert simulators.ask(do="what")["ok"] is False
    simulators.control.sendall(b"this is not json\n")
    assert json.loads(simulators.control.recv(1 << 16))["ok"] is False
    pieces = simulators.good(do="mail", count=4)["pieces"]
    assert len(pieces) == 4
    truth = simulators.good(do="truth", piece_ids=[pieces[0]["piece_id"]])["pieces"]
    assert truth[0]["place"] == "shelf"
    before = simulators.good(do="state")["simulated_s"]
    assert simulators.good(do="state")["simulated_s"] >= before
    assert simulators.good(do="world")["world"]["released"] == 0


def test_a_signal_ends_it_cleanly(tmp_path: Path):
    running = launch(tmp_path, "--pixels", "128", "--speed", "4", "--generator", "XRB011")
    os.kill(running.process.pid, signal.SIGTERM)
    assert running.process.wait(15) == 0
    assert not (tmp_path / "endpoints.json").exists()
    end(running)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--speed", "9"), "at most 4"),
        (("--scene", "missing.json"), "missing.json"),
        (("--images", "/nonexistent"), "manifest.csv"),
    ],
)
def test_wrong_usage_says_what_is_wrong(tmp_path: Path, options: tuple[str, ...], message: str):
    with pytest.raises(AssertionError, match=message):
        launch(tmp_path, *options)
