"""The line detector: acquisitions, triggers and the commands of LSP/1 (docs/reference/lsp1.md).

What is seen stands in `photodiodes`, bytes in `lsp1`. Lines are made in small blocks, because a block costs hardly more than a
line.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firmware_sims.detector_faults import COUNTED, LASTING, LineFaults
from firmware_sims.lsp1 import FLAG_BEAM, FLAG_SATURATED, LineHeader, encode_line, payloads_of
from firmware_sims.photodiodes import AIR_SHARE, DARK_COUNTS, DEFAULT_EXPOSURE_US, FULL_SCALE, Photodiodes, SeenWorld

DEAD_TIME_US = 1000
EXPOSURE_RANGE_US = (500, 20000)
BLOCK_LINES = 8
BLOCK_S = 0.04
# A coarse detector makes few lines: it gathers them for longer, so that a block is still worth its cost.
COARSE_PIXELS = 256
COARSE_BLOCK_S = 0.1
RESTART_S = 2.0
BELT_B2 = 1


@dataclass(slots=True, kw_only=True)
class _Trigger:
    encoder: int
    time_us: int


class LineDetector:
    """The detector's state, stepped by `step`; commands come by `command`, lines wait in `outbox` and leave by `take_lines`."""

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
        self.diodes = Photodiodes(world=world, rng=rng, pixels=pixels)
        self.pixels = pixels
        self._block_s = COARSE_BLOCK_S if pixels <= COARSE_PIXELS else BLOCK_S
        self.boot = boot
        self._ills = LineFaults(rng, pixels=pixels)
        self.sink_ready = False
        self._uptime_s = 0.0
        self._offline_s = 0.0
        self.outbox: list[bytes] = []
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
            f"pixel_pitch_um={round(self.diodes.pixel_mm * 1000)} line_pitch_um={self.diodes.line_units * 100} "
            f"he_offset_um={round(self.diodes.he_offset_mm * 1000)} bits=16 energies=2 boot={self.boot}"
        )

    def _calibration(self) -> str:
        bad = ",".join(str(index) for index in self.diodes.bad_pixels)
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
        self._next_units, self._timer_s = float(self.diodes.line_units), 0.0
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
        self.diodes.watch(encoder, self._uptime_s)
        if self.acquisition is not None:
            self._collect(encoder, moved, dt_s)
            self._pending_s = self._pending_s + dt_s if self._pending else 0.0
            if len(self._pending) >= BLOCK_LINES or self._pending_s >= self._block_s:
                self._make_block()
        self._last_encoder = encoder

    @property
    def lasting_faults(self) -> frozenset[str]:
        """Names of the faults that stay until they are cleared."""
        return self._ills.lasting

    def take_lines(self) -> list[bytes]:
        """The encoded lines made since the last call, in order."""
        lines = self.outbox.copy()
        self.outbox.clear()
        return lines

    def inject(self, name: str, **args: float) -> None:
        """Make a fault happen; see `detector_faults` for the arguments.

        Raises:
            KeyError: an unknown fault.
            TypeError: an argument that this fault has not.
        """
        if name not in self.faults:
            raise KeyError(name)
        deeds: dict[str, Callable[..., object]] = {"reboot": self.reboot, "clock_jump": self._jump_clock}
        if name in deeds:
            deeds[name](**args)
        else:
            self._ills.inject(name, **args)
            self.diodes.he_off_mm = self._ills.misregistered_mm

    def clear(self, name: str) -> None:
        """End a fault; nothing happens when it is not there. KeyError for an unknown one."""
        if name not in self.faults:
            raise KeyError(name)
        self._ills.clear(name)
        self.diodes.he_off_mm = self._ills.misregistered_mm

    def _jump_clock(self, ms: float = 5000.0) -> None:
        self._uptime_s = max(0.0, self._uptime_s + ms / 1000.0)

    def reboot(self) -> None:
        """Lose power for two seconds: the acquisition ends, settings fall back, `boot` rises."""
        self.boot = (self.boot + 1) & 0xFFFF
        self._offline_s = RESTART_S
        self._uptime_s = 0.0
        self.outbox.clear()
        self._reset()

    def _collect(self, encoder: int, moved: int, dt_s: float) -> None:
        if self.trigger == "TIMER":
            now_us = round(self._uptime_s * 1e6)
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
            now_us = round(self._uptime_s * 1e6)
            behind = -self._next_units
            share = behind / moved if moved else 0.0
            self._pending.append(
                _Trigger(
                    encoder=int(encoder - behind) & 0xFFFFFFFF,
                    time_us=now_us - round(share * dt_s * 1e6),
                )
            )
            self._next_units += self.diodes.line_units

    # --- lines ------------------------------------------------------------------------------------------------

    def _make_block(self) -> None:
        triggers, self._pending = self._pending, []
        self._pending_s = 0.0
        if not triggers or self._ills.lines_muted:
            return
        beam_on = self._world.beam_on
        counts = self.diodes.counts(
            [trigger.encoder for trigger in triggers],
            exposure_us=self.exposure_us,
            now_s=self._uptime_s,
            distort=self._ills.distort,
        )
        saturated = (counts == FULL_SCALE).any(axis=(0, 2)).tolist()
        for trigger, is_saturated, payload in zip(triggers, saturated, payloads_of(counts), strict=True):
            number, self._line = self._line, self._line + 1
            if not self.sink_ready or self._ills.loses_line():
                self._lost = min(self._lost + 1, 0xFFFF)
                continue
            header = LineHeader(
                flags=(FLAG_BEAM if beam_on else 0) | (FLAG_SATURATED if is_saturated else 0),
                acquisition=self.acquisition or 0,
                line=number,
                encoder=trigger.encoder,
                time_us=trigger.time_us,
                pixels=self.pixels,
                lost_before=self._lost,
                boot=self.boot,
            )
            self._lost = 0
            self.outbox.append(self._ills.encode(header, payload) if self._ills.active else encode_line(header, payload))
