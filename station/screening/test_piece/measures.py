"""The classic tests, each measured on a test piece that was found; signals over noise are those of fits to the known pattern."""

import math

import numpy as np

from station.screening.test_piece import layout
from station.screening.test_piece.regions import (
    Patch,
    SeenPiece,
    Values,
    attenuation,
    cover,
    fitted,
    line_kernel,
    mean_and_error,
    noise_across,
)

SEEN = 4.0
"""Signal over noise from which a thing of known place and shape counts as seen (Rose criterion)."""
LEAST_MODULATION = 0.2
PIXELS_PER_PAIR = 2.4
"""Below two pixels per pair a detector cannot tell bars from grey; a little more keeps the fit from chance."""


def bare_wires(piece: SeenPiece) -> dict[int, float]:
    """Single-wire resolution: signal over noise of each bare wire by gauge, both energies."""
    wires = layout.BARE_WIRES_X_MM
    reach = max(7.0, 2.2 * piece.pitch_mm)
    patch = piece.patch((min(wires.values()) - reach, max(wires.values()) + reach), layout.BARE_Y_MM, guard_mm=0.0)
    return _wires(piece, patch, wires, bend=True)


def wedge_wires(piece: SeenPiece) -> dict[int, list[float]]:
    """Useful penetration: for each gauge the signal over noise of its wire under each step of the wedge, thinnest first, both energies."""
    found: dict[int, list[float]] = {gauge: [] for gauge in layout.WEDGE_WIRES_MM}
    for index in range(len(layout.WEDGE_STEPS_MM)):
        first = layout.FIRST_STEP_X_MM + layout.STEP_MM * index
        patch = piece.patch((first, first + layout.STEP_MM), layout.WEDGE_Y_MM, guard_mm=0.9 * piece.pitch_mm)
        for gauge, seen in _wires(piece, patch, {gauge: first + x for gauge, x in layout.WEDGE_WIRES_MM.items()}, bend=False).items():
            found[gauge].append(seen)
    return found


def _wires(piece: SeenPiece, patch: Patch, wires: dict[int, float], *, bend: bool) -> dict[int, float]:
    """Signal over noise of each wire; `bend` allows for scatter that changes along a long patch."""
    if not len(patch):
        return dict.fromkeys(wires, math.nan)
    x, y = patch.x - float(patch.x.mean()), patch.y - float(patch.y.mean())
    base = [np.ones_like(x), x, y, *([x * x] if bend else [])]
    lines = [line_kernel(patch.x - place, piece.pitch_mm) for place in wires.values()]
    seen = np.zeros(len(lines))
    for plane in (patch.le, patch.he):
        dark = attenuation(plane)
        # the spread at one distance from the wire: what a kernel fails to follow is no noise
        noise = noise_across(dark, patch.x, piece.line_mm / 3)
        values, errors = fitted([*base, *lines], dark, noise=noise)
        seen += values[len(base) :] / errors[len(base) :]
    return {gauge: float(one) / math.sqrt(2) for gauge, one in zip(wires, seen, strict=True)}


def marks(piece: SeenPiece) -> list[float]:
    """Simple penetration: signal over noise of the lead mark behind each steel step, thinnest first, HE."""
    found = []
    middle_y = sum(layout.STEEL_Y_MM) / 2
    for index in range(len(layout.STEEL_STEPS_MM)):
        first = layout.FIRST_STEP_X_MM + layout.STEP_MM * index
        patch = piece.patch((first, first + layout.STEP_MM), layout.STEEL_Y_MM, guard_mm=0.9 * piece.pitch_mm)
        u, v = patch.x - (first + layout.STEP_MM / 2), patch.y - middle_y
        mark = cover(layout.MARK_HALF_MM - np.abs(u), piece.pitch_mm) * cover(layout.MARK_HALF_MM - np.abs(v), piece.pitch_mm)
        values, errors = fitted([np.ones_like(u), u, v, mark], patch.he)
        found.append(float(-values[3] / errors[3]))
    return found


def steel_attenuation(piece: SeenPiece) -> float:
    """HE attenuation of the first steel step alone: falls as the beam gets harder."""
    first, steel_y = layout.FIRST_STEP_X_MM, layout.STEEL_Y_MM
    patch = piece.patch((first, first + layout.STEP_MM), steel_y, guard_mm=0.9 * piece.pitch_mm)
    off_x, off_y = np.abs(patch.x - first - layout.STEP_MM / 2), np.abs(patch.y - sum(steel_y) / 2)
    beside = np.maximum(off_x, off_y) > layout.MARK_HALF_MM + piece.pitch_mm
    return _mean(attenuation(patch.where(beside).he)) - _mean(attenuation(piece.patch(*layout.BARE_CARRIER).he))


def _mean(values: Values) -> float:
    return mean_and_error(values)[0]


def lead_light(piece: SeenPiece) -> float:
    """Darkness: light that seems to come through the lead discs, the greater of both energies' medians.

    Some is scatter; more means that the dark level is off.
    """
    half = (layout.FIDUCIAL_RADIUS_MM - 0.75 * piece.pitch_mm) / math.sqrt(2)
    seen: list[Patch] = [piece.patch((x - half, x + half), (y - half, y + half)) for x, y in layout.FIDUCIALS_MM]
    planes = [np.concatenate([one.le for one in seen]), np.concatenate([one.he for one in seen])]
    return max(float(np.median(plane)) if plane.size else math.nan for plane in planes)


def modulations(piece: SeenPiece, *, along: bool) -> dict[float, float]:
    """Spatial resolution: by pitch, coarsest first, the bars' modulation as a share of what sharp bars would give, HE.

    Only pitches that a detector of that many pixels per mm can show at all.
    """
    steel = _mean(piece.patch(layout.BLOCK_X_MM, layout.PAIRS_Y_MM, guard_mm=piece.pitch_mm).he)
    contrast = _mean(piece.patch(*layout.BARE_CARRIER).he) - steel
    pitch_mm = piece.line_mm if along else piece.pixel_mm
    found = {}
    for group in layout.LINE_PAIRS:
        if group.along is not along or group.pitch_mm < PIXELS_PER_PAIR * pitch_mm:
            continue
        # across the bars' length the ends are left out, along them nothing: the first and last edges carry the pattern
        inner = min(piece.pitch_mm, 4.0)
        spans = (group.x_mm, _shrunk(group.y_mm, inner)) if along else (_shrunk(group.x_mm, inner), group.y_mm)
        patch = piece.patch(*spans)
        place = patch.x - group.x_mm[0] if along else patch.y - group.y_mm[0]
        wave = 2 * math.pi * place / group.pitch_mm
        values, _ = fitted([np.ones_like(wave), np.cos(wave), np.sin(wave)], patch.he)
        # a square wave's first harmonic is 2/π of its whole swing
        found[group.pitch_mm] = math.hypot(float(values[1]), float(values[2])) / max(contrast * 2 / math.pi, 1e-6)
    return found


def _shrunk(span: layout.Span, by: float) -> layout.Span:
    return span[0] + by, span[1] - by


def thin_metal(piece: SeenPiece) -> dict[float, float]:
    """Thin metal: by thickness, its LE attenuation over the noise of one pixel."""
    bare = attenuation(piece.patch(*layout.BARE_CARRIER).le)
    found = {}
    for thick, y in layout.THIN_METAL_MM.items():
        metal = attenuation(piece.patch(layout.THIN_METAL_X_MM, y, guard_mm=piece.pitch_mm).le)
        noise = float(np.hypot(metal.std(), bare.std())) / math.sqrt(2) if metal.size else math.nan
        found[thick] = (_mean(metal) - _mean(bare)) / max(noise, 1e-6)
    return found


def material_separation(piece: SeenPiece) -> float:
    """Organic against inorganic: by how much the LE/HE ratio of aluminium lies above that of polyethylene, in the worst pair of steps.

    Three standard errors are taken off, so that noise counts against it.
    """
    bare = piece.patch(*layout.BARE_CARRIER)
    carrier = _mean(attenuation(bare.le)), _mean(attenuation(bare.he))
    worst = math.inf
    for index in range(layout.MATERIAL_STEPS):
        first = layout.FIRST_STEP_X_MM + layout.STEP_MM * index
        ratios = []
        for y in (layout.ORGANIC_Y_MM, layout.INORGANIC_Y_MM):
            patch = piece.patch((first, first + layout.STEP_MM), y, guard_mm=piece.pitch_mm)
            (le, le_error), (he, he_error) = mean_and_error(attenuation(patch.le)), mean_and_error(attenuation(patch.he))
            le, he = le - carrier[0], max(he - carrier[1], 1e-3)
            ratios.append((le / he, math.hypot(le_error / he, he_error * le / he**2)))
        (organic, organic_error), (inorganic, inorganic_error) = ratios
        lower = inorganic - organic - 3.0 * math.hypot(organic_error, inorganic_error)
        worst = min(worst, lower) if math.isfinite(lower) else math.nan
    return worst


def belt_wander(piece: SeenPiece) -> float:
    """Steadiness of the belt: how far the wedge's edges lie from where the discs at both ends say, the worst of them, mm."""
    worst = 0.0
    reach = 6.5
    for index in range(len(layout.WEDGE_STEPS_MM) + 1):
        edge = layout.FIRST_STEP_X_MM + layout.STEP_MM * index
        patch = piece.patch((edge - reach, edge + reach), layout.WEDGE_Y_MM, guard_mm=0.0)
        inner = np.abs(patch.y - sum(layout.WEDGE_Y_MM) / 2) < (layout.WEDGE_Y_MM[1] - layout.WEDGE_Y_MM[0]) / 2 - piece.pitch_mm
        patch = patch.where(inner)
        u = patch.x - edge
        values, _ = fitted([np.ones_like(u), cover(u, 2 * piece.line_mm), line_kernel(u, piece.line_mm)], patch.he)
        # a step that lies a little further on shows as its own slope times the distance; the kernel's area is 1.38 of its width
        worst = max(worst, abs(float(values[2] / values[1])) * 1.38 * piece.line_mm) if np.isfinite(values).all() else math.nan
    return worst
