"""A detector on a bench: pieces pass the simulated line detector one after the other, without belts, doors or wires.

Calibration and measurement go through it, so that thresholds stand on what the station will really get: the detector's own noise, dead
pixels, gain, lag and sub-line places, corrected by its own dark and air lines.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firmware_sims.line_detector import FULL_SCALE, LineDetector
from firmware_sims.lsp1 import HEADER_BYTES
from firmware_sims.mail import Piece
from station.ports.screening import RawScan
from station.ports.xray import DetectorInfo
from training.kinds import announced

MARGIN_MM = 24.0
STEP_UNITS = 64
BELT_SPEED_MM_S = 200.0


class _Belt:
    """The part of the world that the detector sees: a belt, a beam, at most one piece."""

    def __init__(self) -> None:
        self.beam_on = False
        self.beam_kv = 160.0
        self.beam_ma = 1.0
        self.units = 1000
        self.piece: Piece | None = None
        self.piece_at_units = 0.0

    def encoder(self, belt: int) -> int:
        """See `SeenWorld`."""
        del belt
        return self.units

    def pieces_at_beam(self) -> list[tuple[Piece, float]]:
        """See `SeenWorld`."""
        if self.piece is None:
            return []
        offset = (self.units - self.piece_at_units) * 0.1
        return [(self.piece, offset)] if 0 <= offset <= self.piece.length_mm else []


class Bench:
    """One detector with its calibration; `scan` takes a piece's picture. A seed repeats everything."""

    def __init__(self, seed: int, *, pixels: int = 512) -> None:
        self._rng = np.random.default_rng(seed)
        self._belt = _Belt()
        self._detector = LineDetector(world=self._belt, rng=self._rng, pixels=pixels)
        self._detector.sink_ready = True
        self._number = 0
        said = dict(word.split("=", 1) for word in (self._detector.command("IDN?") or "").split()[1:])
        self._info = DetectorInfo(
            model=said["model"],
            pixels=int(said["pixels"]),
            pixel_pitch_mm=int(said["pixel_pitch_um"]) / 1000,
            line_pitch_mm=int(said["line_pitch_um"]) / 1000,
            he_lag_lines=round(int(said["he_offset_um"]) / int(said["line_pitch_um"])),
            full_scale=FULL_SCALE,
        )
        self.leading_edge_mm = 0.0
        """Where the last piece's leading edge lies in its scan, from the outer rim of the first line."""
        self._dark = self._lines(64).mean(axis=1).astype(np.float32)
        self._belt.beam_on = True
        self._air = self._lines(64).mean(axis=1).astype(np.float32)

    def _lines(self, count: int) -> npt.NDArray[np.uint16]:
        """The next `count` lines of both energies, (2, lines, pixels)."""
        self._number += 1
        self._detector.command(f"START {self._number}")
        taken: list[bytes] = []
        while len(taken) < count:
            self._belt.units += STEP_UNITS
            self._detector.step(STEP_UNITS * 0.1 / BELT_SPEED_MM_S)
            taken += self._detector.take_lines()
        self._detector.command("STOP")
        self._detector.take_lines()
        payload = np.frombuffer(b"".join(line[HEADER_BYTES:] for line in taken[:count]), dtype="<u2")
        return payload.reshape(count, 2, -1).transpose(1, 0, 2).astype(np.uint16)

    def scan(self, piece: Piece) -> RawScan:
        """The raw scan of one piece, lying anywhere between two lines, with the kind that tracking would announce."""
        belt = self._belt
        # the detector keeps what it saw by serial number
        belt.piece = replace(piece, serial=self._number)
        belt.piece_at_units = belt.units + MARGIN_MM * 10 + float(self._rng.uniform(0, STEP_UNITS))
        line_mm = self._info.line_pitch_mm
        # the first line is triggered one pitch further on, and its middle lies half a line from its rim
        self.leading_edge_mm = (belt.piece_at_units - belt.units) * 0.1 - line_mm / 2
        length_mm = piece.length_mm + 2 * MARGIN_MM + self._info.he_lag_lines * line_mm + STEP_UNITS * 0.1
        counts = self._lines(int(length_mm / line_mm))
        belt.piece = None
        self._lines(4)
        return RawScan(
            le=counts[0],
            he=counts[1],
            dark_le=self._dark[0],
            dark_he=self._dark[1],
            air_le=self._air[0],
            air_he=self._air[1],
            info=self._info,
            lost_lines=0,
            saturated=False,
            speed_error_share=0.0,
            beam_error_share=0.0,
            calibration_age_s=0.0,
            kind=announced(piece.kind),
        )
