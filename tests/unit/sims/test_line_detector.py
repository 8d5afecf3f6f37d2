import zlib

import numpy as np
import pytest

from firmware_sims.line_detector import LineDetector
from firmware_sims.lsp1 import CommandLines, LineHeader, encode_line, payloads_of, reseal_line
from firmware_sims.test_piece import draw_test_piece

U32 = 1 << 32


class BeamWorld:
    """A belt, a beam, and pieces laid at known places."""

    def __init__(self, start: int = 1000) -> None:
        self.encoder_units = start
        self.beam_on, self.beam_kv, self.beam_ma = False, 0.0, 0.0
        self.placed: list[list] = []

    def encoder(self, belt: int) -> int:
        assert belt == 1
        return self.encoder_units % U32

    def pieces_at_beam(self):
        return [(piece, offset) for piece, offset in self.placed if 0 <= offset <= piece.length_mm]

    def beam(self, kv: float = 160.0, ma: float = 1.0) -> None:
        self.beam_on, self.beam_kv, self.beam_ma = kv > 0, kv, ma

    def move(self, units: int) -> None:
        self.encoder_units += units
        for placed in self.placed:
            placed[1] += units / 10


class Bench:
    def __init__(self, *, pixels: int = 512, start: int = 1000) -> None:
        self.world = BeamWorld(start)
        self.detector = LineDetector(world=self.world, rng=np.random.default_rng(5), pixels=pixels)
        self.detector.sink_ready = True
        self.messages: list[bytes] = []

    def run(self, seconds: float, *, speed_mm_s: float = 200.0) -> list[bytes]:
        before = len(self.messages)
        for _ in range(round(seconds / 0.01)):
            self.world.move(round(speed_mm_s * 0.1))
            self.detector.step(0.01)
            self.messages += self.detector.take_lines()
        return self.messages[before:]

    def do(self, command: str) -> str:
        answer = self.detector.command(command)
        assert answer is not None
        return answer


def fields(message: bytes) -> dict[str, int]:
    assert message[:4] == b"XLIN"
    assert message[4] == 1
    assert message[6:8] == bytes((2, 16))
    assert int.from_bytes(message[36:40], "big") == zlib.crc32(message[:36] + message[40:])
    return {
        "flags": message[5],
        "acquisition": int.from_bytes(message[8:12], "big"),
        "line": int.from_bytes(message[12:16], "big"),
        "encoder": int.from_bytes(message[16:20], "big"),
        "time": int.from_bytes(message[20:28], "big"),
        "pixels": int.from_bytes(message[28:30], "big"),
        "lost": int.from_bytes(message[30:32], "big"),
        "boot": int.from_bytes(message[32:34], "big"),
    }


def counts(messages: list[bytes]) -> np.ndarray:
    """(lines, 2, pixels)"""
    return np.array([np.frombuffer(message[40:], "<u2").reshape(2, -1) for message in messages]).astype(float)


def test_published_vectors():
    header = LineHeader(flags=1, acquisition=7, line=258, encoder=74565, time_us=5_000_000, pixels=4, lost_before=0, boot=3)
    pixels = np.array([[45000, 44990, 20000, 1000], [45000, 45010, 30000, 1001]], dtype=np.uint16)
    assert encode_line(header, payloads_of(pixels[:, None])[0]).hex(" ").upper() == (
        "58 4C 49 4E 01 01 02 10 00 00 00 07 00 00 01 02 00 01 23 45 00 00 00 00 00 4C 4B 40 00 04 00 00 00 03 00 00 "
        "3F 08 F7 D3 C8 AF BE AF 20 4E E8 03 C8 AF D2 AF 30 75 E9 03"
    )
    header = LineHeader(flags=0, acquisition=U32 - 1, line=0, encoder=U32 - 1, time_us=1 << 40, pixels=1, lost_before=65535, boot=65535)
    assert encode_line(header, payloads_of(np.array([[[0]], [[65535]]], dtype=np.uint16))[0]).hex(" ").upper() == (
        "58 4C 49 4E 01 00 02 10 FF FF FF FF 00 00 00 00 FF FF FF FF 00 00 01 00 00 00 00 00 00 01 "
        "FF FF FF FF 00 00 BD FC 1E 65 00 00 FF FF"
    )


def test_commands_come_out_of_any_cutting():
    reader = CommandLines()
    stream = b"IDN?\r\nEXP 2500\nPIX?\r\n"
    assert [line for byte in stream for line in reader.feed(bytes((byte,)))] == ["IDN?", "EXP 2500", "PIX?"]
    assert reader.feed(b"x" * 200) == [None]
    assert reader.feed(b"\xff\xfe\r\n") == [None]


def test_commands():
    bench = Bench()
    identity = dict(pair.split("=") for pair in bench.do("IDN?").split()[1:])
    assert identity["lsp"] == "1"
    assert (identity["pixels"], identity["pixel_pitch_um"], identity["line_pitch_um"], identity["he_offset_um"]) == (
        "512",
        "800",
        "800",
        "4000",
    )
    assert bench.do("PIX?") == "OK 512"
    assert bench.do("EXP 2500") == "OK 2500"
    assert bench.do("EXP?") == "OK 2500"
    assert bench.do("TRIG TIMER") == "OK TIMER"
    assert bench.do("TRIG?") == "OK TIMER"
    assert bench.do("TEMP?").startswith("OK 2")
    assert "dark_counts=1000" in bench.do("CAL?")
    assert bench.do("START 12") == "OK 12"
    for command, code in (("EXP 3000", 4), ("TRIG ENCODER", 4), ("START 13", 4)):
        assert bench.do(command).startswith(f"ERR {code} ")
    assert bench.do("STOP") == "OK 0"
    for command, code in (("HELLO", 1), ("PIX? 3", 2), ("EXP x", 2), ("EXP 20", 3), ("TRIG", 2), ("START 0", 3), ("START -1", 2)):
        assert bench.do(command).startswith(f"ERR {code} ")
    assert bench.detector.command(None) == "ERR 2 malformed line"


def test_a_line_per_pitch_with_the_belt_s_own_counter():
    bench = Bench(start=U32 - 300)
    bench.do("START 9")
    seen = [fields(message) for message in bench.run(1.0)]
    assert len(seen) == pytest.approx(250, abs=8)
    assert [line["line"] for line in seen] == list(range(len(seen)))
    assert {line["acquisition"] for line in seen} == {9}
    assert seen[0]["encoder"] == (U32 - 300 + 8) % U32
    steps = np.diff([line["encoder"] for line in seen]) % U32
    assert set(steps.tolist()) == {8}
    assert np.all(np.diff([line["time"] for line in seen]) > 0)
    assert seen[-1]["time"] - seen[0]["time"] == pytest.approx(4000 * (len(seen) - 1), abs=500)
    assert int(bench.do("STOP").split()[1]) == 250


def test_a_standing_or_reversing_belt_makes_no_lines_but_a_timer_does():
    bench = Bench()
    bench.do("START 1")
    assert bench.run(0.5, speed_mm_s=0) == []
    assert bench.run(0.5, speed_mm_s=-100) == []
    bench.do("STOP")
    bench.do("TRIG TIMER")
    bench.do("START 2")
    assert len(bench.run(0.5, speed_mm_s=0)) == pytest.approx(125, abs=12)


def test_dark_and_air_levels():
    bench = Bench()
    bench.do("START 1")
    dark = counts(bench.run(0.5))
    assert dark.mean() == pytest.approx(1000, abs=10)
    assert not any(fields(message)["flags"] for message in bench.messages)
    bench.world.beam(150.0)
    air = counts(bench.run(0.5)[16:])
    assert 0.6 * 65535 < np.median(air[:, 0]) < 0.8 * 65535
    assert 0.6 * 65535 < np.median(air[:, 1]) < 0.8 * 65535
    assert fields(bench.messages[-1])["flags"] == 1
    noise = air[:, 0].std(axis=0) / (air[:, 0].mean(axis=0) - 1000)
    assert 0.003 < np.median(noise) < 0.01


def test_signal_follows_exposure_current_and_kv():
    levels = {}
    cases = (("base", 3000, 150, 1.0), ("short", 1500, 150, 1.0), ("weak", 3000, 150, 0.5), ("soft", 3000, 120, 1.0))
    for name, exposure, kv, ma in cases:
        bench = Bench()
        bench.do(f"EXP {exposure}")
        bench.do("START 1")
        bench.world.beam(kv, ma)
        levels[name] = np.median(counts(bench.run(0.3))) - 1000
    assert levels["short"] / levels["base"] == pytest.approx(0.5, abs=0.02)
    assert levels["weak"] / levels["base"] == pytest.approx(0.5, abs=0.02)
    assert 0.25 < levels["soft"] / levels["base"] < 0.7


def scan_test_piece(pixels: int = 512) -> tuple[Bench, np.ndarray]:
    """Corrected transmission (2, lines, pixels) of the test piece with 20 mm of air before and behind, HE registered."""
    bench = Bench(pixels=pixels)
    bench.do("START 1")
    dark = counts(bench.run(0.5)).mean(axis=0)
    bench.world.beam()
    air = counts(bench.run(0.5)[20:]).mean(axis=0)
    bench.world.placed.append([draw_test_piece(serial=1, number=1), -20.0])
    raw = counts(bench.run(1.8))
    corrected = (raw - dark) / np.maximum(air - dark, 1)
    identity = dict(pair.split("=") for pair in bench.do("IDN?").split()[1:])
    shift = int(identity["he_offset_um"]) // int(identity["line_pitch_um"])
    lines = corrected.shape[0] - shift
    return bench, np.stack((corrected[:lines, 0], corrected[shift:, 1]))


def test_a_scan_gives_back_the_piece():
    bench, seen = scan_test_piece()
    expected = draw_test_piece(serial=1, number=1).body.transmission(tube_kv=160.0, line_mm=0.8, pixel_mm=0.8)
    good = np.setdiff1d(np.arange(512), bench.detector.diodes.bad_pixels)
    covered = np.flatnonzero(np.median(seen[0], axis=0) < 0.97)
    left = covered[np.isin(covered, good)].min()
    first = int(np.flatnonzero(np.median(seen[0][:, left : left + 250], axis=1) < 0.97)[0])
    errors = {}
    for energy in (0, 1):
        part = seen[energy, first : first + expected.shape[1], left : left + expected.shape[2]]
        wanted = expected[energy, : part.shape[0]]
        columns = [column for column in range(wanted.shape[1]) if left + column in good]
        errors[energy] = float(np.median(np.abs(part[:, columns] - wanted[:, columns])))
    assert errors[0] < 0.012
    assert errors[1] < 0.012


def test_both_energies_show_the_same_place_once_registered():
    _, seen = scan_test_piece()
    profile = -np.log(np.clip(np.median(seen[:, :, 230:280], axis=2), 1e-3, None))
    edges = [int(np.flatnonzero(row > 0.02)[0]) for row in profile]
    assert abs(edges[0] - edges[1]) <= 1


def test_a_small_detector_covers_the_same_belt():
    bench, seen = scan_test_piece(pixels=128)
    identity = bench.do("IDN?")
    assert "pixel_pitch_um=3200" in identity
    assert "line_pitch_um=3200" in identity
    covered = np.flatnonzero(np.median(seen[0], axis=0) < 0.97)
    assert covered.max() - covered.min() == pytest.approx(200 / 3.2, abs=3)


def test_lines_nobody_takes_are_counted():
    bench = Bench()
    bench.do("START 1")
    bench.run(0.2)
    bench.detector.sink_ready = False
    assert bench.run(0.2) == []
    bench.detector.sink_ready = True
    line = fields(bench.run(0.2)[0])
    assert line["lost"] == pytest.approx(50, abs=8)
    assert line["line"] == len([1 for message in bench.messages if fields(message)["line"] < line["line"]]) + line["lost"]


@pytest.mark.parametrize("name", ["truncated", "bit_flip"])
def test_damaged_lines_do_not_pass_the_check(name: str):
    bench = Bench(pixels=128)
    bench.do("START 1")
    bench.detector.inject(name, count=2)
    messages = bench.run(0.5)
    bad = [
        index
        for index, message in enumerate(messages)
        if len(message) < 40 or zlib.crc32(message[:36] + message[40:]) != int.from_bytes(message[36:40], "big")
    ]
    assert bad == [0, 1]


def test_damage_behind_a_valid_check():
    bench = Bench(pixels=128)
    bench.do("START 1")
    bench.detector.inject("wrong_count")
    assert [fields(message)["pixels"] for message in bench.run(0.2)][:2] == [127, 128]
    bench.detector.inject("encoder_jump", units=777)
    encoders = [fields(message)["encoder"] for message in bench.run(0.2)]
    assert encoders[0] - encoders[1] == 777 - 32


def test_lines_lost_inside_are_counted_or_not():
    bench = Bench(pixels=128)
    bench.do("START 1")
    bench.detector.inject("lost_lines", count=3)
    first = fields(bench.run(0.3)[0])
    assert (first["line"], first["lost"]) == (3, 3)
    last = fields(bench.messages[-1])["line"]
    bench.detector.inject("silent_gap", count=2)
    after = [fields(message) for message in bench.run(0.3) if message]
    assert (after[0]["line"], after[0]["lost"]) == (last + 3, 0)


def test_lasting_faults_end_when_cleared():
    bench = Bench(pixels=128)
    bench.world.beam()
    bench.do("START 1")
    bench.detector.inject("saturated")
    assert any(fields(message)["flags"] & 2 for message in bench.run(0.2))
    bench.detector.clear("saturated")
    bench.run(0.1)
    assert not any(fields(message)["flags"] & 2 for message in bench.run(0.2))
    bench.detector.inject("stuck")
    assert len({message[40:] for message in bench.run(0.3)}) == 1
    bench.detector.clear("stuck")
    bench.detector.inject("mute_lines")
    assert bench.run(0.3) == []
    bench.detector.clear("mute_lines")
    assert bench.run(0.3) != []
    bench.detector.inject("mute_commands")
    assert bench.detector.command("PIX?") is None
    bench.detector.clear("mute_commands")
    assert bench.do("PIX?") == "OK 128"
    with pytest.raises(KeyError):
        bench.detector.inject("gremlins")


def test_a_restart_forgets_everything_but_the_count():
    bench = Bench(pixels=128)
    bench.do("EXP 2000")
    bench.do("START 1")
    bench.run(0.3)
    bench.detector.inject("reboot")
    assert not bench.detector.online
    assert bench.run(1.0) == []
    bench.run(1.5)
    assert bench.detector.online
    assert bench.do("EXP?") == "OK 3000"
    assert bench.do("STOP") == "OK 0"
    assert "boot=2" in bench.do("IDN?")
    bench.do("START 5")
    assert fields(bench.run(0.3)[0])["boot"] == 2


def test_reseal_makes_damage_invisible_to_the_check():
    bench = Bench(pixels=128)
    bench.do("START 1")
    message = bytearray(bench.run(0.3)[0])
    message[60] ^= 4
    assert fields(reseal_line(bytes(message)))["line"] == 0
