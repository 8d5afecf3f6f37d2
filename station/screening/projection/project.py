"""One thing multiplied into the raw counts of both energies, as if it had lain in the piece (docs/reference/threat-projection.md)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.domain.projection import ProjectedThreat
from station.ports.screening import RawScan
from station.ports.xray import Counts, raw_sha256
from station.screening.correction import correct_scan
from station.screening.image import box_mean
from station.screening.projection.beam import Beam
from station.screening.projection.library import Library, Thing
from station.screening.projection.noise import CountNoise, noise_of
from station.screening.projection.place import Pose

FloatArray = npt.NDArray[np.float32]

_OWN_BLUR = 1.0
"""What a cell of a map blurs by itself, in squares of its size: it is read as even, and its edges fall where the next cell begins."""
_SMOOTH_PIXELS = 3
COVERED_MM = 0.01
_EVEN = 0.02
"""So much attenuation more or less within a pixel makes no difference to the mean of what comes through: a square of it."""
_EMPTY_TRANSMISSION = 0.985
_LATTICE = (55, 34)
"""Places within a pixel, neighbours of the Fibonacci row: no two of them lie on one line along or across the belt."""


def _lattice(count: int, step: int) -> list[tuple[float, float]]:
    """Even places in the unit square about its middle."""
    return [((number + 0.5) / count - 0.5, (number * step % count + 0.5) / count - 0.5) for number in range(count)]


_PLACES = _lattice(*_LATTICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The scan with the thing in it, and the truth about it."""

    scan: RawScan
    threat: ProjectedThreat


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Part of the corrected image: its first line and pixel, and how many."""

    line: int
    pixel: int
    lines: int
    pixels: int

    @property
    def there(self) -> tuple[slice, slice]:
        """Its lines and pixels."""
        return slice(self.line, self.line + self.lines), slice(self.pixel, self.pixel + self.pixels)


def window_of(thing: Thing, pose: Pose, *, line_mm: float, pixel_mm: float, shape: tuple[int, int]) -> Window:
    """What of an image of `shape` the thing can touch."""
    cosine, sine = abs(math.cos(pose.angle_rad)), abs(math.sin(pose.angle_rad))
    length, width = thing.size_mm
    reach_x, reach_y = (length * cosine + width * sine) / 2, (length * sine + width * cosine) / 2
    first_line = min(max(math.floor((pose.x_mm - reach_x) / line_mm) - 1, 0), shape[0] - 1)
    first_pixel = min(max(math.floor((pose.y_mm - reach_y) / pixel_mm) - 1, 0), shape[1] - 1)
    last_line = min(max(math.ceil((pose.x_mm + reach_x) / line_mm) + 1, first_line + 1), shape[0])
    last_pixel = min(max(math.ceil((pose.y_mm + reach_y) / pixel_mm) + 1, first_pixel + 1), shape[1])
    return Window(line=first_line, pixel=first_pixel, lines=last_line - first_line, pixels=last_pixel - first_pixel)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Places of a thing's map under pixels: middles `u`, `v` (n,) in cells, and how far from them a pixel sees, (u, v) for each place."""

    flat: FloatArray
    shape: tuple[int, int]
    u: FloatArray
    v: FloatArray
    steps: tuple[tuple[float, float], ...]

    def only(self, wanted: npt.NDArray[np.bool_]) -> "_Places":
        """The same for some of the pixels."""
        return replace(self, u=self.u[wanted], v=self.v[wanted])

    def thickness_mm(self) -> Iterator[FloatArray]:
        """Thickness (materials, n) at one place of each pixel after the other."""
        rows, columns = self.shape
        for du, dv in self.steps:
            # the map's rim is air, so that clamping to it adds nothing
            row = np.clip(self.u + np.float32(du), 0, rows - 1).astype(np.intp)
            column = np.clip(self.v + np.float32(dv), 0, columns - 1).astype(np.intp)
            row *= columns
            row += column
            yield self.flat[:, row]


def _places_in(thing: Thing, pose: Pose, window: Window, *, line_mm: float, pixel_mm: float, ahead_mm: float) -> _Places:
    """Places evenly over each pixel of a window. The map's cells blur by themselves, and so much narrower they lie."""
    xs = ((window.line + np.arange(window.lines) + 0.5) * line_mm + ahead_mm - pose.x_mm)[:, None]
    ys = ((window.pixel + np.arange(window.pixels) + 0.5) * pixel_mm - pose.y_mm)[None, :]
    cosine, sine = math.cos(pose.angle_rad) / thing.cell_mm, math.sin(pose.angle_rad) / thing.cell_mm
    _, rows, columns = thing.thickness_mm.shape
    reach_x, reach_y = (math.sqrt(max(pitch * pitch - _OWN_BLUR * thing.cell_mm**2, 0.0)) for pitch in (line_mm, pixel_mm))
    return _Places(
        flat=thing.thickness_mm.reshape(len(thing.materials), -1),
        shape=(rows, columns),
        u=(xs * cosine + ys * sine + rows / 2).astype(np.float32).ravel(),
        v=(ys * cosine - xs * sine + columns / 2).astype(np.float32).ravel(),
        steps=tuple((x * reach_x * cosine + y * reach_y * sine, y * reach_y * cosine - x * reach_x * sine) for x, y in _PLACES),
    )


def thickness_in(thing: Thing, pose: Pose, window: Window, *, line_mm: float, pixel_mm: float) -> FloatArray:
    """Mean thickness (materials, lines, pixels) over each pixel of a window."""
    places = _places_in(thing, pose, window, line_mm=line_mm, pixel_mm=pixel_mm, ahead_mm=0.0)
    mean, _ = _mean_and_spread(places)
    return mean.reshape(len(thing.materials), window.lines, window.pixels)


def _mean_and_spread(places: _Places) -> tuple[FloatArray, FloatArray]:
    """Mean thickness (materials, n) of each pixel, and how much it differs within the pixel."""
    total = np.zeros((len(places.flat), places.u.size), dtype=np.float32)
    least, most = np.full_like(total, np.inf), np.zeros_like(total)
    for thickness in places.thickness_mm():
        total += thickness
        np.minimum(least, thickness, out=least)
        np.maximum(most, thickness, out=most)
    return total / np.float32(len(places.steps)), most - least


def _through(places: _Places, beam: Beam, overlay_mm: FloatArray, materials: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    """Transmission (2, n) of the thing behind its cover, as a pixel sees it, and mean thickness (materials, n).

    A pixel counts what comes through over all its width: where an edge runs through it, that is not what its mean thickness lets through.
    """
    mean, spread = _mean_and_spread(places)
    seen = beam.behind(overlay_mm, mean, materials)
    uneven = beam.attenuation_in_air(spread, materials) > _EVEN
    if uneven.any():
        total = np.zeros((2, int(uneven.sum())), dtype=np.float32)
        for thickness in places.only(uneven).thickness_mm():
            total += beam.behind(overlay_mm[:, uneven], thickness, materials)
        seen[:, uneven] = total / np.float32(len(places.steps))
    return seen, mean


def project(scan: RawScan, thing: Thing, pose: Pose, library: Library, *, tube_kv: float, rng: np.random.Generator) -> Projection:
    """The scan as it would have been with the thing in it.

    Counts are changed where the thing lies and, by scatter, a little around it; everything else stays as it was, count by count.

    Args:
        scan: of a piece that carries nothing projected yet.
        thing: what is projected.
        pose: where.
        library: the thing's own; it knows the beam.
        tube_kv: with which the scan was taken.
        rng: for the noise and for where between two lines the thing lies.

    Raises:
        ScreeningError: the scan cannot be corrected, does not show its own noise, or the thing lies beside it.
    """
    beam = library.beam(tube_kv)
    seen = correct_scan(scan)
    image = np.stack([seen.le, seen.he])
    line_mm, pixel_mm = seen.line_mm, seen.pixel_mm
    window = window_of(thing, pose, line_mm=line_mm, pixel_mm=pixel_mm, shape=seen.le.shape)
    reach = (max(1, round(beam.scatter_mm[0] / line_mm)), max(1, round(beam.scatter_mm[1] / pixel_mm)))
    wide = _grown(window, reach, seen.le.shape)
    scattered = np.stack([_scatter(energy[wide.there], reach) for energy in image]) * np.float32(beam.scatter_share)
    inner = (
        slice(window.line - wide.line, window.line - wide.line + window.lines),
        slice(window.pixel - wide.pixel, window.pixel - wide.pixel + window.pixels),
    )
    direct = image[:, window.there[0], window.there[1]] - scattered[:, inner[0], inner[1]]
    ratio, covered = weakened(thing, pose, window, beam, direct, line_mm=line_mm, pixel_mm=pixel_mm, between=float(rng.uniform()))
    if not covered.any():
        raise ScreeningError(
            f"threat projection: {thing.thing_id} at {pose.x_mm:.0f}, {pose.y_mm:.0f} mm lies beside the image",
            consequence="no threat is projected",
            remedy="choose a place inside the piece",
        )
    lost = np.zeros(scattered.shape, dtype=np.float32)
    lost[:, inner[0], inner[1]] = direct * (ratio - 1) / np.float32(1 - beam.scatter_share)
    less_scatter = np.stack([_box(energy, reach) for energy in lost]) * np.float32(beam.scatter_share)
    whole = np.ones(scattered.shape, dtype=np.float32)
    whole[:, inner[0], inner[1]] = ratio
    added = scattered * (1 - whole) + less_scatter
    empty = _empty_lines(image)
    lag = scan.info.he_lag_lines
    counts = []
    for energy, (raw, dark, air) in enumerate(((scan.le, scan.dark_le, scan.air_le), (scan.he, scan.dark_he, scan.air_he))):
        # `register` says which raw line saw the first line of the corrected image
        first = max(lag, 0) if energy else max(-lag, 0)
        here = raw[first : first + image.shape[1]]
        noise = noise_of(here, dark, air, empty_lines=empty, full_scale=scan.info.full_scale)
        changed = raw.copy()
        columns = wide.there[1]
        changed[first + wide.line : first + wide.line + wide.lines, columns] = _counts(
            here[wide.there], dark[columns], (air - dark)[columns], whole[energy], added[energy], noise, scan.info.full_scale, rng
        )
        counts.append(changed)
    projected = replace(scan, le=counts[0], he=counts[1])
    rows, columns_hit = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    box = (
        window.pixel + int(columns_hit[0]),
        window.line + int(rows[0]),
        int(columns_hit[-1] - columns_hit[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )
    threat = ProjectedThreat(
        scan_sha256=raw_sha256(scan.le, scan.he),
        projected_sha256=raw_sha256(projected.le, projected.he),
        library_sha256=library.sha256,
        thing_id=thing.thing_id,
        threat_class=thing.threat_class,
        box_px=box,
    )
    return Projection(scan=projected, threat=threat)


def weakened(
    thing: Thing, pose: Pose, window: Window, beam: Beam, direct: FloatArray, *, line_mm: float, pixel_mm: float, between: float
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Transmission (2, lines, pixels) of the thing behind what lies there already, and where it lies.

    The thing lies somewhere between two lines (`between`), as every piece does: a line then sees a mixture of two neighbouring places.
    """
    smooth = np.stack([box_mean(np.ascontiguousarray(energy), _SMOOTH_PIXELS) for energy in direct])
    overlay = beam.overlay_mm(-np.log(np.clip(smooth, np.float32(1e-3), np.float32(2.0))).reshape(2, -1))
    ratio = np.zeros((2, window.lines * window.pixels), dtype=np.float32)
    covered = np.zeros((window.lines, window.pixels), dtype=bool)
    for ahead_mm, share in ((-between * line_mm, 1 - between), ((1 - between) * line_mm, between)):
        places = _places_in(thing, pose, window, line_mm=line_mm, pixel_mm=pixel_mm, ahead_mm=ahead_mm)
        seen, thickness = _through(places, beam, overlay, thing.materials)
        covered |= thickness.sum(axis=0).reshape(covered.shape) > COVERED_MM
        ratio += np.float32(share) * seen
    return ratio.reshape(2, window.lines, window.pixels), covered


def _counts(
    raw: Counts,
    dark: FloatArray,
    gain: FloatArray,
    ratio: FloatArray,
    added: FloatArray,
    noise: CountNoise,
    full_scale: int,
    rng: np.random.Generator,
) -> Counts:
    """Counts with the signal times `ratio` plus `added` (in transmission), and the noise that such counts have.

    What was there brings its own noise, times the ratio; what a signal of the new size has beyond that is added.
    """
    signal = raw.astype(np.float32) - dark
    steady = box_mean(np.ascontiguousarray(signal / gain), _SMOOTH_PIXELS) * gain
    wanted = noise.variance(steady * ratio + added * gain)
    brought = ratio * ratio * noise.variance(steady)
    spread = np.sqrt(np.maximum(wanted - brought, np.float32(0)))
    drawn = rng.standard_normal(raw.shape, dtype=np.float32)
    # a part of a count is rounded up as often as it is large, so that small changes are not lost
    part = rng.random(raw.shape, dtype=np.float32)
    new = np.floor(signal * ratio + added * gain + spread * drawn + dark + part)
    return np.where((ratio == 1) & (added == 0), raw, np.clip(new, 0, full_scale)).astype(np.uint16)


def _grown(window: Window, reach: tuple[int, int], shape: tuple[int, ...]) -> Window:
    line, pixel = max(window.line - reach[0], 0), max(window.pixel - reach[1], 0)
    return Window(
        line=line,
        pixel=pixel,
        lines=min(window.line + window.lines + reach[0], shape[0]) - line,
        pixels=min(window.pixel + window.pixels + reach[1], shape[1]) - pixel,
    )


def _box(values: FloatArray, reach: tuple[int, int]) -> FloatArray:
    """Mean over ± reach, with nothing beyond the border."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (reach[axis] + 1, reach[axis])
        summed = np.cumsum(np.pad(values, padding), axis=axis, dtype=np.float64)
        width = 2 * reach[axis] + 1
        upper, lower = (
            np.take(summed, np.arange(width, width + values.shape[axis]), axis=axis),
            np.take(summed, np.arange(values.shape[axis]), axis=axis),
        )
        values = ((upper - lower) / width).astype(np.float32)
    return values


def _scatter(values: FloatArray, reach: tuple[int, int]) -> FloatArray:
    """Mean over ± reach, with air beyond the border."""
    return _box(values - 1, reach) + 1


def _empty_lines(image: FloatArray) -> npt.NDArray[np.bool_]:
    """Lines in which nothing lies on the belt."""
    smooth = box_mean(np.ascontiguousarray(image.mean(axis=0)), 2 * _SMOOTH_PIXELS + 1)
    empty: npt.NDArray[np.bool_] = smooth.min(axis=1) > _EMPTY_TRANSMISSION
    return empty
