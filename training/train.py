"""Draw the data, train the network on a CPU, export, calibrate, measure and sign: one command makes the shipped model.

    python -m training.train --out station/screening/models

Runs in its own environment (`training/requirements.txt`, with the project's root on the path). `--minutes` bounds the training itself; the
whole takes about an hour longer, most of it for the 20 000 pieces of the freeze score (`--freeze 0` leaves it out).
Pieces, crops and noise repeat from the seed; how far a machine gets within its minutes does not.
"""

import argparse
import hashlib
import json
import math
import time
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from station.screening.features import model_input
from training import calibrate, export
from training.augment import Sample, cropped, framed, seen, stacked, turned
from training.make_dataset import Recipe, make
from training.network import HeatNet

CROP = 224
BATCH = 16


class Pieces:
    """The drawn pieces of a folder; `sample` gives one randomised view."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.npz"))
        if not self.files:
            msg = f"no pieces in {folder}; run training.make_dataset first"
            raise SystemExit(msg)
        self.benign: list[int] = []
        for index, file in enumerate(self.files):
            with np.load(file) as piece:
                if not str(piece["threat_kind"]):
                    self.benign.append(index)

    def clean(self, index: int, rng: np.random.Generator) -> Sample:
        """One crop without noise."""
        with np.load(self.files[index]) as piece:
            t = piece["t"].astype(np.float32) / np.float32(65535)
            mask = (piece["mask"] > 0).astype(np.float32)
        return turned(cropped(framed(t, mask, CROP), CROP, rng), rng)

    def sample(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Channels (4, CROP, CROP) and mask (CROP/4, CROP/4)."""
        one = self.clean(index, rng)
        if rng.random() < 0.15:
            for _ in range(int(rng.integers(1, 4))):
                one = stacked(one, self.clean(self.benign[int(rng.integers(len(self.benign)))], rng))
        t = seen(one.t, rng)
        return model_input(t[0], t[1]), one.mask


def losses(net: HeatNet, channels: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Map loss (hard benign cells count most) and piece loss."""
    logits, piece = net(channels)
    each = functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    positive = mask > 0
    hot = each[positive].mean() if positive.any() else each.sum() * 0
    cold = each[~positive]
    hard = cold.topk(max(1, cold.numel() // 50)).values.mean()
    whole = functional.binary_cross_entropy_with_logits(piece, (mask.flatten(1).sum(1) > 2).float())
    return hot + cold.mean() + hard, whole


def train(pieces: Pieces, *, minutes: float, seed: int, threads: int, start: Path | None = None) -> HeatNet:
    """Train for `minutes` of wall time under a one-cycle rate, from `start` (gently) or from nothing.

    The rate follows elapsed time, so that any machine ends with a settled network.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    net = HeatNet() if start is None else export.load_weights(start)
    net = net.to(memory_format=torch.channels_last).train()
    peak = 2.5e-3 if start is None else 1.2e-3
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    order: list[int] = []
    began, step, shown = time.perf_counter(), 0, 0.0
    means = [0.0, 0.0]
    while (share := (time.perf_counter() - began) / (60 * minutes)) < 1:
        rate = peak * min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share)) + 1e-5
        for group in optimiser.param_groups:
            group["lr"] = rate
        while len(order) < BATCH:
            order = [*rng.permutation(len(pieces.files)).tolist(), *order]
        batch = [pieces.sample(order.pop(), rng) for _ in range(BATCH)]
        channels = torch.from_numpy(np.stack([one for one, _ in batch])).to(memory_format=torch.channels_last)
        mask = torch.from_numpy(np.stack([one for _, one in batch]))[:, None]
        heat, whole = losses(net, channels, (mask > 0.5).float())
        optimiser.zero_grad(set_to_none=True)
        (heat + whole).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step += 1
        means = [0.97 * mean + 0.03 * float(now) for mean, now in zip(means, (heat.detach(), whole.detach()), strict=True)]
        if (elapsed := time.perf_counter() - began) - shown > 15:
            shown = elapsed
            print(f"{elapsed:6.0f} s  step {step}  map {means[0]:.3f}  piece {means[1]:.3f}  rate {rate:.5f}", flush=True)
    return net.eval()


def digest(folder: Path) -> str:
    """SHA-256 over names and contents of all pieces."""
    total = hashlib.sha256()
    for file in sorted(folder.glob("*.npz")):
        total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def finish(net: HeatNet, out: Path, *, data_sha256: str, per_kind: int, per_threat: int, freeze: int) -> None:
    """Export, calibrate, measure, sign."""
    out.mkdir(parents=True, exist_ok=True)
    model = out / export.MODEL_FILE
    content = export.build(net).SerializeToString()
    print(f"{len(content)} bytes, off from torch by at most {export.check(net, content):.1e}")
    model.write_bytes(content)
    benign = calibrate.score_pieces(model, calibrate.benign_pieces(calibrate.CALIBRATION_SEED, per_kind), seed=1)
    test_pieces = chain(
        calibrate.benign_pieces(calibrate.TEST_SEED, per_kind // 3),
        calibrate.threat_pieces(calibrate.TEST_SEED, per_threat),
    )
    test = calibrate.score_pieces(model, test_pieces, seed=2)
    scores = calibrate.calibration_scores(benign)
    metrics = calibrate.detection(scores, test, alpha=0.05)
    print(json.dumps(metrics, indent=1))
    frozen = calibrate.benign_scores(model, freeze, seed=calibrate.FREEZE_SEED)
    export.write_manifest(
        out,
        {
            "name": "heat-net-1",
            "calibration": scores,
            "freeze_score": calibrate.freeze_score(frozen),
            "freeze_n": len(frozen),
            "generator_version": calibrate.GENERATOR_VERSION,
            "training_data_sha256": data_sha256,
            "fitted_site": None,
            "detection_lower_95": None,
            "metrics": metrics,
        },
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the model folder")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="where the drawn pieces and the weights lie")
    parser.add_argument("--pieces", type=int, default=7000)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="skip training and use these")
    parser.add_argument("--start", type=Path, help="go on training from these weights")
    parser.add_argument("--per-kind", type=int, default=600, help="calibration pieces of each kind")
    parser.add_argument("--per-threat", type=int, default=24, help="test pieces of each threat in each kind")
    parser.add_argument("--freeze", type=int, default=calibrate.FREEZE_PIECES, help="pieces behind the freeze score")
    options = parser.parse_args()
    data: Path = options.work / "pieces"
    make(data, Recipe(seed=options.seed, generation=calibrate.GENERATOR_VERSION), range(options.pieces), jobs=options.threads)
    if options.weights is None:
        net = train(Pieces(data), minutes=options.minutes, seed=options.seed, threads=options.threads, start=options.start)
        torch.save(net.state_dict(), options.work / "weights.pt")
    else:
        net = export.load_weights(options.weights)
    finish(
        net,
        options.out,
        data_sha256=digest(data),
        per_kind=options.per_kind,
        per_threat=options.per_threat,
        freeze=options.freeze,
    )


if __name__ == "__main__":
    main()
