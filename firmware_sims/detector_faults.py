"""What can go wrong in a line detector, apart from its physics."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firmware_sims.lsp1 import LineHeader, encode_line

FloatArray = npt.NDArray[np.float32]

COUNTED = ("truncated", "bit_flip", "lost_lines", "silent_gap", "wrong_count", "encoder_jump")
LASTING = ("stuck", "mute_lines", "mute_commands", "saturated", "gain_drift", "dead_energy", "hot")


class LineFaults:
    """Counted faults hit the next `count` lines; lasting ones stay until cleared.

    truncated: the message is cut short. bit_flip: one payload bit, CRC not recomputed. lost_lines: not sent, and counted in the
    next header. silent_gap: not sent, not counted. wrong_count: the header's pixel count is one too low, CRC valid.
    encoder_jump: the header's encoder is `units` (0.1 mm) off, CRC valid. stuck: every line repeats the first one's payload.
    mute_lines, mute_commands: nothing comes. saturated: gain × 2. gain_drift: gain × `factor`. dead_energy: the HE row
    reads 0. hot: `celsius` warmer, with a higher dark level.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: dict[str, int] = {}
        self._lasting: dict[str, float] = {}
        self._units = 0
        self._stuck_payload: bytes | None = None

    @property
    def active(self) -> bool:
        """True when a line must go through `encode`."""
        return bool(self._left) or "stuck" in self._lasting

    @property
    def lines_muted(self) -> bool:
        """True while no lines come."""
        return "mute_lines" in self._lasting

    @property
    def commands_muted(self) -> bool:
        """True while no command is answered."""
        return "mute_commands" in self._lasting

    @property
    def extra_temperature_c(self) -> float:
        """How much too hot the detector is."""
        return self._lasting.get("hot", 0.0)

    def inject(self, name: str, **args: float) -> None:
        """Arm a fault whose name is in COUNTED or LASTING."""
        if name in COUNTED:
            self._left[name] = self._left.get(name, 0) + int(args.get("count", 1))
            self._units = int(args.get("units", 5000))
        else:
            defaults = {"gain_drift": args.get("factor", 0.85), "hot": args.get("celsius", 25.0)}
            self._lasting[name] = defaults.get(name, 1.0)
            self._stuck_payload = None

    def clear(self, name: str) -> None:
        """Take a fault back."""
        self._left.pop(name, None)
        self._lasting.pop(name, None)

    def loses_line(self) -> bool:
        """True when this line is made but not sent."""
        return self._use("lost_lines")

    def distort(self, counts: FloatArray) -> FloatArray:
        """Counts (2, lines, pixels) as a sick sensor reads them."""
        if "saturated" in self._lasting:
            counts = counts * np.float32(2.0)
        if "gain_drift" in self._lasting:
            counts = counts * np.float32(self._lasting["gain_drift"])
        if "dead_energy" in self._lasting:
            counts[1] = 0.0
        if "hot" in self._lasting:
            counts = counts + np.float32(12.0 * self._lasting["hot"])
        return counts

    def encode(self, header: LineHeader, payload: bytes) -> bytes:
        """The message as it leaves a faulty detector; empty when it leaves not at all."""
        if "stuck" in self._lasting:
            self._stuck_payload = self._stuck_payload or payload
            payload = self._stuck_payload
        if self._use("silent_gap"):
            return b""
        if self._use("wrong_count"):
            header = replace(header, pixels=header.pixels - 1)
        if self._use("encoder_jump"):
            header = replace(header, encoder=(header.encoder + self._units) & 0xFFFFFFFF)
        message = encode_line(header, payload)
        spoilers: dict[str, Callable[[bytes], bytes]] = {"bit_flip": self._flip, "truncated": self._cut}
        for name, spoil in spoilers.items():
            if self._use(name):
                message = spoil(message)
        return message

    def _flip(self, message: bytes) -> bytes:
        spoiled = bytearray(message)
        bit = int(self._rng.integers(40 * 8, len(spoiled) * 8))
        spoiled[bit // 8] ^= 1 << (bit % 8)
        return bytes(spoiled)

    def _cut(self, message: bytes) -> bytes:
        return message[: int(self._rng.integers(1, len(message)))]

    def _use(self, name: str) -> bool:
        left = self._left.get(name, 0)
        if left <= 0:
            return False
        if left == 1:
            del self._left[name]
        else:
            self._left[name] = left - 1
        return True
