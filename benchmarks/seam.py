"""`python -m benchmarks.seam [--pairs N] [--seed S]`: can a projected threat be told by its seam alone from one that really lay there?

Matched pairs: the same piece of simulated mail is scanned twice by the same simulated detector, once without and once with the same thing
in the same place. Into the first scan the thing is projected. A classifier sees nothing but a ring along the thing's outline, as features
that know no thing: noise, its likeness in both energies, its neighbours, how counts are rounded, gradients, steps. Cross-validated by
pairs; intervals are 95 % bootstrap over pairs. Beside it the same for a naive projection, so that the measurement is known to see
something.

Three figures each: `pooled` is the AUROC over all rings, `within pairs` how often the projected ring of a pair scores higher, and
`differences` the AUROC of a classifier that is given both rings of a pair, which nobody at a station ever is: the strictest one.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.ring import FEATURES, ring_features
from firmware_sims.body import ThingBody
from firmware_sims.mail import KIND_SHARES, draw_piece
from station.ports.screening import RawScan
from station.screening.correction import correct_scan
from station.screening.projection import Library, Pose, Thing, choose, project, shipped_library
from station.screening.projection.project import thickness_in, window_of
from training.bench import Bench
from training.calibrate import auroc
from training.make_threat_library import SEED as LIBRARY_SEED
from training.make_threat_library import centred, drawn_thing, laid

FloatArray = npt.NDArray[np.float64]

PIXELS = 512
PIXEL_MM = 0.8
TUBE_KV = 160.0
SAMPLES = 6
"""Rays per pixel and direction at the edges of the thing that really lies there: the simulated detector sees them as an aperture does."""
FOLDS = 10
BOOTSTRAPS = 2000
ARMS = ("real", "projected", "naive")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidBody:
    """A piece laid on a known pixel: as wide as the belt, with air beside it."""

    body: ThingBody
    pixel: int

    @property
    def length_mm(self) -> float:
        """See `Body`."""
        return self.body.length_mm

    @property
    def width_mm(self) -> float:
        """See `Body`."""
        return PIXELS * PIXEL_MM

    def transmission(self, *, tube_kv: float, line_mm: float, pixel_mm: float) -> npt.NDArray[np.float32]:
        """See `Body`."""
        own = self.body.transmission(tube_kv=tube_kv, line_mm=line_mm, pixel_mm=pixel_mm)
        whole = np.ones((2, own.shape[1], PIXELS), dtype=np.float32)
        covered = min(own.shape[2], PIXELS - self.pixel)
        whole[:, :, self.pixel : self.pixel + covered] = own[:, :, :covered]
        return whole


def naive(scan: RawScan, thing: Thing, pose: Pose, library: Library) -> RawScan:
    """The thing's transmission through air, times the counts: no hardening, no scatter, no noise of its own."""
    beam = library.beam(TUBE_KV)
    seen = correct_scan(scan)
    window = window_of(thing, pose, line_mm=seen.line_mm, pixel_mm=seen.pixel_mm, shape=seen.le.shape)
    thickness = thickness_in(thing, pose, window, line_mm=seen.line_mm, pixel_mm=seen.pixel_mm)
    flat = thickness.reshape(len(thing.materials), -1)
    ratio = beam.behind(np.zeros((2, flat.shape[1]), dtype=np.float32), flat, thing.materials).reshape(2, *thickness.shape[1:])
    counts = []
    for energy, (raw, dark, lag) in enumerate(((scan.le, scan.dark_le, 0), (scan.he, scan.dark_he, scan.info.he_lag_lines))):
        changed = raw.copy()
        there = (slice(window.line + lag, window.line + lag + window.lines), window.there[1])
        below = dark[there[1]]
        changed[there] = np.clip(np.rint((raw[there] - below) * ratio[energy] + below), 0, scan.info.full_scale).astype(np.uint16)
        counts.append(changed)
    return replace(scan, le=counts[0], he=counts[1])


def pair(task: tuple[int, int]) -> tuple[str, str, list[FloatArray]] | None:
    """Kind of piece, thing and the features of each arm of one pair; None when nothing of the library fits into the piece."""
    seed, number = task
    rng = np.random.default_rng((seed, number))
    kind = list(KIND_SHARES)[number % len(KIND_SHARES)]
    piece = draw_piece(rng, serial=1, piece_id=f"SEAM-{seed}-{number}", kind=kind)
    body = piece.body
    if not isinstance(body, ThingBody):
        raise TypeError(f"piece {number} has no parts")
    room = PIXELS - math.ceil(body.width_mm / PIXEL_MM)
    pixel = min(max(room // 2 + int(rng.integers(-6, 7)), 0), max(room, 0))
    bench = Bench(int(rng.integers(2**31)), pixels=PIXELS)
    library = shipped_library()

    def scanned(inside: ThingBody) -> tuple[RawScan, float]:
        lying = LaidBody(body=inside, pixel=pixel)
        return bench.scan(replace(piece, body=lying, length_mm=inside.length_mm, width_mm=lying.width_mm)), bench.leading_edge_mm

    plain, edge_mm = scanned(body)
    chosen = choose(plain, library, rng)
    if chosen is None:
        return None
    thing, pose = chosen.thing, chosen.pose
    class_name, form, which = thing.thing_id.rsplit("-", 2)
    parts, length, width = centred(drawn_thing(LIBRARY_SEED, class_name, form, int(which) - 1))
    parts = laid(parts, x_mm=-length / 2, y_mm=-width / 2, angle_rad=0.0)
    parts = laid(parts, x_mm=pose.x_mm - edge_mm, y_mm=pose.y_mm - pixel * PIXEL_MM, angle_rad=pose.angle_rad)
    parts = [replace(part, samples=SAMPLES) for part in parts]
    real, real_edge_mm = scanned(replace(body, parts=(*body.parts, *parts)))
    arms = {
        "real": (real, replace(pose, x_mm=pose.x_mm - edge_mm + real_edge_mm)),
        "projected": (project(plain, thing, pose, library, tube_kv=TUBE_KV, rng=rng).scan, pose),
        "naive": (naive(plain, thing, pose, library), pose),
    }
    return kind, thing.thing_id, [ring_features(*arms[name], thing) for name in ARMS]


def _ranked(train: FloatArray, test: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each feature as its rank among the training set, −1…1: no feature may rule by its scale, and none by its outliers."""
    order = np.sort(train, axis=0)
    columns = range(train.shape[1])
    both = [
        np.stack([np.searchsorted(order[:, c], values[:, c]) for c in columns], axis=1) / len(train) * 2 - 1 for values in (train, test)
    ]
    return both[0], both[1]


def logistic(train: FloatArray, labels: FloatArray, test: FloatArray, *, ridge: float = 20.0) -> FloatArray:
    """Scores of a logistic regression with a ridge, by Newton's method."""
    x, z = (np.hstack([values, np.ones((len(values), 1))]) for values in (train, test))
    penalty = np.eye(x.shape[1]) * ridge
    penalty[-1, -1] = 1e-6
    weights = np.zeros(x.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-(x @ weights)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        weights -= np.linalg.solve(hessian, x.T @ (p - labels) + penalty @ weights)
    return z @ weights


def boosted(train: FloatArray, labels: FloatArray, test: FloatArray, *, rounds: int = 80, rate: float = 0.15) -> FloatArray:
    """Scores of boosted stumps with the logistic loss: each cuts one feature at one of fifteen places."""
    cuts = np.linspace(-0.875, 0.875, 15)
    above = train[:, :, None] > cuts
    score, found = np.zeros(len(train)), np.zeros(len(test))
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-score))
        gradient, curvature = labels - p, p * (1 - p)
        g1, h1 = np.einsum("i,ijk->jk", gradient, above), np.einsum("i,ijk->jk", curvature, above)
        g0, h0 = gradient.sum() - g1, curvature.sum() - h1
        feature, cut = np.unravel_index(int(np.argmax(g1**2 / (h1 + 2) + g0**2 / (h0 + 2))), g1.shape)
        up, down = g1[feature, cut] / (h1[feature, cut] + 2), g0[feature, cut] / (h0[feature, cut] + 2)
        score += rate * np.where(above[:, feature, cut], up, down)
        found += rate * np.where(test[:, feature] > cuts[cut], up, down)
    return found


def both(train: FloatArray, labels: FloatArray, test: FloatArray) -> FloatArray:
    """The mean of both classifiers' scores, each in units of its own spread."""
    scores = [one(train, labels, test) for one in (logistic, boosted)]
    result: FloatArray = np.sum([score / max(float(score.std()), 1e-9) for score in scores], axis=0)
    return result


Classifier = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def scores_of(real: FloatArray, fake: FloatArray, seed: int, classifier: Classifier = both) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cross-validated scores, both arms of a pair always in the same fold: real, fake, and that of each pair's difference."""
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(real)) % FOLDS
    out = np.zeros((3, len(real)))
    for number in range(FOLDS):
        held, kept = fold == number, fold != number
        train, test = _ranked(np.vstack([real[kept], fake[kept]]), np.vstack([real[held], fake[held]]))
        n, m = int(kept.sum()), int(held.sum())
        scored = classifier(train, np.repeat([0.0, 1.0], n), test)
        out[0, held], out[1, held] = scored[:m], scored[m:]
        change = fake - real
        scale = np.median(np.abs(change[kept]), axis=0) + 1e-12
        # each difference both ways round, so that its sign is all that there is to learn
        bounded = np.clip(change / scale, -4, 4) / 4
        out[2, held] = classifier(
            np.vstack([bounded[kept], -bounded[kept]]), np.repeat([1.0, 0.0], n), np.vstack([bounded[held], -bounded[held]])
        )[:m]
    return out[0], out[1], out[2]


def _interval(figure: Callable[[npt.NDArray[np.intp]], float], count: int, seed: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    drawn = [figure(rng.integers(count, size=count)) for _ in range(BOOTSTRAPS)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return figure(np.arange(count)), float(low), float(high)


def judged(real: FloatArray, fake: FloatArray, seed: int) -> dict[str, tuple[float, float, float]]:
    """The three figures of one arm against the real one, each with its interval."""
    zero, one, change = scores_of(real, fake, seed)
    return {
        "pooled": _interval(lambda pick: auroc(zero[pick], one[pick]), len(real), seed),
        "within pairs": _interval(lambda pick: float(np.mean((one[pick] > zero[pick]) + 0.5 * (one[pick] == zero[pick]))), len(real), seed),
        "differences": _interval(lambda pick: auroc(-change[pick], change[pick]), len(real), seed),
    }


def _feature_lines(real: FloatArray, fake: FloatArray) -> list[str]:
    """Each feature by itself, those first that go the same way in most pairs."""
    change = fake - real
    rises = (change > 0).mean(axis=0)
    errors = change.mean(axis=0) / (change.std(axis=0) / math.sqrt(len(change)) + 1e-12)
    order = sorted(range(len(FEATURES)), key=lambda column: -abs(float(rises[column]) - 0.5))
    return [
        f"{FEATURES[c]:24s} pooled {auroc(real[:, c], fake[:, c]):.3f}  rises in {rises[c]:.3f}  by {errors[c]:+.1f} s.e." for c in order
    ]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--features", action="store_true", help="also each feature's own AUROC")
    parser.add_argument("--save", help="the features as .npz, to look at")
    parser.add_argument("--json")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.workers) as pool:
        drawn = list(pool.map(pair, [(given.seed, number) for number in range(given.pairs)], chunksize=4))
    found = [one for one in drawn if one is not None]
    data = np.asarray([features for _, _, features in found])
    if given.save:
        np.savez(given.save, data=data, kinds=[one[0] for one in found], things=[one[1] for one in found])
    _say(f"seed {given.seed}: {len(found)} pairs ({given.pairs - len(found)} pieces with no room), {data.shape[2]} features")
    _say(f"{'projection':12s} {'figure':14s} {'AUROC':>6s} {'95 % interval':>16s}")
    result: dict[str, dict[str, tuple[float, float, float]]] = {}
    for number, arm in enumerate(ARMS[1:], start=1):
        result[arm] = judged(data[:, 0], data[:, number], given.seed)
        for name, (value, low, high) in result[arm].items():
            _say(f"{arm:12s} {name:14s} {value:6.3f} {low:8.3f}…{high:.3f}")
    if given.features:
        for line in _feature_lines(data[:, 0], data[:, 1]):
            _say(line)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:  # noqa: PTH123 - named by the caller
            json.dump({"seed": given.seed, "pairs": len(found), "figures": result}, file, indent=1)


if __name__ == "__main__":
    main()
