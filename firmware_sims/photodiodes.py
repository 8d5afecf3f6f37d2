"""The detector's two rows of photodiodes: which pieces lie over them, and what they read.

The HE row lies a few millimetres downstream of the LE row, so that it sees each place of a piece a little later.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from firmware_sims.mail import Piece
from firmware_sims.xray_physics import air_signal

FloatArray = npt.NDArray[np.float32]

COVERED_MM = 409.6
HE_OFFSET_MM = 4.0
DEFAULT_EXPOSURE_US = 3000
FULL_SCALE = 65535
DARK_COUNTS = 1000.0
AIR_SHARE = 0.70
AIR_KV = 150.0
# Absorbed quanta per pixel and line through air, and electronic noise: they set how grainy a line is.
AIR_QUANTA = (40000.0, 28000.0)
ELECTRONIC_NOISE_COUNTS = 6.0
_COUNTS_PER_QUANTUM = (np.float32(AIR_SHARE * FULL_SCALE - DARK_COUNTS) / np.asarray(AIR_QUANTA, dtype=np.float32)).reshape(2, 1, 1)
BEAM_MARGIN_MM = 15.0
NOISE_RING = 1 << 19
MAPS_KEPT = 12
# The shape of the spectrum is taken from the nearest of these, the signal's size from the real kV.
MAP_KVS = (80.0, 100.0, 110.0, 120.0, 130.0, 140.0, 150.0, 160.0)
LAY_SPREAD_MM = 4.0
_ENERGIES = np.array(((0,), (1,)))
"""LE and HE, to be taken with one row each of a number of lines."""


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


def encoder_difference(later: npt.NDArray[np.int64] | int, earlier: int) -> npt.NDArray[np.int64] | int:
    """Signed distance of wrapping u32 counters."""
    return (later - earlier + (1 << 31)) % (1 << 32) - (1 << 31)


@lru_cache(maxsize=256)
def map_kv(kv: float) -> float:
    """The tube voltage for which a piece's transmission is computed."""
    return min(MAP_KVS, key=lambda one: abs(one - kv))


class Photodiodes:
    """Two rows of `pixels` photodiodes under the belt; through air at 150 kV, 1 mA they read 70 % of full scale."""

    def __init__(self, *, world: SeenWorld, rng: np.random.Generator, pixels: int) -> None:
        self._world = world
        self._rng = rng
        self.pixels = pixels
        self.pixel_mm = COVERED_MM / pixels
        self.line_units = round(self.pixel_mm * 10)
        self.line_mm = self.line_units / 10
        self.he_offset_mm = max(1, round(HE_OFFSET_MM / self.line_mm)) * self.line_mm
        self.he_off_mm = 0.0
        """How far the HE row lies from where `he_offset_mm` says."""
        across = np.linspace(-1.0, 1.0, pixels, dtype=np.float32)
        fan = 1.0 - np.float32(0.06) * across * across
        gain = fan * (1.0 + np.float32(0.02) * rng.standard_normal((2, pixels), dtype=np.float32))
        self._dark = np.float32(DARK_COUNTS) + 25.0 * rng.standard_normal((2, pixels), dtype=np.float32)
        count = max(1, pixels // 256)
        self.bad_pixels = tuple(sorted(int(index) for index in rng.choice(np.arange(4, pixels - 4), count, replace=False)))
        for index in self.bad_pixels:
            gain[:, index] = 0.02
        self._gain = gain.astype(np.float32)
        self._noise = rng.standard_normal(NOISE_RING, dtype=np.float32)
        self._cursor = 0
        self._maps: OrderedDict[tuple[int, float], FloatArray] = OrderedDict()
        self._passages: dict[int, _Passage] = {}

    def watch(self, encoder: int, now_s: float) -> None:
        """Follow the pieces a little beyond the beam line, since the HE row lies downstream of it."""
        for piece, offset_mm in self._world.pieces_at_beam():
            known = self._passages.get(piece.serial)
            if known is None:
                known = self._passages[piece.serial] = _Passage(
                    piece=piece,
                    lateral_pixel=self._lay(piece),
                    offset_mm=offset_mm,
                    encoder=encoder,
                    seen_s=now_s,
                )
            known.piece, known.offset_mm, known.encoder = piece, offset_mm, encoder
            known.seen_s = now_s
        if not self._passages:
            return
        for serial, passage in list(self._passages.items()):
            if passage.seen_s == now_s:
                continue
            leaving = passage.offset_mm > passage.piece.length_mm - BEAM_MARGIN_MM
            if not leaving or self._offset_now(passage, encoder) > passage.piece.length_mm + BEAM_MARGIN_MM:
                del self._passages[serial]

    @staticmethod
    def _offset_now(passage: _Passage, encoder: int) -> float:
        return passage.offset_mm + float(encoder_difference(encoder, passage.encoder)) * 0.1

    def _lay(self, piece: Piece) -> int:
        """First pixel under the piece: about the middle, as a hand lays it, never over the rim if it fits."""
        width = int(np.ceil(piece.width_mm / self.pixel_mm))
        middle = (self.pixels - width) / 2
        jitter = float(self._rng.normal()) * LAY_SPREAD_MM / self.pixel_mm
        return int(min(max(round(middle + jitter), 0), max(self.pixels - width, 0)))

    def counts(
        self, encoders: Sequence[int], *, exposure_us: int, now_s: float, distort: Callable[[FloatArray], FloatArray]
    ) -> npt.NDArray[np.uint16]:
        """Counts (2, lines, pixels) of lines at `encoders`; `distort` is what ails the sensor."""
        size = 2 * len(encoders) * self.pixels
        start = self._cursor
        if start + size > self._noise.size:
            start = int(self._rng.integers(0, 4096))
        self._cursor = start + size
        noise = self._noise[start : start + size].reshape(2, len(encoders), self.pixels)
        signal = self._signal(np.asarray(encoders, dtype=np.int64), exposure_us / DEFAULT_EXPOSURE_US, now_s)
        if signal is None:
            counts = noise * np.float32(ELECTRONIC_NOISE_COUNTS)
        else:
            spread = signal * _COUNTS_PER_QUANTUM
            spread += np.float32(ELECTRONIC_NOISE_COUNTS**2)
            np.sqrt(spread, out=spread)
            spread *= noise
            counts = spread
            counts += signal
        counts += self._dark[:, None, :]
        counts = distort(counts)
        np.maximum(counts, 0, out=counts)
        np.minimum(counts, FULL_SCALE, out=counts)
        return counts.astype(np.uint16)

    def _signal(self, encoders: npt.NDArray[np.int64], exposure: float, now_s: float) -> FloatArray | None:
        """Noise-free signal (2, lines, pixels) above dark; None without beam."""
        kv, ma = self._world.beam_kv, self._world.beam_ma
        if not self._world.beam_on or kv <= 0 or ma <= 0:
            return None
        drift = 1.0 + 0.004 * float(np.sin(now_s / 2400.0))
        low, high = air_signal(kv)
        low_at_nominal, high_at_nominal = air_signal(AIR_KV)
        scale = np.array([[[low / low_at_nominal]], [[high / high_at_nominal]]], dtype=np.float32)
        scale = scale * np.float32((AIR_SHARE * FULL_SCALE - DARK_COUNTS) * ma * exposure * drift)
        base = self._gain[:, None, :] * scale
        signal = np.repeat(base, encoders.size, axis=1)
        for passage in self._passages.values():
            low_offsets = passage.offset_mm + np.asarray(encoder_difference(encoders, passage.encoder)) * 0.1
            if low_offsets[-1] < 0 or low_offsets[0] - self.he_offset_mm - self.he_off_mm > passage.piece.length_mm:
                continue
            image = self._map(passage.piece, kv)
            first = passage.lateral_pixel
            covered = min(image.shape[2], self.pixels - first)
            offsets = low_offsets - np.array(((0.0,), (self.he_offset_mm + self.he_off_mm,)))
            place = np.clip(offsets / self.line_mm + 0.5, 0.0, image.shape[1] - 1.001)
            row = place.astype(np.int64)
            share = (place - row).astype(np.float32)[:, :, None]
            rows = image[_ENERGIES, row, :covered] * (1.0 - share) + image[_ENERGIES, row + 1, :covered] * share
            signal[:, :, first : first + covered] *= rows
        return signal

    def _map(self, piece: Piece, kv: float) -> FloatArray:
        """The piece's transmission with one row of air at each end, (2, lines + 2, pixels)."""
        key = (piece.serial, map_kv(kv))
        if key not in self._maps:
            self.keep(piece, kv, self.prepare(piece, kv))
        self._maps.move_to_end(key)
        return self._maps[key]

    def prepare(self, piece: Piece, kv: float) -> FloatArray:
        """What `_map` will need of a piece. Changes nothing, so that another thread may do it beforehand."""
        image = piece.body.transmission(tube_kv=map_kv(kv), line_mm=self.line_mm, pixel_mm=self.pixel_mm)
        return np.pad(image, ((0, 0), (1, 1), (0, 0)), constant_values=1.0)

    def keep(self, piece: Piece, kv: float, image: FloatArray) -> None:
        """Keep what was prepared; the least used goes."""
        self._maps[piece.serial, map_kv(kv)] = image
        while len(self._maps) > MAPS_KEPT:
            self._maps.popitem(last=False)

    def is_kept(self, piece: Piece, kv: float) -> bool:
        """True when the piece needs no preparing."""
        return (piece.serial, map_kv(kv)) in self._maps
