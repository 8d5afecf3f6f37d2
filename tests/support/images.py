"""Scans and what was made of them, for tests that store them."""

import dataclasses
from typing import Any

import numpy as np

from station.domain.reasons import Reason
from station.domain.scan import Finding
from station.ports.screening import RawScan, ScreeningResult
from station.ports.xray import DetectorInfo


def raw_scan(lines: int = 90, pixels: int = 64, seed: int = 1) -> RawScan:
    """A scan of noise, another for each seed."""
    noise = np.random.default_rng(seed)
    le, he = noise.integers(0, 65536, (2, lines, pixels), dtype=np.uint16)
    dark_le, dark_he, air_le, air_he = noise.random((4, pixels), dtype=np.float32)
    return RawScan(
        le=le,
        he=he,
        dark_le=dark_le,
        dark_he=dark_he,
        air_le=air_le,
        air_he=air_he,
        info=DetectorInfo(model="LSP", pixels=pixels, pixel_pitch_mm=0.8, line_pitch_mm=0.8, he_lag_lines=4, full_scale=65535),
        lost_lines=2,
        saturated=False,
        speed_error_share=0.01,
        beam_error_share=float("nan"),
        calibration_age_s=12.5,
        kind="envelope",
    )


def result(seed: int = 1) -> ScreeningResult:
    """What screening might make of it."""
    noise = np.random.default_rng(seed)
    return ScreeningResult(
        model_sha256="ab" * 32,
        score=0.25,
        threshold=0.5,
        p_value=1 / 3,
        calibration_n=500,
        length_mm=220.0,
        width_mm=110.0,
        findings=(Finding(reason=Reason.OPAQUE_AREA, box_px=(1, 2, 3, 4), measured=0.1, limit=0.05),),
        model_findings=(Finding(reason=Reason.MODEL_ALARM),),
        heat_map=noise.integers(0, 256, (30, 20), dtype=np.uint8),
        view_png=noise.bytes(500),
        heat_png=noise.bytes(300),
        fingerprint=noise.random(64, dtype=np.float32),
        duration_ms=12.0,
    )


def same(left: Any, right: Any) -> bool:
    """True when both are alike in every field that can be compared."""
    names = [field.name for field in dataclasses.fields(left) if field.name != "beam_error_share"]
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)
