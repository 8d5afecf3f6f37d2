"""Draw synthetic pieces and keep what the beam sees of each: transmission on the station's grid, and where the forbidden thing is.

    python -m training.make_dataset --out DIR --count 3000 --seed 1

One `.npz` per piece: `t` (2, rows, columns) u16, transmission of LE and HE × 65535 on a 0.8 mm grid; `mask` (rows/4, columns/4) u8, 255
where a forbidden thing covers the cell; `kind`, `threat_kind` ("" for none), `generator`. A seed repeats the set; a piece depends on seed
and number alone, so that several processes may share the work (`--first`). Nothing but our own generator is drawn from.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_sims.body import ThingBody
from firmware_sims.mail import GENERATOR_VERSION, KIND_SHARES, THREAT_SHARES, Piece, draw_piece

GRID_MM = 0.8
MASK_CELL = 4
TUBE_KV = 160.0


def drawn_piece(seed: int, number: int, *, threat_share: float) -> Piece:
    """Piece `number` of the set `seed`; kinds are drawn evenly enough that each gets its share of training."""
    rng = np.random.default_rng((seed, number))
    kinds = list(KIND_SHARES)
    weights = np.asarray([KIND_SHARES[kind] for kind in kinds]) + 0.15
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    threat_kind = None
    if rng.random() < threat_share:
        shares = THREAT_SHARES[kind]
        even = np.asarray(list(shares.values())) + 0.5
        threat_kind = list(shares)[int(rng.choice(len(shares), p=even / even.sum()))]
    return draw_piece(rng, serial=number + 1, piece_id=f"SYN-{seed}-{number}", threat_kind=threat_kind, kind=kind)


def threat_mask(body: ThingBody, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cells of `MASK_CELL` grid steps that a forbidden part covers, (rows/4, columns/4) u8 0 or 255."""
    thickness = body.threat_thickness_mm(line_mm=GRID_MM, pixel_mm=GRID_MM)
    rows, columns = (-(-side // MASK_CELL) for side in shape)
    covered = np.zeros((rows * MASK_CELL, columns * MASK_CELL), dtype=bool)
    covered[: shape[0], : shape[1]] = thickness[: shape[0], : shape[1]] > 0.01
    cells = covered.reshape(rows, MASK_CELL, columns, MASK_CELL).any(axis=(1, 3))
    return np.where(cells, np.uint8(255), np.uint8(0))


def write_piece(out: Path, seed: int, number: int, *, threat_share: float) -> None:
    """Draw one piece and write its file; a file that is there already is kept."""
    target = out / f"{seed:04d}-{number:06d}.npz"
    if target.exists():
        return
    piece = drawn_piece(seed, number, threat_share=threat_share)
    body = piece.body
    if not isinstance(body, ThingBody):
        msg = f"piece {number} has no parts"
        raise TypeError(msg)
    seen = body.transmission(tube_kv=TUBE_KV, line_mm=GRID_MM, pixel_mm=GRID_MM)
    partial = target.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(
            file,
            t=np.clip(seen * 65535.0 + 0.5, 0, 65535).astype(np.uint16),
            mask=threat_mask(body, (seen.shape[1], seen.shape[2])),
            kind=np.asarray(piece.kind),
            threat_kind=np.asarray(piece.threat_kind or ""),
            generator=np.asarray(GENERATOR_VERSION),
        )
    partial.replace(target)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threat-share", type=float, default=0.5)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(options.first, options.first + options.count):
        write_piece(options.out, options.seed, number, threat_share=options.threat_share)


if __name__ == "__main__":
    main()
