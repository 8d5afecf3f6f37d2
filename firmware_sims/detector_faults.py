"""What can go wrong in a line detector, apart from its physics."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from firmware_sims.lsp1 import LineHeader, encode_line

FloatArray = npt.NDArray[np.float32]

COUNTED = ("truncated", "bit_flip", "lost_lines", "silent_gap", "wrong_count", "encoder_jump")
LASTING = (
    "stuck",
    "mute_lines",
    "mute_commands",
    "saturated",
    "gain_drift",
    "dead_energy",
    "hot",
    "noisy",
    "blurred",
    "misregistered",
    "dead_pixels",
    "dirty",
)
DARK_COUNTS = 1000.0
_SIZES = {
    "gain_drift": ("factor", 0.85),
    "hot": ("celsius", 25.0),
    "noisy": ("counts", 600.0),
    "blurred": ("share", 0.5),
    "misregistered": ("mm", 2.0),
    "dead_pixels": ("count", 4.0),
    "dirty": ("share", 0.05),
}
"""The argument that says how bad a fault is, and what it is when nothing is said."""
DIRTY_PLACES = 3


def _arguments(name: str) -> set[str]:
    if name in COUNTED:
        return {"count", "units"} if name == "encoder_jump" else {"count"}
    return {_SIZES[name][0]} if name in _SIZES else set()


class LineFaults:
    """Counted faults hit the next `count` lines; lasting ones stay until cleared.

    truncated: the message is cut short. bit_flip: one payload bit, CRC not recomputed. lost_lines: not sent, and counted in the
    next header. silent_gap: not sent, not counted. wrong_count: the header's pixel count is one too low, CRC valid.
    encoder_jump: the header's encoder is `units` (0.1 mm) off, CRC valid. stuck: every line repeats the first one's payload.
    mute_lines, mute_commands: nothing comes. saturated: gain × 2. gain_drift: gain × `factor`. dead_energy: the HE row
    reads 0. hot: `celsius` warmer, with a higher dark level. noisy: noise of the electronics, `counts` of standard deviation more.
    blurred: a `share` of each pixel's light goes to its neighbours and, as afterglow, to the line after. misregistered: the HE row sees
    places `mm` further on than it should. dead_pixels: `count` columns read nothing. dirty: in three places something on the window
    takes a `share` of the light. `lasting` names those that are there now and stay until they are cleared.
    """

    def __init__(self, rng: np.random.Generator, *, pixels: int) -> None:
        self._rng = rng
        self._pixels = pixels
        self._columns: dict[str, npt.NDArray[np.int64]] = {}
        self._afterglow: FloatArray | None = None
        self._left: dict[str, int] = {}
        self._lasting: dict[str, float] = {}
        self.lasting: frozenset[str] = frozenset()
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
        if unknown := args.keys() - _arguments(name):
            raise TypeError(f"{name} has no {', '.join(sorted(unknown))}")
        if name in COUNTED:
            self._left[name] = self._left.get(name, 0) + int(args.get("count", 1))
            self._units = int(args.get("units", 5000))
        else:
            size, usual = _SIZES.get(name, ("", 1.0))
            self._lasting[name] = float(args.get(size, usual))
            self.lasting = frozenset(self._lasting)
            self._stuck_payload = None
            if name == "blurred":
                self._afterglow = None
            if name in {"dead_pixels", "dirty"}:
                places = round(self._lasting[name]) if name == "dead_pixels" else DIRTY_PLACES
                self._columns[name] = self._rng.choice(np.arange(4, self._pixels - 4), places, replace=False)

    def clear(self, name: str) -> None:
        """Take a fault back."""
        self._left.pop(name, None)
        self._lasting.pop(name, None)
        self.lasting = frozenset(self._lasting)

    @property
    def misregistered_mm(self) -> float:
        """How much further on than it should the HE row sees."""
        return self._lasting.get("misregistered", 0.0)

    def loses_line(self) -> bool:
        """True when this line is made but not sent."""
        return self._use("lost_lines")

    def distort(self, counts: FloatArray) -> FloatArray:
        """Counts (2, lines, pixels) as a sick sensor reads them."""
        if not self._lasting:
            return counts
        if "saturated" in self._lasting:
            counts = counts * np.float32(2.0)
        if "gain_drift" in self._lasting:
            counts = counts * np.float32(self._lasting["gain_drift"])
        if "dead_energy" in self._lasting:
            counts[1] = 0.0
        if "hot" in self._lasting:
            counts = counts + np.float32(12.0 * self._lasting["hot"])
        if "dirty" in self._lasting:
            columns = self._columns["dirty"]
            counts[:, :, columns] -= np.float32(self._lasting["dirty"]) * (counts[:, :, columns] - np.float32(DARK_COUNTS))
        if "blurred" in self._lasting:
            counts = self._blurred(counts, np.float32(self._lasting["blurred"]))
        if "noisy" in self._lasting:
            counts = counts + np.float32(self._lasting["noisy"]) * self._rng.standard_normal(counts.shape, dtype=np.float32)
        if "dead_pixels" in self._lasting:
            counts[:, :, self._columns["dead_pixels"]] = 0.0
        return counts

    def _blurred(self, counts: FloatArray, share: np.float32) -> FloatArray:
        """Light that goes to both neighbours, and to the next line; counts (2, lines, pixels)."""
        wide = np.pad(counts, ((0, 0), (0, 0), (1, 1)), mode="edge")
        mixed: FloatArray = (np.float32(1.0) - share) * counts + share * np.float32(0.5) * (wide[:, :, :-2] + wide[:, :, 2:])
        before = mixed[:, 0] if self._afterglow is None else self._afterglow
        for line in range(mixed.shape[1]):
            mixed[:, line] = before = (np.float32(1.0) - share) * mixed[:, line] + share * before
        self._afterglow = before.copy()
        return mixed

    def encode(self, header: LineHeader, payload: bytes) -> bytes:
        """The message as it leaves a faulty detector; empty when it leaves not at all."""
        if "stuck" in self._lasting:
            self._stuck_payload = self._stuck_payload or payload
            payload = self._stuck_payload
        if self._use("silent_gap"):
            return b""
        if self._use("wrong_count"):
            header = header._replace(pixels=header.pixels - 1)
        if self._use("encoder_jump"):
            header = header._replace(encoder=(header.encoder + self._units) & 0xFFFFFFFF)
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
