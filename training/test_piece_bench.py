"""The test piece on a simulated detector's bench, at the tube voltage of a lane, with any fault of the detector, the beam or the belt.

`FAULTS` names what may go wrong with a scanner, each with the sizes that are measured (`python -m benchmarks.test_piece`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firmware_sims.line_detector import LineDetector
from firmware_sims.mail import Piece
from firmware_sims.test_piece import draw_test_piece
from station.ports.screening import RawScan
from training.bench import Bench

LANE_KV = 140.0


class TestPieceBench(Bench):
    """One detector, calibrated at `kv`; what is made worse afterwards is not in its calibration until `calibrate`."""

    __test__ = False  # nothing for pytest, whatever its name

    def __init__(self, seed: int, *, pixels: int = 128, kv: float = LANE_KV) -> None:
        super().__init__(seed, pixels=pixels)
        self.beam(kv=kv)
        self.calibrate()

    @property
    def detector(self) -> LineDetector:
        """The detector itself, for its faults."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong, in `sizes` from small to large; `calibrated`: dark and air are taken anew with it."""

    name: str
    sizes: tuple[float, ...]
    make: Callable[[TestPieceBench, float], object]
    calibrated: bool = False

    def spoil(self, bench: TestPieceBench, size: float) -> None:
        """Make it happen."""
        self.make(bench, size)
        if self.calibrated:
            bench.calibrate()


def _injected(name: str, argument: str) -> Callable[[TestPieceBench, float], object]:
    return lambda bench, size: bench.detector.inject(name, **{argument: size})


FAULTS = (
    Fault(name="kV low, %", sizes=(1, 2, 3, 5), make=lambda bench, size: bench.beam(kv=LANE_KV * (1 - size / 100))),
    Fault(name="kV high, %", sizes=(1, 2, 3, 5), make=lambda bench, size: bench.beam(kv=LANE_KV * (1 + size / 100))),
    Fault(
        name="kV low and calibrated so, %",
        sizes=(5, 10, 15, 20),
        make=lambda bench, size: bench.beam(kv=LANE_KV * (1 - size / 100)),
        calibrated=True,
    ),
    Fault(name="mA low, %", sizes=(1, 2, 3, 5), make=lambda bench, size: bench.beam(ma=1 - size / 100)),
    Fault(
        name="mA low and calibrated so, %", sizes=(20, 40, 50, 60), make=lambda bench, size: bench.beam(ma=1 - size / 100), calibrated=True
    ),
    Fault(name="gain low, %", sizes=(1, 2, 3, 5), make=lambda bench, size: bench.detector.inject("gain_drift", factor=1 - size / 100)),
    Fault(name="noise, counts", sizes=(50, 100, 200, 300), make=_injected("noisy", "counts")),
    Fault(name="noise and calibrated so, counts", sizes=(50, 100, 200, 300), make=_injected("noisy", "counts"), calibrated=True),
    Fault(name="blur, share", sizes=(0.1, 0.2, 0.4, 0.6), make=_injected("blurred", "share")),
    Fault(name="blur and calibrated so, share", sizes=(0.1, 0.2, 0.4, 0.6), make=_injected("blurred", "share"), calibrated=True),
    Fault(name="energies apart, mm", sizes=(0.25, 0.5, 1, 2), make=_injected("misregistered", "mm")),
    Fault(name="pixels die", sizes=(1, 2, 4), make=_injected("dead_pixels", "count")),
    Fault(name="more dead pixels and calibrated so", sizes=(1, 2, 4, 8), make=_injected("dead_pixels", "count"), calibrated=True),
    Fault(
        name="dirt on the window, % of light", sizes=(1, 2, 3, 5), make=lambda bench, size: bench.detector.inject("dirty", share=size / 100)
    ),
    Fault(name="belt slips, %", sizes=(0.5, 1, 2, 3), make=lambda bench, size: bench.slip(1 - size / 100)),
    Fault(
        name="belt slips over 60 mm, %",
        sizes=(3, 5, 10, 20),
        make=lambda bench, size: bench.slip(1 - size / 100, from_mm=100.0, to_mm=160.0),
    ),
    Fault(name="too warm, °C", sizes=(5, 10, 20, 30), make=_injected("hot", "celsius")),
)
