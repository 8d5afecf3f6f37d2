"""The test piece on a simulated detector's bench, at the tube voltage of a lane, with any fault of the detector or the beam."""

import numpy as np

from firmware_sims.line_detector import LineDetector
from firmware_sims.mail import Piece
from firmware_sims.test_piece import draw_test_piece
from station.ports.screening import RawScan
from training.bench import Bench

LANE_KV = 140.0


class TestPieceBench(Bench):
    """One detector, calibrated at `kv`; what is made worse afterwards is not in its calibration until `calibrate`."""

    __test__ = False

    def __init__(self, seed: int, *, pixels: int = 128, kv: float = LANE_KV) -> None:
        super().__init__(seed, pixels=pixels)
        self.beam(kv=kv)
        self.calibrate()

    @property
    def detector(self) -> LineDetector:
        return self._detector

    def beam(self, *, kv: float | None = None, ma: float | None = None) -> None:
        """What the tube really gives from now on."""
        self._belt.beam_kv = kv if kv is not None else self._belt.beam_kv
        self._belt.beam_ma = ma if ma is not None else self._belt.beam_ma

    def slip(self, factor: float, *, from_mm: float = -1e9, to_mm: float = 1e9) -> None:
        """From now on, between two places of the piece, it moves `factor` times as far as the encoder says."""
        belt = self._belt

        def pieces_at_beam() -> list[tuple[Piece, float]]:
            if belt.piece is None:
                return []
            told_mm = (belt.units - belt.piece_at_units) * 0.1
            offset_mm = told_mm + (factor - 1.0) * (min(max(told_mm, from_mm), to_mm) - max(from_mm, 0.0))
            return [(belt.piece, offset_mm)] if 0 <= offset_mm <= belt.piece.length_mm else []

        belt.pieces_at_beam = pieces_at_beam

    def calibrate(self, lines: int = 24) -> None:
        """Dark and air anew, of about as many lines as the station takes."""
        self._belt.beam_on = False
        self._lines(8)
        self._dark = self._lines(lines).mean(axis=1).astype(np.float32)
        self._belt.beam_on = True
        self._lines(8)
        self._air = self._lines(lines).mean(axis=1).astype(np.float32)

    def scan_test_piece(self, *, turn_deg: float = 0.0, backwards: bool = False) -> RawScan:
        """One run of the test piece."""
        return self.scan(draw_test_piece(serial=1, number=1, turn_deg=turn_deg, backwards=backwards))
