"""Draw synthetic pieces and keep what the beam sees of each, where the forbidden thing is and how visible it is.

    python -m training.make_dataset --out DIR --count 3000 --seed 1 [--jobs 2] [--preview sheet.png]

One `.npz` per piece: `t` (2, rows, columns) u16, transmission of LE and HE × 65535 on a 0.8 mm grid in the drawn beam, without the
scanner's noise; `mask` (rows/4, columns/4) u8, the class of the forbidden thing that covers the cell (place in `CLASSES` plus one, 0 for
none); `labels`, the same with the everyday thing where nothing forbidden lies (place in `LABELS` plus one); `kind`, `threat_kind` ("" for
none), `generator`, `visibility` and `conspicuity` (`training.visibility`; 0 for none), `conditions` (JSON). A scan of the piece is
`training.conditions.detected` of `t` under them. A piece depends on seed and number alone: a set may be drawn by any number of processes,
in parts (`--first`), and is taken up where it was left. Nothing but our own generator is drawn from.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from firmware_sims.body import ThingBody
from firmware_sims.mail import GENERATIONS, GENERATOR_VERSION, NEWEST_GENERATION, Piece, draw_piece
from firmware_sims.mail_catalogue import CLASSES, LABELS
from firmware_sims.xray_physics import FloatArray, piece_transmission, with_scatter
from training.conditions import GRID_MM, NOMINAL, Conditions, draw_conditions
from training.contact_sheet import write_sheet
from training.visibility import visibility

MASK_CELL = 4
SHIELD = "shield"
"""Lies over what it hides, in the mask too."""
COVERS_SHARE = 0.007
"""A cell is covered where the thing alone takes so much of LE: a single thin bag round it does not."""
CHUNK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Which pieces a set holds: `threat_share` of them with something forbidden, all of one `kind` or kinds as mail brings them."""

    seed: int
    threat_share: float = 0.5
    kind: str | None = None
    generation: int = GENERATOR_VERSION


def drawn_piece(seed: int, number: int, *, threat_share: float, kind: str | None = None, generation: int = GENERATOR_VERSION) -> Piece:
    """Piece `number` of the set `seed`; where no kind is said, kinds are drawn evenly enough that each gets its share of training.

    Raises:
        KeyError: an unknown kind or generation.
    """
    drawn = GENERATIONS[generation]
    rng = np.random.default_rng((seed, number))
    if kind is None:
        kinds = list(drawn.kind_shares)
        weights = np.asarray([drawn.kind_shares[one] for one in kinds]) + 0.15
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    threat_kind = None
    if rng.random() < threat_share:
        shares = drawn.threat_shares[kind]
        even = np.asarray(list(shares.values())) + 0.5
        threat_kind = list(shares)[int(rng.choice(len(shares), p=even / even.sum()))]
    piece_id = f"SYN-{seed}-{number}"
    return draw_piece(rng, serial=number + 1, piece_id=piece_id, threat_kind=threat_kind, kind=kind, generation=generation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the beam sees: transmission (2, rows, columns) with and without what is forbidden, and where each class of it lies."""

    t: FloatArray
    without: FloatArray
    mask: npt.NDArray[np.uint8]


def labels(piece: Piece, mask: npt.NDArray[np.uint8], conditions: Conditions) -> npt.NDArray[np.uint8]:
    """What each cell holds (place in `LABELS` plus one): what is forbidden as in `mask`, else the everyday thing that takes most of LE."""
    body = _made_of_parts(piece)
    most = np.full(mask.shape, COVERS_SHARE, np.float32)
    found = np.zeros_like(mask)
    for name in sorted({part.thing for part in body.parts if part.thing}):
        alone = replace(body, parts=tuple(part for part in body.parts if part.thing == name), grain=0.0)
        things = alone.thickness_maps_mm(line_mm=GRID_MM, pixel_mm=GRID_MM)
        there = np.stack(list(things.values())).max(axis=0) > 0
        takes = np.zeros(there.shape, np.float32)
        takes[there] = 1.0 - _through(things, there, conditions)[0]
        cells = _cells(takes)
        found[cells > most] = 1 + LABELS.index(name)
        most = np.maximum(most, cells)
    return np.where(mask > 0, mask, found)


def _made_of_parts(piece: Piece) -> ThingBody:
    if not isinstance(piece.body, ThingBody):
        msg = f"piece {piece.piece_id} is a picture: only pieces made of parts can be drawn without some of them"
        raise TypeError(msg)
    return piece.body


def shown(piece: Piece, conditions: Conditions) -> Shown:
    """Draw the ordinary and the forbidden parts once each.

    Raises:
        TypeError: the piece is a picture and has no parts.
    """
    body = _made_of_parts(piece)
    ordinary = replace(body, parts=tuple(part for part in body.parts if not part.threat))
    maps = ordinary.thickness_maps_mm(line_mm=GRID_MM, pixel_mm=GRID_MM)
    direct = piece_transmission(maps, tube_kv=conditions.tube_kv)
    mask = np.zeros(tuple(-(-side // MASK_CELL) for side in direct.shape[1:]), np.uint8)
    forbidden = sorted((part for part in body.parts if part.threat), key=lambda part: (part.threat_class == SHIELD, part.threat_class))
    if not forbidden:
        alone = _scattered(direct, conditions)
        return Shown(t=alone, without=alone, mask=mask)
    covered = np.zeros(direct.shape[1:], bool)
    for name, parts in groupby(forbidden, key=lambda part: part.threat_class):
        things = replace(body, parts=tuple(parts), grain=0.0).thickness_maps_mm(line_mm=GRID_MM, pixel_mm=GRID_MM)
        there = np.stack(list(things.values())).max(axis=0) > 0
        seen = np.zeros_like(there)
        seen[there] = _through(things, there, conditions)[0] < 1.0 - COVERS_SHARE
        mask[_cells(seen) > 0] = 1 + CLASSES.index(name or str(piece.threat_kind))
        covered |= there
        for material, values in things.items():
            maps[material] = maps[material] + values if material in maps else values
    full = direct.copy()
    full[:, covered] = _through(maps, covered, conditions)
    return Shown(t=_scattered(full, conditions), without=_scattered(direct, conditions), mask=mask)


def _through(maps_mm: dict[str, FloatArray], where: npt.NDArray[np.bool_], conditions: Conditions) -> FloatArray:
    """Transmission (2, n) of the pixels `where`, without scatter."""
    under = {material: values[where][None] for material, values in maps_mm.items()}
    return piece_transmission(under, tube_kv=conditions.tube_kv)[:, 0]


def _scattered(direct: FloatArray, conditions: Conditions) -> FloatArray:
    return with_scatter(direct, line_mm=GRID_MM, pixel_mm=GRID_MM, fraction=conditions.scatter)


def _cells(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The highest value of each cell of `MASK_CELL` grid steps; 0 beyond the edge."""
    rows, columns = (-(-side // MASK_CELL) for side in values.shape)
    whole = np.zeros((rows * MASK_CELL, columns * MASK_CELL), np.float32)
    whole[: values.shape[0], : values.shape[1]] = values
    result: npt.NDArray[np.float32] = whole.reshape(rows, MASK_CELL, columns, MASK_CELL).max(axis=(1, 3))
    return result


def piece_file(out: Path, seed: int, number: int) -> Path:
    """Where a piece of a set lies."""
    return out / f"{seed:04d}-{number:06d}.npz"


def write_piece(out: Path, recipe: Recipe, number: int) -> None:
    """Draw one piece and write its file; a file that is there already is kept."""
    target = piece_file(out, recipe.seed, number)
    if target.exists():
        return
    piece = drawn_piece(
        recipe.seed,
        number,
        threat_share=recipe.threat_share,
        kind=recipe.kind,
        generation=recipe.generation,
    )
    first = recipe.generation == GENERATOR_VERSION
    # the scanner has its own stream, so that the same piece can be drawn under any conditions
    conditions = NOMINAL if first else draw_conditions(np.random.default_rng((recipe.seed, number, 1)))
    seen = shown(piece, conditions)
    visible, conspicuous = visibility(seen.t, seen.without, conditions) if piece.threat_kind else (0.0, 0.0)
    partial_file = target.with_suffix(f".{os.getpid()}.part")
    with partial_file.open("wb") as file:
        np.savez(
            file,
            t=np.clip(seen.t * 65535.0 + 0.5, 0, 65535).astype(np.uint16),
            mask=seen.mask,
            labels=labels(piece, seen.mask, conditions),
            kind=np.asarray(piece.kind),
            threat_kind=np.asarray(piece.threat_kind or ""),
            generator=np.asarray(recipe.generation),
            visibility=np.asarray(visible, np.float32),
            conspicuity=np.asarray(conspicuous, np.float32),
            conditions=np.asarray(conditions.as_json()),
        )
    partial_file.replace(target)


def _write_many(out: Path, recipe: Recipe, numbers: range) -> int:
    for number in numbers:
        write_piece(out, recipe, number)
    return len(numbers)


def written(out: Path, recipe: Recipe, numbers: range, *, jobs: int) -> Iterator[int]:
    """Write all pieces with `jobs` processes; yields how many more are there, as they come."""
    chunks = [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)]
    work = partial(_write_many, out, recipe)
    if jobs <= 1:
        yield from map(work, chunks)
        return
    # a fresh interpreter each, so that it reads how many threads its arithmetic may use
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, chunks)


def make(out: Path, recipe: Recipe, numbers: range, *, jobs: int) -> None:
    """Write a set, with a bar on a terminal; what was written and what it cost is said at the end."""
    began = os.times()[:4]
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"pieces of generation {recipe.generation}", total=len(numbers))
        for more in written(out, recipe, numbers, jobs=jobs):
            progress.advance(task, more)
    busy = sum(after - before for after, before in zip(os.times()[:4], began, strict=True))
    words = f"{len(numbers)} pieces of generation {recipe.generation}, seed {recipe.seed}, from number {numbers.start}, in {out}"
    print(f"{words}; {busy:.1f} s of processor time, {len(numbers) / max(busy, 1e-3):.1f} pieces a second and core")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="number of the first piece")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; all cores unless said")
    parser.add_argument("--threat-share", type=float, default=0.5)
    kinds = sorted(GENERATIONS[NEWEST_GENERATION].packers)
    parser.add_argument("--kind", choices=kinds, help="pieces of this kind alone (baggage_like: cluttered bags, which are no mail)")
    parser.add_argument("--generation", type=int, default=NEWEST_GENERATION, choices=sorted(GENERATIONS))
    parser.add_argument("--preview", type=Path, help="write a sheet of some pieces in colours, forbidden things outlined")
    options = parser.parse_args()
    recipe = Recipe(
        seed=options.seed,
        threat_share=options.threat_share,
        kind=options.kind,
        generation=options.generation,
    )
    numbers = range(options.first, options.first + options.count)
    make(options.out, recipe, numbers, jobs=options.jobs)
    if options.preview:
        write_sheet(options.preview, [piece_file(options.out, recipe.seed, number) for number in numbers], seed=options.seed)


if __name__ == "__main__":
    main()
