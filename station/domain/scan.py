"""Facts about a piece's picture: the scan itself, what was found in it, what the model read."""

import math
from dataclasses import dataclass
from datetime import datetime

from station.domain.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something noticed in a scan without asking anybody.

    `box_px` is (x, y, width, height) in pixels of the corrected image (x along the detector, y along the belt); None when the
    finding is about the whole scan. `measured` and `limit` carry the figure and its bound, in the unit the reason implies.
    """

    reason: Reason
    box_px: tuple[int, int, int, int] | None = None
    measured: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The picture that was taken of a piece on one visit.

    `sha256` is over the stored raw bytes (LE then HE counts, before anything decodes them). Sizes are measured in the image.
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    sha256: str
    acquisition: int
    lines: int
    pixels: int
    length_mm: float
    width_mm: float
    kv: float
    ma: float
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReading:
    """What the model said of one scan.

    `score` is the piece's anomaly score; `threshold` the conformal one for `kind`; `p_value` the conformal p-value;
    `calibration_n` the number of benign pieces behind the threshold. `projected_sha256` is set when the image that was read had
    a threat projected into it: such a reading never decides anything.
    """

    piece_id: str
    visit: int
    at: datetime
    scan_sha256: str
    model_sha256: str
    score: float
    threshold: float
    p_value: float
    calibration_n: int
    kind: str
    duration_ms: float
    findings: tuple[Finding, ...] = ()
    projected_sha256: str | None = None

    @property
    def alarms(self) -> bool:
        """True unless the score is a number below a threshold that is a number."""
        return not (math.isfinite(self.score) and math.isfinite(self.threshold) and self.score < self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMatch:
    """Comparison of a re-fed piece's new scan with the one that people cleared.

    `distance` is the registered image distance, `bound` the greatest that still counts as the same piece;
    `new_findings` are findings that the cleared scan lacked.
    """

    cleared_scan_sha256: str
    new_scan_sha256: str
    distance: float
    bound: float
    new_findings: tuple[Finding, ...] = ()

    @property
    def holds(self) -> bool:
        """True when the new scan shows the same piece and nothing new."""
        return math.isfinite(self.distance) and self.distance <= self.bound and not self.new_findings
