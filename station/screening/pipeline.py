"""The whole reading of one scan, from raw counts to verdict and views; the same in the worker process and in-process."""

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ScreeningError
from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import ModelInfo, RawScan, ScreeningResult, TestPieceResult
from station.screening import conformal, test_piece
from station.screening.correction import correct_scan
from station.screening.features import GridScan, model_input, to_grid
from station.screening.findings import find
from station.screening.fingerprint import distance, fingerprint
from station.screening.image import resample, resample_bytes
from station.screening.limits import DEFAULT_LIMITS, ScreeningLimits
from station.screening.manifest import UNKNOWN_KIND, Manifest
from station.screening.measure import PieceMeasure, measure
from station.screening.policy import ModelFacts, may_be_authority
from station.screening.spots import THREAT_CLASSES, find_spots
from station.screening.views import heat_png, pseudo_colour_png

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

HEAT_STRIDE = 4
CROP_MARGIN_CELLS = 16
MIN_SIDE_CELLS = 64
ROUNDING = 1e-5
"""The runtime's own sigmoid may end a few bits outside of 0…1."""


class Inference(Protocol):
    """A loaded model: channels (1, 4, rows, columns) float32 in; out heat, piece score and, if it names things, classes, as they are."""

    def __call__(self, channels: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        """Run the model; raises `ScreeningError` when the runtime fails."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the model made of one picture: `heat` (rows/4, columns/4) float32 in 0…1 and the piece's `score` in 0…1.

    `classes` (len(`names`), rows/4, columns/4) are logits of what lies there if something does; None where the model names nothing.
    """

    heat: FloatArray
    score: float
    classes: FloatArray | None = None
    names: tuple[Reason, ...] = ()


def _nonsense(what: str) -> ScreeningError:
    return ScreeningError(f"model: {what}", consequence="the piece is held", remedy="check the model with `station doctor`")


def _detection_at(manifest: Manifest, alpha: float) -> float | None:
    """The measured bound of detection; None unless it was measured with as few false alarms allowed, since fewer find less."""
    measured_at = manifest.metrics.get("alpha")
    return manifest.detection_lower_95 if isinstance(measured_at, float) and measured_at <= alpha else None


class Reader:
    """Reads scans with one model. Not thread-safe; one per worker."""

    def __init__(
        self,
        manifest: Manifest,
        infer: Inference,
        *,
        alpha: float,
        site: str = "",
        limits: ScreeningLimits = DEFAULT_LIMITS,
        pictures: bool = True,
    ) -> None:
        if not math.isclose(manifest.grid_mm, limits.grid_mm):
            raise _nonsense(f"it wants a grid of {manifest.grid_mm} mm, the station makes {limits.grid_mm} mm")
        self._manifest = manifest
        self._infer = infer
        self._limits = limits
        self._pictures = pictures
        # a site's own model with few pieces shows people where to look; `own_scores` and `info` say that it clears nothing
        least = MIN_CALIBRATION if manifest.fitted_site is None else 1
        self._alpha = alpha
        self._thresholds = {kind: conformal.threshold(manifest.scores_for(kind), alpha, least=least) for kind in manifest.kinds}
        self._scores = {kind: manifest.scores_for(kind) for kind in manifest.kinds}
        self._own_n = {kind: len(manifest.own_scores(kind)) for kind in manifest.kinds}
        self._site = site
        self._names = tuple(THREAT_CLASSES[name] for name in manifest.classes)

    def info(self) -> ModelInfo:
        """What the model is and what it lacks to be an authority."""
        known = self._manifest
        facts = ModelFacts(
            signed=known.signed,
            fitted_site=known.fitted_site,
            calibration_n=len(known.scores_for(UNKNOWN_KIND)),
            detection_lower_95=_detection_at(known, self._alpha),
        )
        judgement = may_be_authority(facts, site=self._site)
        return ModelInfo(
            sha256=known.model_sha256,
            name=known.name,
            calibration_n=facts.calibration_n,
            freeze_score=known.freeze_score,
            proved=judgement.allowed,
            why_not_proved="; ".join(judgement.objections),
            calibration_sha256=known.calibration_sha256,
        )

    def threshold_for(self, kind: str) -> float:
        """The score from which a piece of that kind alarms; an unknown kind is judged by all kinds together."""
        return self._thresholds.get(kind, self._thresholds[UNKNOWN_KIND])

    def score(self, le: FloatArray, he: FloatArray) -> Reading:
        """Read LE and HE transmission (rows, columns) on the standard grid; any size up to the limit.

        Raises:
            ScreeningError: too large, or the model answered nonsense.
        """
        rows, columns = le.shape
        channels = padded_channels(le, he, multiple=self._manifest.side_multiple, limits=self._limits)
        height, width = channels.shape[1:]
        answer = self._infer(channels[None])
        if len(answer) != 2 + bool(self._names):
            raise _nonsense(f"it gave {len(answer)} outputs, and the manifest names {len(self._names)} classes")
        return self._checked(
            answer, height // HEAT_STRIDE, width // HEAT_STRIDE, np.s_[: -(-rows // HEAT_STRIDE), : -(-columns // HEAT_STRIDE)]
        )

    def _checked(self, answer: tuple[npt.NDArray[np.generic], ...], height: int, width: int, kept: tuple[slice, slice]) -> Reading:
        wanted = ((1, 1, height, width), (1,), (1, len(self._names), height, width))
        for found, shape in zip(answer, wanted, strict=False):
            if found.shape != shape or found.dtype != np.float32:
                raise _nonsense(f"it answered shapes {', '.join(f'{one.shape} {one.dtype}' for one in answer)}, not {shape} float32")
            if not np.isfinite(found).all():
                raise _nonsense("it answered something that is no number")
        heat, score = answer[0].astype(np.float32), float(answer[1][0])
        if min(heat.min(), score) < -ROUNDING or max(heat.max(), score) > 1 + ROUNDING:
            raise _nonsense("it answered outside of 0…1")
        return Reading(
            heat=np.clip(heat[0, 0][kept], 0, 1),
            score=min(max(score, 0.0), 1.0),
            classes=answer[2].astype(np.float32)[0, :, kept[0], kept[1]] if self._names else None,
            names=self._names,
        )

    def read(self, scan: RawScan) -> ScreeningResult:
        """Correct, register, measure, look, score, draw.

        Raises:
            ScreeningError: the scan cannot be used or the model failed.
        """
        began = time.perf_counter()
        corrected = correct_scan(scan, limits=self._limits)
        grid = to_grid(corrected, limits=self._limits)
        piece = measure(grid, limits=self._limits)
        findings = find(scan, grid, piece, limits=self._limits)
        window = reading_window(grid, piece)
        reading = self.score(grid.le[window], grid.he[window])
        threshold = self.threshold_for(scan.kind)
        calibration = self._scores.get(scan.kind, self._scores[UNKNOWN_KIND])
        heat = _heat_on_image(reading.heat, window, corrected.le.shape, grid)
        return ScreeningResult(
            model_sha256=self._manifest.model_sha256,
            score=reading.score,
            threshold=threshold,
            p_value=conformal.p_value(calibration, reading.score),
            calibration_n=self._own_n.get(scan.kind, 0),
            length_mm=piece.length_mm,
            width_mm=piece.width_mm,
            findings=findings,
            model_findings=() if reading.score < threshold else _spots(reading, window, grid, threshold),
            heat_map=heat,
            view_png=pseudo_colour_png(grid) if self._pictures else b"",
            heat_png=_overlay(heat, grid) if self._pictures else b"",
            fingerprint=fingerprint(grid, piece),
            duration_ms=(time.perf_counter() - began) * 1000.0,
        )

    def compare(self, cleared: FloatArray, new: FloatArray) -> float:
        """Registered distance of two fingerprints; see `fingerprint.distance`."""
        return distance(cleared, new)

    def score_test_piece(self, scan: RawScan) -> TestPieceResult:
        """Score a scan of the test piece; needs no model.

        Raises:
            ScreeningError: the scan cannot be corrected.
        """
        return test_piece.score(scan, limits=self._limits)


def padded_channels(le: FloatArray, he: FloatArray, *, multiple: int, limits: ScreeningLimits = DEFAULT_LIMITS) -> FloatArray:
    """The model's input (4, height, width) for transmission (rows, columns): air is added until its sides are what the model takes.

    Raises:
        ScreeningError: it is too large.
    """
    rows, columns = le.shape
    height = max(MIN_SIDE_CELLS, -(-rows // multiple) * multiple)
    width = max(MIN_SIDE_CELLS, -(-columns // multiple) * multiple)
    if height * width > limits.max_grid_cells:
        raise _nonsense(f"a picture of {rows} × {columns} cells is larger than it may read")
    padding = ((0, height - rows), (0, width - columns))
    return model_input(np.pad(le, padding, constant_values=1.0), np.pad(he, padding, constant_values=1.0), limits=limits)


def reading_window(grid: GridScan, piece: PieceMeasure) -> tuple[slice, slice]:
    """The part of the grid that the model reads: the piece with a margin of air, the whole picture where nothing was found."""
    rows, columns = grid.le.shape
    if piece.box is None:
        return slice(0, rows), slice(0, columns)
    x, y, width, height = piece.box
    margin = CROP_MARGIN_CELLS
    return slice(max(0, y - margin), min(rows, y + height + margin)), slice(max(0, x - margin), min(columns, x + width + margin))


def _heat_on_image(heat: FloatArray, window: tuple[slice, slice], shape: tuple[int, ...], grid: GridScan) -> ByteArray:
    """The heat of the window as u8 over the whole corrected image."""
    whole = np.zeros(grid.le.shape, np.uint8)
    part = whole[window]
    large = resample(heat, height=heat.shape[0] * HEAT_STRIDE, width=heat.shape[1] * HEAT_STRIDE)
    part[...] = (large[: part.shape[0], : part.shape[1]] * 255 + 0.5).astype(np.uint8)
    return whole if whole.shape == shape else resample_bytes(whole, height=shape[0], width=shape[1])


def _overlay(heat: ByteArray, grid: GridScan) -> bytes:
    return heat_png(heat, height=-(-grid.le.shape[0] // 2), width=-(-grid.le.shape[1] // 2))


def _spots(reading: Reading, window: tuple[slice, slice], grid: GridScan, threshold: float) -> tuple[Finding, ...]:
    """The hottest places of a piece that alarms, as boxes in the corrected image."""
    top, left = window[0].start, window[1].start
    found = []
    for spot in find_spots(reading.heat, reading.classes, reading.names):
        x, y, width, height = spot.box
        box = (
            round((left + x * HEAT_STRIDE) * grid.scale_x),
            round((top + y * HEAT_STRIDE) * grid.scale_y),
            max(1, round(width * HEAT_STRIDE * grid.scale_x)),
            max(1, round(height * HEAT_STRIDE * grid.scale_y)),
        )
        found.append(Finding(reason=spot.reason, box_px=box, measured=spot.heat, limit=threshold))
    return tuple(found)
