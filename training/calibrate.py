"""Score fresh synthetic pieces through the simulated detector: calibration scores per announced kind, detection per threat, baselines.

Pieces come from seeds that training never saw. The figures are self-graded: the same generator drew the training pieces; its version is
named with them.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from firmware_sims.mail import GENERATIONS, NEWEST_GENERATION, Piece, draw_piece
from firmware_sims.mail_catalogue import CLASSES
from station.screening import conformal, resampling
from station.screening.anomaly_model import OnnxModel
from station.screening.features import attenuation
from station.screening.image import one_thread
from station.screening.manifest import ANNOUNCED_KINDS, UNKNOWN_KIND, Manifest
from station.screening.pipeline import Reader
from station.screening.spots import THREAT_CLASSES
from training.bench import Bench
from training.kinds import MAIL_KINDS, drawn_sort, threats_of

GENERATION = NEWEST_GENERATION
DRAWN = GENERATIONS[GENERATION]
CALIBRATION_SEED, TEST_SEED, FREEZE_SEED = 20_001, 30_001, 40_001
DARK_SHARE = 0.02
BENCH_PIECES = 200


def bare_manifest(sha256: str) -> Manifest:
    """A manifest to read with before there are calibration scores; its thresholds mean nothing."""
    return Manifest(
        name="uncalibrated",
        model_file="",
        model_sha256=sha256,
        grid_mm=0.8,
        side_multiple=16,
        calibration={"unknown": tuple(np.linspace(0, 1, 500).tolist())},
        freeze_score=None,
        freeze_n=0,
        generator_version=GENERATION,
        training_data_sha256="",
        fitted_site=None,
        detection_lower_95=None,
        signed=False,
        metrics={},
        classes=tuple(THREAT_CLASSES),
    )


@dataclass(slots=True)
class Scored:
    """Scores of many pieces, with the kind they are announced as, what is forbidden in them, and what plain darkness says."""

    kinds: list[str] = field(default_factory=list)
    threats: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    darkness: list[float] = field(default_factory=list)
    findings: list[tuple[str, ...]] = field(default_factory=list)
    size_errors_mm: list[float] = field(default_factory=list)

    def chosen(self, *, kind: str | None = None, threat: bool) -> np.ndarray:
        """Scores of benign or threat pieces, of one kind or all."""
        pairs = zip(self.kinds, self.threats, self.scores, strict=True)
        return np.asarray([score for one, what, score in pairs if bool(what) is threat and kind in {None, one}])


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A piece to draw: its own stream of numbers, the kind it is announced as, and what is forbidden in it (None: nothing)."""

    stream: tuple[int, ...]
    kind: str
    threat: str | None = None

    def drawn(self) -> Piece:
        """The piece."""
        rng = np.random.default_rng(self.stream)
        sort = drawn_sort(rng, DRAWN, self.kind, self.threat)
        name = "-".join(str(one) for one in self.stream)
        return draw_piece(rng, serial=1, piece_id=f"CAL-{name}", kind=sort, threat_kind=self.threat, generation=GENERATION)


def scored(model: Path, orders: Sequence[Order], *, seed: int, jobs: int) -> Scored:
    """Read every piece as the station would, each `BENCH_PIECES` on a detector of their own; the same for any number of `jobs`."""
    parts = [(seed + at, orders[at : at + BENCH_PIECES]) for at in range(0, len(orders), BENCH_PIECES)]
    work = partial(_scored_part, model)
    result = Scored()
    with ProcessPoolExecutor(max(1, jobs), mp_context=get_context("spawn")) as pool:
        for one in pool.map(work, parts):
            for name in Scored.__slots__:
                getattr(result, name).extend(getattr(one, name))
    return result


def _scored_part(model: Path, part: tuple[int, Sequence[Order]]) -> Scored:
    one_thread()
    seed, orders = part
    reader = Reader(bare_manifest(""), OnnxModel(model.read_bytes()), alpha=0.05, pictures=False)
    bench = Bench(seed)
    result = Scored()
    for order in orders:
        piece = order.drawn()
        scan = bench.scan(piece)
        read = reader.read(scan)
        dark = attenuation((scan.he[::4, ::4] - scan.dark_he[::4]) / np.maximum(scan.air_he - scan.dark_he, 3000)[::4])
        ordered = np.sort(dark.ravel())
        result.kinds.append(order.kind)
        result.threats.append(piece.threat_kind or "")
        result.scores.append(read.score)
        result.darkness.append(float(ordered[-max(1, int(DARK_SHARE * ordered.size)) :].mean()))
        result.findings.append(tuple(sorted({one.reason.value for one in read.findings})))
        result.size_errors_mm.append(max(abs(read.length_mm - piece.length_mm), abs(read.width_mm - piece.width_mm)))
    return result


def mail_orders(seed: int, count: int) -> list[Order]:
    """Benign pieces, kinds as mail brings them; for the freeze score, which needs very many."""
    return [Order(stream=(seed, at), kind=UNKNOWN_KIND) for at in range(count)]


def benign_orders(seed: int, per_kind: int, kinds: Sequence[str] = ANNOUNCED_KINDS) -> list[Order]:
    """`per_kind` benign pieces of each kind, in turn; of unknown kind are pieces as mail brings them."""
    return [Order(stream=(seed, at, number), kind=kind) for number in range(per_kind) for at, kind in enumerate(kinds)]


def threat_orders(seed: int, per_threat: int) -> list[Order]:
    """`per_threat` pieces of each threat in each kind that carries it."""
    return [
        Order(stream=(seed, at, CLASSES.index(threat) + 1, number), kind=kind, threat=threat)
        for number in range(per_threat)
        for at, kind in enumerate(MAIL_KINDS)
        for threat in threats_of(DRAWN, kind)
    ]


def auroc(benign: np.ndarray, threat: np.ndarray) -> float:
    """Share of pairs in which the threat scores higher; ties count half."""
    return resampling.auroc(np.concatenate([benign, threat]), np.arange(len(benign) + len(threat)) >= len(benign))


def calibration_scores(scored: Scored) -> dict[str, list[float]]:
    """Benign scores of each kind that tracking may announce, sorted; `unknown` has pieces of its own, as mail brings them."""
    return {kind: sorted(round(float(score), 7) for score in scored.chosen(kind=kind, threat=False)) for kind in ANNOUNCED_KINDS}


def detection(calibration: dict[str, list[float]], test: Scored, *, alpha: float) -> dict[str, Any]:
    """How the thresholds do on the test pieces."""
    alarms = np.asarray(
        [score >= conformal.threshold(calibration[kind], alpha) for kind, score in zip(test.kinds, test.scores, strict=True)],
    )
    held = alarms | np.asarray([bool(found) for found in test.findings])
    truth = np.asarray([bool(what) for what in test.threats])
    kinds, whats = np.asarray(test.kinds), np.asarray(test.threats)
    return {
        "alpha": alpha,
        "benign": int((~truth).sum()),
        "threats": int(truth.sum()),
        "benign_alarmed": float(alarms[~truth].mean()),
        "benign_held": float(held[~truth].mean()),
        "benign_with_findings": float(np.mean([bool(found) for found, bad in zip(test.findings, truth, strict=True) if not bad])),
        "threats_alarmed": float(alarms[truth].mean()),
        "threats_held": float(held[truth].mean()),
        "auroc": auroc(test.chosen(threat=False), test.chosen(threat=True)),
        "auroc_darkness": auroc(np.asarray(test.darkness)[~truth], np.asarray(test.darkness)[truth]),
        "held_by_threat": {str(what): float(held[whats == what].mean()) for what in np.unique(whats[truth])},
        "alarmed_by_threat": {str(what): float(alarms[whats == what].mean()) for what in np.unique(whats[truth])},
        "held_by_kind": {str(kind): float(held[truth & (kinds == kind)].mean()) for kind in np.unique(kinds)},
        "benign_held_by_kind": {str(kind): float(held[~truth & (kinds == kind)].mean()) for kind in np.unique(kinds)},
        "auroc_by_kind": {
            str(kind): auroc(test.chosen(kind=str(kind), threat=False), test.chosen(kind=str(kind), threat=True))
            for kind in np.unique(kinds)
        },
        "worst_size_error_mm": float(np.max(test.size_errors_mm)),
    }
