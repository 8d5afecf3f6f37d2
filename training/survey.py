"""What a drawn set holds, how far plain darkness goes on it, and how visible its threats are.

    python -m training.survey --data DIR

Darkness is the mean of the darkest 2 % of HE attenuation of a scan under the piece's own conditions, air around it, as `training.calibrate`
measures it. The detector must not be able to lean on it: AUROC at most 0.85, all kinds together and each by itself; nor on the size of a
piece's cover or on its mean attenuation, which threats should not change much. Intervals are 95 %,
bootstrapped over pieces. Visibility and conspicuity are d' in noise and in noise and structure (`training.visibility`); the share of
threats whose visibility lies below the floor is what nobody could see.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware_sims.mail_catalogue import CLASSES
from station.screening.evaluation import auroc
from station.screening.features import attenuation
from training.conditions import GRID_MM, detected
from training.contact_sheet import read_piece
from training.visibility import VISIBILITY_FLOOR

MARGIN_MM = 24.0
DARK_SHARE = 0.02
STEP = 4
MOST_AUROC = 0.85
BOOTSTRAPS = 500
LEVELS = (VISIBILITY_FLOOR, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One value a piece.

    Its kind, what is forbidden in it ("" for nothing), darkness, visibility, conspicuity, area of the cover (mm²), mean attenuation.
    """

    kinds: npt.NDArray[np.str_]
    threats: npt.NDArray[np.str_]
    darkness: npt.NDArray[np.float64]
    visibility: npt.NDArray[np.float64]
    conspicuity: npt.NDArray[np.float64]
    area_mm2: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]


def darkness(he: npt.NDArray[np.float32]) -> float:
    """Mean of the darkest 2 % of HE attenuation, every fourth cell both ways."""
    dark = np.sort(attenuation(np.maximum(he[::STEP, ::STEP], 1e-6)).ravel())
    return float(dark[-max(1, int(DARK_SHARE * dark.size)) :].mean())


def surveyed(folder: Path, *, seed: int = 0) -> Surveyed:
    """Scan every piece of a set once.

    Raises:
        FileNotFoundError: the folder holds no pieces.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        msg = f"no pieces in {folder}, so there is nothing to survey; draw some with training.make_dataset"
        raise FileNotFoundError(msg)
    rows = []
    margin = round(MARGIN_MM / GRID_MM)
    for number, file in enumerate(files):
        piece = read_piece(file)
        t = np.pad(piece.t, ((0, 0), (margin, margin), (margin, margin)), constant_values=1.0)
        scan = detected(t, piece.conditions, np.random.default_rng((seed, number)))
        area, mean = piece.mask.size * (4 * GRID_MM) ** 2, float(attenuation(piece.t[1, ::STEP, ::STEP]).mean())
        rows.append((piece.kind, piece.threat_kind, darkness(scan[1]), piece.visibility, piece.conspicuity, area, mean))
    return Surveyed(*(np.asarray(column) for column in zip(*rows, strict=True)))


def auroc_with_interval(values: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """AUROC and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    scores = values.astype(np.float32)
    drawn = []
    for _ in range(BOOTSTRAPS):
        chosen = rng.integers(0, len(scores), len(scores))
        if 0 < positive[chosen].sum() < len(chosen):
            drawn.append(auroc(scores[chosen], positive[chosen]))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return auroc(scores, positive), float(low), float(high)


def report(found: Surveyed) -> str:
    """The survey as tables."""
    threat = found.threats != ""
    lines = ["| kind | pieces | with a threat | AUROC of darkness | of size | of mean attenuation |", "|---|---|---|---|---|---|"]
    for kind in ("all", *sorted(set(found.kinds.tolist()))):
        chosen = np.full(len(threat), fill_value=True) if kind == "all" else found.kinds == kind
        figure, others = "none", ["none", "none"]
        if 0 < threat[chosen].sum() < chosen.sum():
            value, low, high = auroc_with_interval(found.darkness[chosen], threat[chosen])
            figure = f"{value:.3f} [{low:.3f}, {high:.3f}]" + ("" if value <= MOST_AUROC else f" ABOVE {MOST_AUROC}")
            others = [f"{auroc(values[chosen].astype(np.float32), threat[chosen]):.2f}" for values in (found.area_mm2, found.mean)]
        lines.append(f"| {kind} | {chosen.sum()} | {threat[chosen].sum()} | {figure} | {' | '.join(others)} |")
    lines += ["", f"| class | pieces | visibility: below {VISIBILITY_FLOOR:.0f} | least | median | conspicuity: "]
    lines[-1] += " | ".join(f"below {level:.0f}" for level in LEVELS) + " | median | AUROC of darkness |"
    lines.append("|---" * (7 + len(LEVELS)) + "|")
    for name in ("all", *CLASSES):
        own = threat if name == "all" else found.threats == name
        if own.any():
            seen, apart = found.visibility[own], found.conspicuity[own]
            shares = " | ".join(f"{100 * np.mean(apart < level):.1f} %" for level in LEVELS)
            dark = auroc(found.darkness[own | ~threat].astype(np.float32), threat[own | ~threat])
            floor = f"{100 * np.mean(seen < VISIBILITY_FLOOR):.1f} % | {seen.min():.0f} | {np.median(seen):.0f}"
            lines.append(f"| {name} | {own.sum()} | {floor} | {shares} | {np.median(apart):.0f} | {dark:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a set of training.make_dataset")
    print(report(surveyed(parser.parse_args().data)))


if __name__ == "__main__":
    main()
