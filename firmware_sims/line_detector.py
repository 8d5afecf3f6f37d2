"""The line detector: what two rows of photodiodes read of the world, and the commands of LSP/1.

Physics and state are here; bytes are in `lsp1`. Lines are made in small blocks, because a block costs hardly
more than a line. Documented in docs/reference/lsp1.md.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from firmware_sims.detector_faults import COUNTED, LASTING, LineFaults
from firmware_sims.lsp1 import FLAG_BEAM, FLAG_SATURATED, LineHeader, encode_line, payload_of
from firmware_sims.mail import Piece
from firmware_sims.xray_physics import air_signal, nearest_table_kv

FloatArray = npt.NDArray[np.float32]

COVERED_MM = 409.6
HE_OFFSET_MM = 4.0
DEFAULT_EXPOSURE_US = 3000
DEAD_TIME_US = 1000
EXPOSURE_RANGE_US = (500, 20000)
FULL_SCALE = 65535
DARK_COUNTS = 1000.0
AIR_SHARE = 0.70
# Absorbed quanta per pixel and line through air, and electronic noise: they set how grainy a line is.
AIR_QUANTA = (40000.0, 28000.0)
ELECTRONIC_NOISE_COUNTS = 6.0
BLOCK_LINES = 8
BLOCK_S = 0.04
RESTART_S = 2.0
BEAM_MARGIN_MM = 15.0
VISIT_GAP_S = 1.0
BELT_B2 = 1


class SeenWorld(Protocol):
    """What the detector needs of the world; the beam as it is now."""

    beam_on: bool
    beam_kv: float
    beam_ma: float

    def encoder(self, belt: int) -> int:
        """Position of a belt in 0.1 mm, u32."""

    def pieces_at_beam(self) -> list[tuple[Piece, float]]:
        """The pieces over the beam line, each with the distance (mm) of the beam line from its leading edge."""


@dataclass(slots=True, kw_only=True)
class _Passage:
    """A piece on its way over the beam: where its pixels lie and where it was last."""

    piece: Piece
    lateral_pixel: int
    offset_mm: float
    encoder: int
    seen_s: float


@dataclass(slots=True, kw_only=True)
class _Trigger:
    encoder: int
    time_us: int


@dataclass(slots=True, kw_only=True)
class _Sensor:
    """Fixed properties of this detector's photodiodes."""

    gain: FloatArray
    dark: FloatArray
    bad_pixels: tuple[int, ...]
    noise: FloatArray
    cursor: int = 0
    maps: OrderedDict[tuple[int, int], FloatArray] = field(default_factory=OrderedDict)


class LineDetector:
    """The detector's state, stepped by `step`; commands come by `command`, lines leave by `take_lines`."""

    faults: tuple[str, ...] = ("reboot", "clock_jump", *COUNTED, *LASTING)

    def __init__(
        self,
        *,
        world: SeenWorld,
        rng: np.random.Generator,
        pixels: int = 512,
        boot: int = 1,
    ) -> None:
        self._world = world
        self._rng = rng
        self.pixels = pixels
        self.pixel_mm = COVERED_MM / pixels
        self.line_units = round(self.pixel_mm * 10)
        self.line_mm = self.line_units / 10
        self.he_offset_mm = max(1, round(HE_OFFSET_MM / self.line_mm)) * self.line_mm
        self.boot = boot
        self._ills = LineFaults(rng)
        self.sink_ready = False
        self._sensor = self._make_sensor()
        self._uptime_s = 0.0
        self._offline_s = 0.0
        self._passages: dict[int, _Passage] = {}
        self._lines: list[bytes] = []
        self._reset()

    def _reset(self) -> None:
        self.exposure_us = DEFAULT_EXPOSURE_US
        self.trigger = "ENCODER"
        self.acquisition: int | None = None
        self._line = 0
        self._lost = 0
        self._pending: list[_Trigger] = []
        self._pending_s = 0.0
        self._last_encoder = self._world.encoder(BELT_B2)
        self._next_units = 0.0
        self._timer_s = 0.0

    def _make_sensor(self) -> _Sensor:
        rng, pixels = self._rng, self.pixels
        across = np.linspace(-1.0, 1.0, pixels, dtype=np.float32)
        fan = 1.0 - np.float32(0.06) * across * across
        gain = fan * (1.0 + np.float32(0.02) * rng.standard_normal((2, pixels), dtype=np.float32))
        dark = np.float32(DARK_COUNTS) + 25.0 * rng.standard_normal((2, pixels), dtype=np.float32)
        count = max(1, pixels // 256)
        bad = tuple(sorted(int(index) for index in rng.choice(np.arange(4, pixels - 4), count, replace=False)))
        for index in bad:
            gain[:, index] = 0.02
        noise = rng.standard_normal(1 << 19, dtype=np.float32)
        return _Sensor(gain=gain, dark=dark, bad_pixels=bad, noise=noise)

    # --- commands ---------------------------------------------------------------------------------------------

    @property
    def online(self) -> bool:
        """False while the detector restarts: nothing is connected, nothing answers."""
        return self._offline_s <= 0

    @property
    def temperature_c(self) -> float:
        """Of the detector's housing: warms up over half an hour."""
        return 26.0 + 6.0 * (1.0 - float(np.exp(-self._uptime_s / 1800.0))) + self._ills.extra_temperature_c

    def command(self, text: str | None) -> str | None:
        """The answer to one command line (None = unusable line); None while answers are muted."""
        if self._ills.commands_muted:
            return None
        if text is None:
            return "ERR 2 malformed line"
        word, _, argument = text.partition(" ")
        answers: dict[str, Callable[[], str]] = {
            "IDN?": self._identity,
            "PIX?": lambda: f"OK {self.pixels}",
            "EXP?": lambda: f"OK {self.exposure_us}",
            "TRIG?": lambda: f"OK {self.trigger}",
            "TEMP?": lambda: f"OK {self.temperature_c:.1f}",
            "CAL?": self._calibration,
            "STOP": self._stop,
        }
        if word in answers:
            return answers[word]() if not argument else "ERR 2 no argument expected"
        settings: dict[str, Callable[[str], str]] = {
            "EXP": self._set_exposure,
            "TRIG": self._set_trigger,
            "START": self._start,
        }
        if word in settings:
            return settings[word](argument.strip())
        return "ERR 1 unknown command"

    def _identity(self) -> str:
        return (
            f"OK vendor=KT1SIM model=LD-DE serial=24110001 firmware=1.2.0 lsp=1 pixels={self.pixels} "
            f"pixel_pitch_um={round(self.pixel_mm * 1000)} line_pitch_um={self.line_units * 100} "
            f"he_offset_um={round(self.he_offset_mm * 1000)} bits=16 energies=2 boot={self.boot}"
        )

    def _calibration(self) -> str:
        bad = ",".join(str(index) for index in self._sensor.bad_pixels)
        return f"OK dark_counts={round(DARK_COUNTS)} air_counts={round(AIR_SHARE * FULL_SCALE)} full_scale={FULL_SCALE} bad_pixels={bad}"

    def _set_exposure(self, argument: str) -> str:
        if not argument.isdecimal():
            return "ERR 2 microseconds expected"
        if not EXPOSURE_RANGE_US[0] <= int(argument) <= EXPOSURE_RANGE_US[1]:
            return f"ERR 3 exposure must be {EXPOSURE_RANGE_US[0]}..{EXPOSURE_RANGE_US[1]} us"
        if self.acquisition is not None:
            return "ERR 4 acquisition running"
        self.exposure_us = int(argument)
        return f"OK {self.exposure_us}"

    def _set_trigger(self, argument: str) -> str:
        if argument not in {"TIMER", "ENCODER"}:
            return "ERR 2 TIMER or ENCODER expected"
        if self.acquisition is not None:
            return "ERR 4 acquisition running"
        self.trigger = argument
        return f"OK {argument}"

    def _start(self, argument: str) -> str:
        if not argument.isdecimal():
            return "ERR 2 acquisition number expected"
        if not 1 <= int(argument) <= 0xFFFFFFFF:
            return "ERR 3 acquisition must be 1..4294967295"
        if self.acquisition is not None:
            return "ERR 4 acquisition running"
        self.acquisition = int(argument)
        self._line, self._lost = 0, 0
        self._pending.clear()
        self._last_encoder = self._world.encoder(BELT_B2)
        self._next_units, self._timer_s = float(self.line_units), 0.0
        return f"OK {self.acquisition}"

    def _stop(self) -> str:
        if self.acquisition is None:
            return "OK 0"
        self._make_block()
        self.acquisition = None
        return f"OK {self._line}"

    # --- time -------------------------------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Advance by `dt_s` after the world has moved."""
        if self._offline_s > 0:
            self._offline_s -= dt_s
            return
        self._uptime_s += dt_s
        encoder = self._world.encoder(BELT_B2)
        moved = (encoder - self._last_encoder) & 0xFFFFFFFF
        if moved >= 1 << 31:
            moved = 0
        self._watch_pieces(encoder)
        if self.acquisition is not None:
            self._collect(encoder, moved, dt_s)
            self._pending_s = self._pending_s + dt_s if self._pending else 0.0
            if len(self._pending) >= BLOCK_LINES or self._pending_s >= BLOCK_S:
                self._make_block()
        self._last_encoder = encoder

    def take_lines(self) -> list[bytes]:
        """The encoded lines made since the last call, in order."""
        lines, self._lines = self._lines, []
        return lines

    def inject(self, name: str, **args: float) -> None:
        """Make a fault happen; see `detector_faults` for the arguments.

        Raises:
            KeyError: an unknown fault.
        """
        if name not in self.faults:
            raise KeyError(name)
        if name == "reboot":
            self.reboot()
        elif name == "clock_jump":
            self._uptime_s = max(0.0, self._uptime_s + args.get("seconds", 60.0))
        else:
            self._ills.inject(name, **args)

    def clear(self, name: str, **_: object) -> None:
        """End a fault; nothing happens when it is not there. KeyError for an unknown one."""
        if name not in self.faults:
            raise KeyError(name)
        self._ills.clear(name)

    def reboot(self) -> None:
        """Lose power for two seconds: the acquisition ends, settings fall back, `boot` rises."""
        self.boot = (self.boot + 1) & 0xFFFF
        self._offline_s = RESTART_S
        self._uptime_s = 0.0
        self._lines.clear()
        self._reset()

    def _watch_pieces(self, encoder: int) -> None:
        """Follow the pieces a little beyond the beam line, since the HE row lies downstream of it."""
        for piece, offset_mm in self._world.pieces_at_beam():
            known = self._passages.get(piece.serial)
            if known is None:
                known = self._passages[piece.serial] = _Passage(
                    piece=piece,
                    lateral_pixel=self._lay(piece),
                    offset_mm=offset_mm,
                    encoder=encoder,
                    seen_s=self._uptime_s,
                )
            known.piece, known.offset_mm, known.encoder = piece, offset_mm, encoder
            known.seen_s = self._uptime_s
        for serial, passage in list(self._passages.items()):
            if passage.seen_s == self._uptime_s:
                continue
            leaving = passage.offset_mm > passage.piece.length_mm - BEAM_MARGIN_MM
            if not leaving or self._offset_now(passage, encoder) > passage.piece.length_mm + BEAM_MARGIN_MM:
                del self._passages[serial]

    @staticmethod
    def _offset_now(passage: _Passage, encoder: int) -> float:
        units = (encoder - passage.encoder + (1 << 31)) % (1 << 32) - (1 << 31)
        return passage.offset_mm + units * 0.1

    def _lay(self, piece: Piece) -> int:
        """First pixel under the piece: about the middle, as a hand lays it, never over the rim if it fits."""
        width = int(np.ceil(piece.width_mm / self.pixel_mm))
        middle = (self.pixels - width) / 2
        jitter = float(self._rng.normal()) * 4.0 / self.pixel_mm
        return int(min(max(round(middle + jitter), 0), max(self.pixels - width, 0)))

    def _collect(self, encoder: int, moved: int, dt_s: float) -> None:
        now_us = round(self._uptime_s * 1e6)
        if self.trigger == "TIMER":
            period_s = (self.exposure_us + DEAD_TIME_US) * 1e-6
            self._timer_s += dt_s
            while self._timer_s >= period_s:
                self._timer_s -= period_s
                share = min(self._timer_s / dt_s, 1.0)
                self._pending.append(
                    _Trigger(
                        encoder=(encoder - round(moved * share)) & 0xFFFFFFFF,
                        time_us=now_us - round(self._timer_s * 1e6),
                    )
                )
            return
        self._next_units -= moved
        while self._next_units <= 0:
            behind = -self._next_units
            share = behind / moved if moved else 0.0
            self._pending.append(
                _Trigger(
                    encoder=int(encoder - behind) & 0xFFFFFFFF,
                    time_us=now_us - round(share * dt_s * 1e6),
                )
            )
            self._next_units += self.line_units

    # --- lines ------------------------------------------------------------------------------------------------

    def _make_block(self) -> None:
        triggers, self._pending = self._pending, []
        self._pending_s = 0.0
        if not triggers or self._ills.lines_muted:
            return
        beam_on = self._world.beam_on
        counts = self._counts(triggers)
        saturated = np.any(counts == FULL_SCALE, axis=(0, 2))
        for index, trigger in enumerate(triggers):
            number, self._line = self._line, self._line + 1
            if not self.sink_ready or self._ills.loses_line():
                self._lost = min(self._lost + 1, 0xFFFF)
                continue
            header = LineHeader(
                flags=(FLAG_BEAM if beam_on else 0) | (FLAG_SATURATED if saturated[index] else 0),
                acquisition=self.acquisition or 0,
                line=number,
                encoder=trigger.encoder,
                time_us=trigger.time_us,
                pixels=self.pixels,
                lost_before=self._lost,
                boot=self.boot,
            )
            self._lost = 0
            if self._ills.active:
                self._lines.append(self._ills.encode(header, payload_of(counts[:, index])))
            else:
                self._lines.append(encode_line(header, payload_of(counts[:, index])))

    def _counts(self, triggers: list[_Trigger]) -> npt.NDArray[np.uint16]:
        """Counts (2, lines, pixels) of a block."""
        sensor = self._sensor
        size = 2 * len(triggers) * self.pixels
        start = sensor.cursor
        if start + size > sensor.noise.size:
            start = int(self._rng.integers(0, 4096))
        sensor.cursor = start + size
        noise = sensor.noise[start : start + size].reshape(2, len(triggers), self.pixels)
        signal = self._signal(triggers)
        if signal is None:
            counts = noise * np.float32(ELECTRONIC_NOISE_COUNTS)
        else:
            air = np.float32(AIR_SHARE * FULL_SCALE - DARK_COUNTS)
            per_quantum = (air / np.asarray(AIR_QUANTA, dtype=np.float32)).reshape(2, 1, 1)
            spread = signal * per_quantum
            spread += np.float32(ELECTRONIC_NOISE_COUNTS**2)
            np.sqrt(spread, out=spread)
            spread *= noise
            counts = spread
            counts += signal
        counts += sensor.dark[:, None, :]
        counts = self._ills.distort(counts)
        np.clip(counts, 0, FULL_SCALE, out=counts)
        return counts.astype(np.uint16)

    def _signal(self, triggers: list[_Trigger]) -> FloatArray | None:
        """Noise-free signal (2, lines, pixels) above dark; None without beam."""
        kv, ma = self._world.beam_kv, self._world.beam_ma
        if not self._world.beam_on or kv <= 0 or ma <= 0:
            return None
        exposure = self.exposure_us / DEFAULT_EXPOSURE_US
        drift = 1.0 + 0.004 * float(np.sin(self._uptime_s / 2400.0))
        scale = np.asarray(air_signal(kv), dtype=np.float32).reshape(2, 1, 1)
        scale = scale * np.float32((AIR_SHARE * FULL_SCALE - DARK_COUNTS) * ma * exposure * drift)
        base = self._sensor.gain[:, None, :] * scale
        signal = np.repeat(base, len(triggers), axis=1)
        encoders = np.asarray([trigger.encoder for trigger in triggers], dtype=np.int64)
        for passage in self._passages.values():
            units = (encoders - passage.encoder + (1 << 31)) % (1 << 32) - (1 << 31)
            low_offsets = passage.offset_mm + units * 0.1
            if low_offsets[-1] < 0 or low_offsets[0] - self.he_offset_mm > passage.piece.length_mm:
                continue
            image = self._map(passage.piece, kv)
            first = passage.lateral_pixel
            covered = min(image.shape[2], self.pixels - first)
            for energy, shift in ((0, 0.0), (1, self.he_offset_mm)):
                place = np.clip((low_offsets - shift) / self.line_mm + 0.5, 0.0, image.shape[1] - 1.001)
                row = place.astype(np.int64)
                share = (place - row).astype(np.float32)[:, None]
                rows = image[energy, row, :covered] * (1.0 - share) + image[energy, row + 1, :covered] * share
                signal[energy, :, first : first + covered] *= rows
        return signal

    def _map(self, piece: Piece, kv: float) -> FloatArray:
        """The piece's transmission with one row of air at each end, (2, lines + 2, pixels)."""
        key = (piece.serial, nearest_table_kv(kv))
        maps = self._sensor.maps
        if key not in maps:
            image = piece.body.transmission(tube_kv=kv, line_mm=self.line_mm, pixel_mm=self.pixel_mm)
            maps[key] = np.pad(image, ((0, 0), (1, 1), (0, 0)), constant_values=1.0)
            while len(maps) > 6:
                maps.popitem(last=False)
        maps.move_to_end(key)
        return maps[key]
