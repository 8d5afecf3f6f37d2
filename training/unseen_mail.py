"""Mail that no training saw, through the simulated detector: which pieces there are, and what every scorer makes of each.

A piece depends on seed, kind, forbidden thing and number; the detector's noise on the block of pieces that pass one bench together.
Scores are kept in a file, a line for each block, so that an interrupted run goes on and a larger one adds to it.
"""

import fcntl
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from firmware_sims.mail import GENERATIONS, Piece, draw_piece
from station.domain.errors import ConfigurationError
from station.ports.screening import RawScan
from station.screening.anomaly_model import OnnxModel
from station.screening.baselines import RANDOM, chance, plain_scores
from station.screening.correction import correct_scan
from station.screening.features import to_grid
from station.screening.findings import find
from station.screening.image import one_thread
from station.screening.manifest import UNKNOWN_KIND, Manifest
from station.screening.measure import measure
from station.screening.pipeline import Reader, reading_window
from training.bench import Bench
from training.conditions import NOMINAL
from training.kinds import MAIL_KINDS, drawn_sort, threats_of
from training.make_dataset import shown
from training.visibility import visibility

UNSEEN_SEED = 50_001
"""Training draws from seeds below 10 000, calibration and its test from 20 000 to 49 999."""
BLOCK = 20
ALPHA = 0.05
FLAT, PARCELS = "envelopes and packets", "parcels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """What one generation of mail draws: kinds as they are announced, and the forbidden things of each kind."""

    version: int
    kinds: tuple[str, ...]
    threats: Mapping[str, tuple[str, ...]]

    def draw(self, seed: int, kind: str, threat: str, number: int) -> Piece:
        """One piece; `threat` is empty for none. Its `kind` is the generator's sort, drawn as mail brings them."""
        rng = np.random.default_rng((seed, number, zlib.crc32(kind.encode()), zlib.crc32(threat.encode())))
        sort = drawn_sort(rng, GENERATIONS[self.version], kind, threat or None)
        piece_id = f"UNSEEN-{kind}-{threat or 'benign'}-{number}"
        return draw_piece(rng, serial=number + 1, piece_id=piece_id, kind=sort, threat_kind=threat or None, generation=self.version)


def generator(version: int | None = None) -> Generator:
    """A generation of mail; the newest when None.

    Raises:
        ConfigurationError: there is no such generation.
    """
    chosen = max(GENERATIONS) if version is None else version
    if chosen not in GENERATIONS:
        known = ", ".join(map(str, sorted(GENERATIONS)))
        raise ConfigurationError(f"There is no mail of generation {chosen}", remedy=f"Give one of {known}")
    drawn = GENERATIONS[chosen]
    return Generator(version=chosen, kinds=MAIL_KINDS, threats={kind: tuple(threats_of(drawn, kind)) for kind in MAIL_KINDS})


def visibility_of(piece: Piece) -> float:
    """Detectability of the forbidden thing in the nominal scanner's noise."""
    seen = shown(piece, NOMINAL)
    return visibility(seen.t, seen.without, NOMINAL)[0]


def group_of(kind: str) -> str:
    """Thin mail, or parcels."""
    return FLAT if kind in {"envelope", "packet"} else PARCELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Pieces `first` … `first + count − 1` of one kind with one forbidden thing (empty: none)."""

    kind: str
    threat: str
    first: int
    count: int

    @property
    def key(self) -> str:
        """Its name in the file of scores."""
        return f"{self.kind}/{self.threat}/{self.first}+{self.count}"


def blocks(source: Generator, *, per_kind: int, per_threat: int, only: str = "", unknown: bool = False) -> list[Block]:
    """Benign pieces of every kind, and every forbidden thing (or `only` one) in every kind that carries it.

    Asked for with `unknown`: as many benign pieces that nobody announced, which come as mail brings them.
    """
    wanted = [(kind, "", per_kind) for kind in (*source.kinds, *([UNKNOWN_KIND] if unknown else []))]
    wanted += [(kind, threat, per_threat) for kind in source.kinds for threat in source.threats[kind] if only in {"", threat}]
    return [
        Block(kind=kind, threat=threat, first=first, count=min(BLOCK, count - first))
        for kind, threat, count in wanted
        for first in range(0, count, BLOCK)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One piece: the kind it is announced as, the score of each scorer, the findings that need no model, how visible what is forbidden is.

    `visibility` is the detectability that the generator's physics gives it in the nominal scanner, 0 for a benign piece.
    """

    kind: str
    threat: str
    number: int
    visibility: float
    scores: Mapping[str, float]
    findings: tuple[str, ...]
    size_error_mm: float


def scan_of(source: Generator, seed: int, block: Block) -> Iterator[tuple[int, Piece, RawScan]]:
    """The pieces of a block through one bench, in order: number, piece, scan."""
    bench = Bench(zlib.crc32(f"{seed}/{block.kind}/{block.threat}/{block.first}".encode()))
    for number in range(block.first, block.first + block.count):
        piece = source.draw(seed, block.kind, block.threat, number)
        yield number, piece, bench.scan(piece)


def score_block(manifest: Manifest, models: Mapping[str, bytes], version: int, seed: int, block: Block) -> list[dict[str, Any]]:
    """Every piece of a block, as lines of the file of scores."""
    one_thread()
    source = generator(version)
    readers = {name: Reader(manifest, OnnxModel(data), alpha=ALPHA, pictures=False) for name, data in models.items()}
    lines = []
    for number, piece, scan in scan_of(source, seed, block):
        grid = to_grid(correct_scan(scan))
        there = measure(grid)
        window = reading_window(grid, there)
        le, he = grid.le[window], grid.he[window]
        scores = {name: reader.score(le, he).score for name, reader in readers.items()}
        scores |= plain_scores(le, he).scores
        scores[RANDOM] = float(chance(piece.piece_id).random())
        scored = Scored(
            kind=block.kind,
            threat=block.threat,
            number=number,
            visibility=visibility_of(piece) if block.threat else 0.0,
            scores={name: round(score, 7) for name, score in scores.items()},
            findings=tuple(sorted({one.reason.value for one in find(scan, grid, there)})),
            size_error_mm=round(max(abs(there.length_mm - piece.length_mm), abs(there.width_mm - piece.width_mm)), 2),
        )
        lines.append(asdict(scored))
    return lines


class ScoreFile:
    """Scores on disk: what they are of, then a line for each block. One run at a time has the file.

    Raises:
        ConfigurationError: the file is of other models, another seed or generation, is no file of scores, cannot be written, or is in use.
    """

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self._done: dict[str, list[Scored]] = {}
        try:
            self._file = path.open("a+", encoding="utf-8")
        except OSError as error:
            remedy = "Name a file in a directory that exists"
            raise ConfigurationError(f"--scores {path} cannot be written ({error.strerror})", remedy=remedy) from error
        try:
            self._take(path, head)
        except BaseException:
            self._file.close()
            raise

    def _take(self, path: Path, head: Mapping[str, Any]) -> None:
        """Lock the file and read what is there."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            remedy = "Wait for it, or name another file with --scores"
            raise ConfigurationError(f"{path} is in use by another run", consequence="scores would be mixed", remedy=remedy) from error
        try:
            self._file.seek(0)
            # a run that was killed may have left half a line
            whole, _, rest = self._file.read().rpartition("\n")
            if not whole and not rest:
                self._append(head)
                return
            first, *lines = (whole or rest).split("\n")
            found = dict(json.loads(first))
            for line in lines:
                block = json.loads(line)
                self._done[block["block"]] = [_scored(one) for one in block["pieces"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path} is no file of scores ({error})", remedy="Name another file, or delete it") from error
        if found != head:
            differing = sorted(key for key in {*found, *head} if found.get(key) != head.get(key))
            raise ConfigurationError(
                f"{path} holds scores with another {', '.join(differing)}",
                consequence="figures of two kinds would be mixed",
                remedy="Name another file with --scores, or delete it",
            )
        if rest and whole:
            self._file.truncate(len(whole.encode()) + 1)

    def _append(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Let another run have the file."""
        self._file.close()

    def lacking(self, wanted: Sequence[Block]) -> list[Block]:
        """Blocks that are still to be scored."""
        return [block for block in wanted if block.key not in self._done]

    def add(self, block: Block, pieces: list[dict[str, Any]]) -> None:
        """Keep a block."""
        self._append({"block": block.key, "pieces": pieces})
        self._done[block.key] = [_scored(one) for one in pieces]

    def pieces(self, wanted: Sequence[Block]) -> list[Scored]:
        """All pieces of these blocks, in their order."""
        return [piece for block in wanted for piece in self._done[block.key]]


def _scored(line: Mapping[str, Any]) -> Scored:
    return Scored(**{**line, "findings": tuple(line["findings"])})


def score_mail(
    manifest: Manifest,
    models: Mapping[str, bytes],
    wanted: Sequence[Block],
    *,
    source: Generator,
    seed: int,
    file: ScoreFile,
    jobs: int,
    progress: Callable[[int, int], None],
) -> list[Scored]:
    """Scores of all wanted pieces; those that the file has are not scored again. The result does not depend on `jobs`."""
    left = file.lacking(wanted)
    total = sum(block.count for block in wanted)
    done = total - sum(block.count for block in left)
    progress(done, total)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(score_block, manifest, models, source.version, seed, block): block for block in left}
        for ended in as_completed(running):
            file.add(running[ended], ended.result())
            done += running[ended].count
            progress(done, total)
    return file.pieces(wanted)
