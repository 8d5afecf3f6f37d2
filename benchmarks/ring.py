"""What the seam's classifier sees: texture features of a ring along a thing's outline, none of which knows the thing."""

import numpy as np
import numpy.typing as npt

from station.ports.screening import RawScan
from station.screening.correction import correct_scan
from station.screening.image import box_mean, dilated
from station.screening.projection import Pose, Thing
from station.screening.projection.noise import noise_of
from station.screening.projection.project import thickness_in, window_of

FloatArray = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

RING_PIXELS = 3
COVERED_MM = 0.01
ZONES = ("in", "edge", "out")
_LEAST_PIXELS = 12


def _zones(
    scan_shape: tuple[int, int], thing: Thing, pose: Pose, *, line_mm: float, pixel_mm: float
) -> tuple[dict[str, Mask], tuple[slice, slice]]:
    """The ring's three parts within a window: inside, upon and outside the outline."""
    window = window_of(thing, pose, line_mm=line_mm, pixel_mm=pixel_mm, shape=scan_shape)
    solid = thickness_in(thing, pose, window, line_mm=line_mm, pixel_mm=pixel_mm).sum(axis=0) > COVERED_MM
    margin = RING_PIXELS + 2
    padded = np.pad(solid, margin)
    top, left = window.line - margin, window.pixel - margin
    rows = slice(max(-top, 0), padded.shape[0] - max(top + padded.shape[0] - scan_shape[0], 0))
    columns = slice(max(-left, 0), padded.shape[1] - max(left + padded.shape[1] - scan_shape[1], 0))
    there = (slice(top + rows.start, top + rows.stop), slice(left + columns.start, left + columns.stop))
    grown, shrunk = dilated(padded, 3), ~dilated(~padded, 3)
    edge = grown & ~shrunk
    outer = dilated(padded, 2 * RING_PIXELS + 3) & ~grown
    inner = shrunk & dilated(~padded, 2 * RING_PIXELS + 3)
    return {"in": inner[rows, columns], "edge": edge[rows, columns], "out": outer[rows, columns]}, there


def _mean(values: Image, mask: Mask) -> float:
    return float(values[mask].mean()) if mask.sum() >= _LEAST_PIXELS else 0.0


def _correlation(one: Image, other: Image, mask: Mask) -> float:
    if mask.sum() < _LEAST_PIXELS:
        return 0.0
    a, b = one[mask] - one[mask].mean(), other[mask] - other[mask].mean()
    return float((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean() + 1e-20))


def _shifted(values: Image, down: int, right: int) -> Image:
    return np.roll(values, (-down, -right), axis=(0, 1))


def _texture(fine: Image, noise: Image, mask: Mask) -> list[float]:
    """Of what is left when the local mean is taken away, in units of the noise that such a signal should have."""
    unit = fine / noise
    inside = unit[mask] if mask.sum() >= _LEAST_PIXELS else np.zeros(_LEAST_PIXELS, np.float32)
    spread = float(np.std(inside)) + 1e-9
    return [
        np.log(spread + 1e-3),
        np.log(float(np.median(np.abs(inside))) + 1e-3),
        float(np.mean((inside - inside.mean()) ** 3)) / spread**3,
        min(float(np.mean((inside - inside.mean()) ** 4)) / spread**4, 50.0),
        *(_correlation(unit, _shifted(unit, *step), mask & _shifted(mask, *step)) for step in ((0, 1), (1, 0), (1, 1), (2, 0), (0, 2))),
    ]


_TEXTURE = ("spread", "median", "skew", "kurtosis", "next-across", "next-along", "diagonal", "two-along", "two-across")


def _roundings(counts: npt.NDArray[np.int64], mask: Mask) -> list[float]:
    inside = counts[mask] if mask.sum() >= _LEAST_PIXELS else np.arange(8)
    quarters = np.bincount(inside % 4, minlength=4) / inside.size
    return [
        float((inside % 2).mean()),
        float(((quarters - 0.25) ** 2).sum() * inside.size),
        float(np.unique(inside).size / inside.size),
        float((inside % 2 == _shifted(counts, 0, 1)[mask] % 2).mean()) if mask.sum() >= _LEAST_PIXELS else 0.5,
    ]


_ROUNDING = ("odd", "quarters", "distinct", "same-parity")


def _steps(level: Image, zones: dict[str, Mask]) -> list[float]:
    """Gradients in attenuation: how steep, how alike along and across, and how much of the whole step lies on the edge."""
    along, across = np.abs(np.gradient(level, axis=0)), np.abs(np.gradient(level, axis=1))
    steep = np.hypot(along, across)
    found = []
    for zone in ZONES:
        mask = zones[zone]
        values = steep[mask] if mask.sum() >= _LEAST_PIXELS else np.zeros(_LEAST_PIXELS, np.float32)
        found += [np.log(float(np.percentile(values, share)) + 1e-4) for share in (50, 90)]
        found.append(np.log((_mean(along, mask) + 1e-4) / (_mean(across, mask) + 1e-4)))
    second = np.abs(level - 0.25 * (_shifted(level, 1, 0) + _shifted(level, -1, 0) + _shifted(level, 0, 1) + _shifted(level, 0, -1)))
    step = abs(_mean(level, zones["in"]) - _mean(level, zones["out"]))
    found += [np.log(step + 1e-4), np.log((_mean(second, zones["edge"]) + 1e-4) / (_mean(steep, zones["edge"]) + 1e-4))]
    found.append((_mean(level, zones["edge"]) - _mean(level, zones["out"])) / (step + 0.02))
    found.append(np.log((_mean(second, zones["out"]) + 1e-4) / (_mean(second, zones["in"]) + 1e-4)))
    return found


_STEPS = (*(f"{name}-{zone}" for zone in ZONES for name in ("steep", "steepest", "along-across")), "step", "sharp", "edge-share", "out-in")

FEATURES = (
    *(f"{energy} {name} {zone}" for energy in ("LE", "HE") for zone in ZONES for name in (*_TEXTURE, *_ROUNDING)),
    *(f"{energy} {name}" for energy in ("LE", "HE") for name in _STEPS),
    *(f"{name} {zone}" for zone in ZONES for name in ("LE-HE", "LE-HE-next-line", "LE-HE-coarse", "material")),
    "steps-LE-HE",
)


def ring_features(scan: RawScan, pose: Pose, thing: Thing) -> FloatArray:
    """All of `FEATURES` of one scan in which the thing lies, or is said to lie, at `pose`."""
    seen = correct_scan(scan)
    zones, there = _zones(seen.le.shape, thing, pose, line_mm=seen.line_mm, pixel_mm=seen.pixel_mm)
    lag = scan.info.he_lag_lines
    empty = np.zeros(seen.le.shape[0], dtype=bool)
    empty[:20] = True
    fines, coarses, levels, found, steps = [], [], [], [], []
    for image, raw, dark, air in ((seen.le, scan.le, scan.dark_le, scan.air_le), (seen.he, scan.he[lag:], scan.dark_he, scan.air_he)):
        raw_here = raw[: image.shape[0]]
        model = noise_of(raw_here, dark, air, empty_lines=empty, full_scale=scan.info.full_scale)
        gain = (air - dark)[there[1]]
        smooth = box_mean(image, 3)[there]
        noise = np.sqrt(model.variance(smooth * gain)) / gain
        fine = image[there] - smooth
        level = -np.log(np.clip(image[there], 1e-3, 2.0))
        coarse = box_mean(image, 5)[there] - smooth
        for zone in ZONES:
            found += _texture(fine, noise, zones[zone])
            found += _roundings(raw_here[there].astype(np.int64), zones[zone])
        steps += _steps(-np.log(np.clip(box_mean(image, 1)[there], 1e-3, 2.0)), zones)
        fines.append(fine / noise)
        coarses.append(coarse / noise)
        levels.append(level)
    found += steps
    for zone in ZONES:
        mask = zones[zone]
        found += [
            _correlation(fines[0], fines[1], mask),
            _correlation(fines[0], _shifted(fines[1], 1, 0), mask & _shifted(mask, 1, 0)),
            _correlation(coarses[0], coarses[1], mask),
            _mean(levels[0], mask) - 1.3 * _mean(levels[1], mask),
        ]
    le, he = (abs(_mean(level, zones["in"]) - _mean(level, zones["out"])) for level in levels)
    found.append(np.log((le + 1e-3) / (he + 1e-3)))
    return np.asarray(found)
