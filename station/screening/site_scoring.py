"""The work of a site's fit: the head from one part of the pieces, scores of the others. What they mean is judged elsewhere."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from station.domain.errors import ScreeningError
from station.screening.features import CHANNELS
from station.screening.image import dilated
from station.screening.manifest import Manifest
from station.screening.picture_scores import Scorer, in_threads
from station.screening.pipeline import HEAT_STRIDE, Reader, padded_channels
from station.screening.projection import Library
from station.screening.site_fit import Cells, Head, fit_head, head_of, picked, with_head
from station.screening.site_pieces import BenignPiece, Rng, Seen, Source
from station.screening.site_split import Parts, digest_of

FloatArray = npt.NDArray[np.float32]
Phase = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many pieces are done."""
Result = TypeVar("Result")

SEED = 1
MOST_FITTED = 250
"""More pieces would not change a few dozen numbers, and would take memory that a station beside needs."""
THREATS_TO_FIT, THREATS_TO_MEASURE = 3, 4
"""Projections into each piece."""
CELLS_OF_SCAN = 150
"""As many cells of a scan are taken at most of the threat, and of the rest."""
HOTTEST = 64
LEAST_COVERED = 0.25
"""Share of a cell from which it counts as threat; those with less, and their neighbours, count as neither."""

FITTING, CALIBRATING, MEASURING = "ước lượng / fitting", "hiệu chuẩn / calibrating", "đo / measuring"


class Network(Protocol):
    """A loaded model that shows what its head sees; as `anomaly_model.OnnxModel` is, and safe to call from several threads."""

    def __call__(self, channels: FloatArray) -> tuple[npt.NDArray[np.generic], ...]:
        """See `pipeline.Inference`."""
        ...

    def features(self, channels: FloatArray) -> FloatArray:
        """Features of each cell, (n, rows/4, columns/4)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The model whose head is fitted, proved, and how a file is loaded."""

    manifest: Manifest
    data: bytes
    load: Callable[[bytes], Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """What the model in use and the candidate said of one projection."""

    threat_class: str
    old: float
    new: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPiece:
    """One piece that nothing was fitted or calibrated on, without and with threats."""

    name: str
    kind: str
    old: float
    new: float
    threats: tuple[Threat, ...]


@dataclass(slots=True, kw_only=True)
class SiteScores:
    """All that the work gave. `calibration` holds (piece, score); `left_out` says why a piece did not serve."""

    model: bytes
    calibration: list[tuple[BenignPiece, float]] = field(default_factory=list)
    measured: list[MeasuredPiece] = field(default_factory=list)
    fitted: list[BenignPiece] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def require_head(delivered: Delivered) -> Head:
    """The head that can be fitted here.

    Raises:
        ScreeningError: the model has none, or does not show what it sees; what to do then.
    """
    side = 4 * HEAT_STRIDE * delivered.manifest.side_multiple
    try:
        head = head_of(delivered.data)
        seen = len(delivered.load(delivered.data).features(np.zeros((1, len(CHANNELS), side, side), np.float32)))
        if seen == len(head.weights):
            return head
        why = f"its head has {len(head.weights)} weights for {seen} features"
    except ScreeningError as error:
        why = error.what
    raise ScreeningError(
        f"Model {delivered.manifest.name} has no head that a site could fit ({why})",
        consequence="nothing was fitted; the model in use stays as it is",
        remedy="Install a model that gives features and has a linear head (docs/reference/training.md), name it in screening.model, "
        "and run this again; until then people clear",
    )


def run(
    delivered: Delivered, in_use: Scorer, parts: Parts, libraries: tuple[Library, Library], *, seed: int, jobs: int, progress: Phase
) -> SiteScores:
    """Fit, then score; the same for any number of `jobs`.

    Args:
        delivered: what is fitted.
        in_use: the model that is in use now, to be measured beside the new one.
        parts: the pieces.
        libraries: threats to fit with and threats to measure with.
        seed: of what is drawn.
        jobs: how many pieces at the same time.
        progress: is told.

    Raises:
        ScreeningError: the model has no head, or nothing could be projected.
    """
    head, network = require_head(delivered), delivered.load(delivered.data)
    multiple = delivered.manifest.side_multiple
    fitted: list[BenignPiece] = []
    benign: list[Cells] = []
    threats: list[tuple[str, Cells]] = []
    left_out: dict[str, str] = {}

    def fit_piece(source: Source, rng: Rng) -> list[tuple[str, Cells]]:
        projected = (source.with_threat(libraries[0], rng) for _ in range(THREATS_TO_FIT))
        return [
            (one.threat_class, _cells(one, network, head, multiple=multiple, rng=rng))
            for one in (source.seen(), *projected)
            if one is not None
        ]

    def each(work: Callable[[Source, Rng], Result], part: Sequence[BenignPiece], phase: str) -> Iterator[tuple[BenignPiece, Result]]:
        for piece, found in _each(work, part, phase, seed=seed, jobs=jobs, progress=progress):
            if isinstance(found, ScreeningError):
                left_out[piece.name] = found.what
            else:
                yield piece, found

    for piece, ((_, plain), *found) in each(fit_piece, parts.fitting[:MOST_FITTED], FITTING):
        fitted.append(piece)
        benign.append(plain)
        threats += found
    new_head = settled(fit_head([*benign, *_evenly(threats)], head), head, benign)
    data = with_head(delivered.data, new_head)
    manifest = replace(delivered.manifest, model_sha256=hashlib.sha256(data).hexdigest())
    # its score alone is asked for; the thresholds are those of the delivered model and mean nothing here
    candidate = Reader(manifest, delivered.load(data), alpha=0.05, pictures=False)
    result = SiteScores(model=data, fitted=fitted, left_out=left_out)

    def score(source: Source, _: Rng) -> float:
        return _score(candidate, source.seen())

    def measure(source: Source, rng: Rng) -> tuple[float, float, tuple[Threat, ...]]:
        seen = source.seen()
        projected = (source.with_threat(libraries[1], rng) for _ in range(THREATS_TO_MEASURE))
        return (
            _score(in_use, seen),
            _score(candidate, seen),
            tuple(
                Threat(threat_class=one.threat_class, old=_score(in_use, one), new=_score(candidate, one))
                for one in projected
                if one is not None
            ),
        )

    result.calibration += each(score, parts.calibrating, CALIBRATING)
    for piece, (old, new, found_by) in each(measure, parts.measuring, MEASURING):
        result.measured.append(MeasuredPiece(name=piece.name, kind=piece.kind, old=old, new=new, threats=found_by))
    return result


def settled(new: Head, shipped: Head, benign: Sequence[Cells]) -> Head:
    """The new head with its bias such that the hottest cells of a middling benign piece are as hot as under the shipped head.

    The fit weighs threat and other cells alike, so that its own bias would heat every picture; what the network makes of the head's
    answers afterwards (heat map, score) was trained with the shipped head's level.
    """
    old_level, new_level = (
        float(np.median([np.sort(one.features @ head.weights)[-HOTTEST:].mean() for one in benign])) for head in (shipped, new)
    )
    return replace(new, bias=np.float32(old_level + float(shipped.bias) - new_level))


def _cells(seen: Seen, network: Network, head: Head, *, multiple: int, rng: Rng) -> Cells:
    """Cells of one scan. As in training each scan counts the same: its threat, all other cells, and the hottest of those once more."""
    channels = padded_channels(seen.le, seen.he, multiple=multiple)
    rows, columns = (-(-side // HEAT_STRIDE) for side in seen.le.shape)
    features = network.features(channels[None])[:, :rows, :columns]
    covered = np.zeros((rows, columns), np.float32) if seen.covered is None else seen.covered
    threat = covered >= LEAST_COVERED
    beside = dilated(covered > 0, 3)
    places = np.argwhere(threat)
    if len(places) > CELLS_OF_SCAN:
        threat = np.zeros_like(threat)
        threat[tuple(rng.choice(places, CELLS_OF_SCAN, replace=False).T)] = True
    sure = threat | ~beside
    chosen = picked(features[:, sure], threat[sure], head, most=CELLS_OF_SCAN, rng=rng)
    weights = np.zeros(len(chosen.threat), np.float32)
    for part in (chosen.threat, ~chosen.threat):
        weights[part] = chosen.weights[part] / max(float(chosen.weights[part].sum()), 1.0)
    others = np.flatnonzero(~chosen.threat)
    hottest = others[np.argsort(chosen.features[others] @ head.weights)[-HOTTEST:]]
    weights[hottest] += np.float32(1 / max(len(hottest), 1))
    return replace(chosen, weights=weights)


def _evenly(threats: Sequence[tuple[str, Cells]]) -> list[Cells]:
    """The same cells, the threats of each class counting the same in all: small things fit more often, and are not more dangerous."""
    count = Counter(name for name, _ in threats)
    return [
        replace(cells, weights=np.where(cells.threat, cells.weights / np.float32(count[name]), cells.weights)) for name, cells in threats
    ]


def _score(scorer: Scorer, seen: Seen) -> float:
    return scorer.score(seen.le, seen.he).score


def _each(
    work: Callable[[Source, Rng], Result], part: Sequence[BenignPiece], phase: str, *, seed: int, jobs: int, progress: Phase
) -> Iterator[tuple[BenignPiece, Result | ScreeningError]]:
    """Results in the order of the pieces; each piece has its own chance, whatever the others do."""

    def one(piece: BenignPiece) -> Result | ScreeningError:
        rng = np.random.default_rng([seed, int.from_bytes(digest_of(piece.name)[8:16])])
        try:
            return work(piece.load(), rng)
        except ScreeningError as error:
            return error

    results = in_threads(one, part, jobs=jobs, progress=lambda done, total: progress(phase, done, total))
    return zip(part, results, strict=True)


def scores_by_kind(calibration: Sequence[tuple[BenignPiece, float]], unknown: str) -> Mapping[str, list[float]]:
    """Sorted scores of each kind; `unknown` holds those of all pieces."""
    result: dict[str, list[float]] = {unknown: sorted(score for _, score in calibration)}
    for kind in sorted({piece.kind for piece, _ in calibration} - {unknown}):
        result[kind] = sorted(score for piece, score in calibration if piece.kind == kind)
    return result
