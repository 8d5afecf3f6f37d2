"""How well colours are brought back to the two energies: our own painted scans, and the research pictures. It only measures.

    python -m training.palette_trials scans [--pieces 24] [--seed 5]
    python -m training.palette_trials told [--pieces 40] [--seed 6]
    python -m training.palette_trials usual [--pieces 40] [--seed 7]
    python -m training.palette_trials pictures --corpus DIR [--count 150]

`scans` sets attenuation and material beside the truth per palette, belt and JPEG quality, for the reading that the station began with
("before": a bright belt and black for dense are taken for granted) and for the present one. Consoles differ in each piece
(`vendor_painter.varied`). `told` counts which palettes are told rightly, wrongly or not at all. `usual` says what things of an attenuation
mostly are. `pictures` is about boxed threats: patch AUROC and pointing of darkness and P within each picture, a seeded part of the boxed
pictures, before and now.
"""

import argparse
import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from station.screening.baselines import material_ratio, mean_attenuation, p_map
from station.screening.features import HE_KNOTS, ORGANIC_LE, STEEL_LE
from station.screening.image import box_mean, gaussian, hue_and_saturation, one_thread, read_picture, resample
from station.screening.palette import HUE_KNOTS_DEG, MATERIAL_KNOTS, from_colours, luma_of
from station.screening.palette_evidence import PaletteUnknownError, tell_palette
from station.screening.resampling import auroc
from training.conditions import GRID_MM, NOMINAL
from training.make_dataset import drawn_piece
from training.vendor_painter import VENDORS, paint, through_jpeg, varied

FloatArray = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
ByteArray = npt.NDArray[np.uint8]
Inversion = Callable[[ByteArray], tuple[FloatArray, FloatArray]]

AIR_CELLS = 30
THREAT_SHARE = 0.4
BELTS = (1.0, 0.78)
QUALITIES = (0, 95, 75)
MOST_MEASURED = 4.0
"""Mean attenuation beyond which every palette is black."""
LONGEST_CELLS, PATCHES_ALONG, SOMETHING = 768, 32, 0.06
DARK_BLUR, P_BLUR, STEP = 6.0, 28.0, 8
SPLIT_SEED = 20_240_611
DENSE, FEWEST = 1.5, 20
"""Mean attenuation from which a thing is dense; cells below which a picture gives no figure."""


def inverted(bgr: ByteArray) -> tuple[FloatArray, FloatArray]:
    """LE and HE transmission as the station tells them from colours."""
    told = from_colours(bgr)
    return told.le, told.he


def plain(bgr: ByteArray) -> tuple[FloatArray, FloatArray]:
    """The reading that the station began with, to stand beside the present one."""
    luma = luma_of(bgr)
    hue, saturation = hue_and_saturation(bgr)
    clear = luma[(luma >= 160) & (saturation <= 0.15)]
    belt = 255.0 if clear.size < luma.size // 200 else float(np.argmax(np.bincount(clear.astype(np.int32), minlength=256)))
    mean = -np.log(np.clip(luma / np.float32(belt), 1.5 / 255.0, 1.0))
    told = np.interp(hue, HUE_KNOTS_DEG, MATERIAL_KNOTS, period=360.0).astype(np.float32)
    trust = (np.clip((saturation - 0.06) / 0.2, 0, 1) * np.clip(luma / 48.0, 0, 1)).astype(np.float32)
    material = (box_mean(told * trust, 3) + np.float32(0.01)) / (box_mean(trust, 3) + np.float32(0.05))
    level = np.clip(material * 24 + 0.5, 0, 24).astype(np.int8)
    a_he = np.empty_like(mean)
    for index, share in enumerate(np.linspace(0, 1, 25)):
        chosen = level == index
        a_he[chosen] = np.interp(mean[chosen], 0.5 * (HE_KNOTS + ORGANIC_LE + share * (STEEL_LE - ORGANIC_LE)), HE_KNOTS)
    return np.exp(a_he - 2.0 * mean).astype(np.float32), np.exp(-a_he).astype(np.float32)


def channels(le: FloatArray, he: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean attenuation and material index (rows, columns), as models see them."""
    return mean_attenuation(le, he), material_ratio(le, he)


def scan(seed: int, number: int) -> FloatArray:
    """LE and HE transmission (2, rows, columns) of a piece of our own with air around it."""
    piece = drawn_piece(seed, number, threat_share=THREAT_SHARE)
    t = piece.body.transmission(tube_kv=NOMINAL.tube_kv, line_mm=GRID_MM, pixel_mm=GRID_MM)
    air = (AIR_CELLS, AIR_CELLS)
    return np.pad(t, ((0, 0), air, air), constant_values=1.0).astype(np.float32)


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's, ties with their mean rank."""
    ranks = []
    for values in (first, second):
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2.0)[places])
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def scans(pieces: int, seed: int) -> None:
    """Table of rank correlation and mean absolute error, each before and now."""
    found: dict[tuple[str, float, int, str], list[tuple[FloatArray, ...]]] = defaultdict(list)
    refused: Counter[tuple[str, float, int]] = Counter()
    for number in range(pieces):
        t = scan(seed, number)
        truth, material = channels(t[0], t[1])
        rng = np.random.default_rng((seed, number))
        there = np.flatnonzero((truth > 0.03) & (truth < MOST_MEASURED))
        picked = rng.choice(there, min(2000, len(there)), replace=False)
        for vendor in VENDORS:
            console = varied(vendor, rng)
            for belt in BELTS:
                painted = paint(t, console, belt=belt, sharpened=float(rng.uniform(0, 1)), noise=1.0, rng=rng)
                for quality in QUALITIES:
                    bgr = through_jpeg(painted, quality) if quality else painted
                    try:
                        told = inverted(bgr)
                    except PaletteUnknownError:
                        refused[vendor.name, belt, quality] += 1
                        continue
                    ways = {"before": plain(bgr), "now": told}
                    for way, energies in ways.items():
                        mean, index = channels(*energies)
                        row = (truth.ravel()[picked], mean.ravel()[picked], material.ravel()[picked], index.ravel()[picked])
                        found[vendor.name, belt, quality, way].append(row)
    print("| palette | belt | JPEG | not told | attenuation: rank | error | where dense | material: rank | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for vendor in VENDORS:
        for belt in BELTS:
            for quality in QUALITIES:
                cells = [_figures(found[vendor.name, belt, quality, way]) for way in ("before", "now")]
                words = " | ".join(f"{before:.2f}, {now:.2f}" for before, now in zip(*cells, strict=True))
                name = f"{vendor.name} | {255 * belt:.0f} | {quality or 'none'} | {refused[vendor.name, belt, quality]} of {pieces}"
                print(f"| {name} | {words} |")


def _figures(rows: list[tuple[FloatArray, ...]]) -> list[float]:
    """Means over pictures: attenuation's rank correlation, error, error where dense; material's rank correlation and error."""
    lines = []
    for truth, mean, material, index in rows:
        thick, dense = truth > 0.1, truth > DENSE
        lines.append(
            (
                _rank(truth, mean),
                _error(truth, mean),
                _error(truth[dense], mean[dense]),
                _rank(material[thick], index[thick]),
                _error(material[thick], index[thick]),
            ),
        )
    columns = np.asarray(lines, np.float64).reshape(-1, 5).T
    return [float(column[np.isfinite(column)].mean()) if np.isfinite(column).any() else float("nan") for column in columns]


def _error(truth: FloatArray, told_: FloatArray) -> float:
    return float(np.abs(truth - told_).mean()) if len(truth) >= FEWEST else float("nan")


def _rank(truth: FloatArray, told_: FloatArray) -> float:
    """What is the same all over tells nothing apart: 0."""
    if len(truth) < FEWEST or np.ptp(truth) == 0:
        return float("nan")
    return rank_correlation(truth, told_) if np.ptp(told_) > 0 else 0.0


def told(pieces: int, seed: int) -> None:
    """How often a palette is told rightly; dense-black and dense-blue are one answer where nothing dense is there."""
    counts: Counter[tuple[str, str]] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    for number in range(pieces):
        t = scan(seed, number)
        kind = drawn_piece(seed, number, threat_share=THREAT_SHARE).kind
        truth, _ = channels(t[0], t[1])
        dense = float(np.mean(truth > 2.5)) > 0.002
        rng = np.random.default_rng((seed, number))
        for vendor in VENDORS:
            for belt in BELTS:
                painted = paint(t, varied(vendor, rng), belt=belt, sharpened=float(rng.uniform(0, 1)), noise=1.0, rng=rng)
                bgr = through_jpeg(painted, int(rng.integers(60, 96)))
                try:
                    name = tell_palette(bgr).palette.name
                except PaletteUnknownError:
                    counts[vendor.name, "not told"] += 1
                    kinds[kind, "not told"] += 1
                    continue
                kinds[kind, "told"] += 1
                same = name == vendor.name or (not dense and {name, vendor.name} == {"dense-black", "dense-blue"})
                counts[vendor.name, "right" if same else f"wrong ({name})"] += 1
    for vendor in VENDORS:
        print(vendor.name, {answer: count for (name, answer), count in sorted(counts.items()) if name == vendor.name})
    for kind in sorted({kind for kind, _ in kinds}):
        print(f"{kind}: told {kinds[kind, 'told']}, not told {kinds[kind, 'not told']}")


def usual(pieces: int, seed: int) -> None:
    """Mean material index by mean attenuation, air left out."""
    both = [channels(*scan(seed, number)) for number in range(pieces)]
    mean = np.concatenate([one.ravel() for one, _ in both])
    material = np.concatenate([one.ravel() for _, one in both])
    edges = (0.05, 0.2, 0.4, 0.65, 1.0, 1.5, 2.1, 3.0, 4.0)
    for low, high in pairwise(edges):
        chosen = (mean >= low) & (mean < high)
        print(f"{low:4.2f}-{high:4.2f}  {material[chosen].mean():.2f}  ({chosen.sum()} cells)")


def pictures(corpus: Path, count: int) -> None:
    """Darkness and P on boxed threats, before and now; gains are paired, ± is one standard error."""
    with (corpus / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["is_threat"] == "1" and json.loads(row["boxes_xywh"] or "[]")]
    rows.sort(key=lambda row: Path(row["file"]).name)
    chosen = [rows[index] for index in np.random.default_rng(SPLIT_SEED).permutation(len(rows))[:count]]
    ways: dict[str, Inversion] = {"before": plain, "now": inverted}
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    palettes: Counter[str] = Counter()
    for row in chosen:
        bgr = read_picture(corpus / row["file"])
        boxes = [[float(one) for one in raw[-4:]] for raw in json.loads(row["boxes_xywh"])]
        palettes[tell_palette(bgr).palette.name] += 1
        lines = {way: _boxed(inversion(bgr), boxes) for way, inversion in ways.items()}
        if all(lines.values()):
            for way, line in lines.items():
                found[way].append(line)
    print(f"{len(found['now'])} pictures; read as {dict(palettes)}")
    before, now = np.asarray(found["before"]), np.asarray(found["now"])
    for column, name in enumerate(("darkness patch AUROC", "darkness pointing", "P patch AUROC", "P pointing")):
        gain = now[:, column] - before[:, column]
        error = gain.std() / np.sqrt(len(gain))
        print(f"{name:22s} before {before[:, column].mean():.4f}  now {now[:, column].mean():.4f}  gain {gain.mean():+.4f} ± {error:.4f}")


def _boxed(energies: tuple[FloatArray, FloatArray], boxes: list[list[float]]) -> list[float]:
    """AUROC and pointing of darkness and of P by patches; empty where all or no patch is threat."""
    height, width = energies[0].shape
    scale = LONGEST_CELLS / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    le, he = (resample(one, height=rows, width=columns) for one in energies)
    mean = mean_attenuation(le, he)
    side = max(rows, columns) / PATCHES_ALONG
    down, across = max(1, round(rows / side)), max(1, round(columns / side))
    inside = np.zeros((rows, columns), np.float32)
    for x, y, wide, high in boxes:
        top, bottom = round(y * rows / height), round((y + high) * rows / height)
        left, right = round(x * columns / width), round((x + wide) * columns / width)
        inside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1.0
    there = resample(mean, height=down, width=across) > SOMETHING
    threat = (resample(inside, height=down, width=across) >= 0.5)[there]
    if not threat.any() or threat.all():
        return []
    line = []
    for heat in (gaussian(mean, DARK_BLUR), p_map(le, he, sigma_cells=P_BLUR)):
        scores = resample(np.ascontiguousarray(heat[::STEP, ::STEP]), height=down, width=across)[there]
        line += [auroc(scores, threat), float(threat[int(np.argmax(scores))])]
    return line


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("scans", "told", "usual", "pictures"))
    parser.add_argument("--pieces", type=int, default=24)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--count", type=int, default=150)
    options = parser.parse_args()
    one_thread()
    if options.what == "pictures":
        if options.corpus is None:
            parser.error("pictures needs --corpus")
        pictures(options.corpus, options.count)
        return
    {"scans": scans, "told": told, "usual": usual}[options.what](options.pieces, options.seed)


if __name__ == "__main__":
    main()
