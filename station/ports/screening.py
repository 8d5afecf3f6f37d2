"""Reading a scan: the values that go to the screening process and come back."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from station.domain.projection import ProjectedThreat
from station.domain.scan import Finding, ImageMatch
from station.ports.xray import Counts, DetectorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RawScan:
    """Raw counts of one piece with its calibration, as they came from the detector.

    `le`, `he`: (lines, pixels) u16, not yet registered. `dark_*`, `air_*`: (pixels,) float32 means of dark and air lines.
    `lost_lines` counts lines that never came; `speed_error_share` is the worst relative belt-speed error while scanning;
    `beam_error_share` the worst relative kV/mA error; `calibration_age_s` is that of the older of dark and air.
    """

    le: Counts
    he: Counts
    dark_le: npt.NDArray[np.float32]
    dark_he: npt.NDArray[np.float32]
    air_le: npt.NDArray[np.float32]
    air_he: npt.NDArray[np.float32]
    info: DetectorInfo
    lost_lines: int
    saturated: bool
    speed_error_share: float
    beam_error_share: float
    calibration_age_s: float
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningResult:
    """What the screening process made of a scan.

    `threshold`, `p_value`, `calibration_n` belong to the scan's kind; where the kind has fewer than 500 calibration scores of its own,
    which `calibration_n` counts, the first two are those of all kinds together. `heat_map` is (h, w) u8 over the whole corrected image.
    `view_png` is the standard pseudo-colour view; `fingerprint` a small float32 array for comparing scans of one piece.
    `findings` are the automatic (model-free) ones; `model_findings` those that the model names.
    """

    model_sha256: str
    score: float
    threshold: float
    p_value: float
    calibration_n: int
    length_mm: float
    width_mm: float
    findings: tuple[Finding, ...]
    model_findings: tuple[Finding, ...]
    heat_map: npt.NDArray[np.uint8]
    view_png: bytes
    heat_png: bytes
    fingerprint: npt.NDArray[np.float32]
    duration_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPieceResult:
    """Scores of the daily test piece; `values` by test name with its limit: (measured, limit, passed).

    `not_asked` names what a detector with pixels of that size cannot show and is therefore not asked for.
    """

    __test__ = False

    passed: bool
    values: dict[str, tuple[float, float, bool]]
    not_asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What the loaded model is. `proved` per policy: signed, fitted on this site, n ≥ 500, detection bound ≥ 0.90.

    `calibration_sha256` is over the calibration scores that its thresholds stand on.
    """

    sha256: str
    name: str
    calibration_n: int
    freeze_score: float | None
    proved: bool
    why_not_proved: str
    calibration_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedReading:
    """A scan into which a threat was projected, as people see it: what was projected, and what screening made of that image.

    The counts of the image itself stay in the screening process; `threat` has their hash.
    """

    threat: ProjectedThreat
    result: ScreeningResult


class ScreeningEngine(Protocol):
    """Reads scans in a process of its own; a crash, a time-out or nonsense raises `ScreeningError` and the engine recovers."""

    async def start(self) -> ModelInfo:
        """Load and check the model; may be called again after a failure."""
        ...

    async def read(self, scan: RawScan) -> ScreeningResult:
        """Correct, register, measure, look for findings, and score one scan."""
        ...

    async def compare(
        self,
        cleared: ScreeningResult,
        new: ScreeningResult,
        *,
        cleared_sha256: str,
        new_sha256: str,
        bound: float,
    ) -> ImageMatch:
        """Compare a re-fed piece's new scan with the one that people cleared."""
        ...

    async def score_test_piece(self, scan: RawScan) -> TestPieceResult:
        """Score a scan of the test piece."""
        ...

    async def project(self, scan: RawScan, *, tube_kv: float, seed: int) -> ProjectedReading | None:
        """Draw a threat into a scan by `seed`, and read the image as any other; None when nothing fits into the piece."""
        ...

    async def close(self) -> None:
        """End the worker process."""
        ...
