"""Train the network on a CPU, then calibrate, measure, export and sign: one command makes the shipped model.

    python -m training.train --out station/screening/models

Runs in its own environment (`training/requirements.txt`). `--minutes` bounds the training itself; a seed repeats the data and the order
of work. See `export` for what is written.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from station.screening.features import model_input
from training.augment import Sample, cropped, framed, seen, stacked, turned
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
            mask = piece["mask"].astype(np.float32) / np.float32(255)
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


def train(pieces: Pieces, *, minutes: float, seed: int, threads: int) -> HeatNet:
    """Train for `minutes` of wall time under a one-cycle rate.

    The rate follows elapsed time, so that any machine ends with a settled network.
    """
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    rng = np.random.default_rng(seed)
    net = HeatNet().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    order: list[int] = []
    began, step, shown = time.perf_counter(), 0, 0.0
    means = [0.0, 0.0]
    while (share := (time.perf_counter() - began) / (60 * minutes)) < 1:
        rate = 2.5e-3 * min(1.0, share / 0.05) * 0.5 * (1 + math.cos(math.pi * share)) + 1e-5
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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=18.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    net = train(Pieces(options.data), minutes=options.minutes, seed=options.seed, threads=options.threads)
    torch.save(net.state_dict(), options.weights)
    print(json.dumps({"weights": str(options.weights)}))


if __name__ == "__main__":
    main()
