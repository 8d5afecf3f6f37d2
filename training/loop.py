"""The training itself: batches from worker processes, a rate by elapsed time or by steps, averaged weights, checkpoints, checks.

`Ctrl-C` or SIGTERM ends it after the step in hand, with a checkpoint to go on from.
"""

import copy
import json
import math
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from station.domain.errors import ConfigurationError
from training.batches import Batch, Batches, made_ahead
from training.check import checked, report
from training.losses import Losses, losses
from training.network import HeatNet, Read
from training.pieces import Stored
from training.score import fit_score, rescored

PEAK, LEAST = 6e-4, 1e-5
WARM_SHARE = 0.04
DECAY = 2e-4
SCALES_QUICKER = 5.0
"""The scales of whole maps learn with so many times the rate."""
MOST_GRADIENT = 5.0
AVERAGED = 0.999
"""Of the averaged weights at each step; their memory is shorter while few steps have been made."""
SAVE_EVERY_S, TELL_EVERY_S = 120.0, 30.0
CHECKED_PIECES = 240
CHECKPOINT = "checkpoint.pt"
LEFT_OUT = "left_out"
"""Where a checkpoint says which class was left out, None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and with what: until `minutes` have been trained, or exactly `steps` where that is not None.

    A batch has `times` as many crops as on a processor, and the rate grows with their square root. It is learned from `echoes` times, each
    time turned otherwise: where batches are what is waited for, the same ones teach more (Choi et al. 2019, "Faster neural network training
    with data echoing"). Held pieces are read `checks` times. `leave_out` is the class of which no piece is learned from.
    """

    seed: int
    minutes: float
    steps: int | None
    workers: int
    threads: int
    times: int = 1
    echoes: int = 1
    checks: int = 10
    leave_out: str | None = None


@dataclass(slots=True)
class _State:
    """Everything that a checkpoint holds."""

    net: HeatNet
    average: HeatNet
    optimiser: torch.optim.Optimizer
    step: int = 0
    samples: int = 0
    trained_s: float = 0.0


def _rate(share: float, times: int) -> float:
    """One cycle: up, then down as a cosine."""
    return LEAST + PEAK * math.sqrt(times) * min(1.0, share / WARM_SHARE) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _share(state: _State, plan: Plan) -> float:
    return state.step / plan.steps if plan.steps is not None else state.trained_s / (60 * plan.minutes)


def _begun(device: torch.device, plan: Plan, start: HeatNet | None) -> _State:
    torch.manual_seed(plan.seed)
    if start is None:
        start = HeatNet()
        start.encoder.begin_with_photographs()
    net = start.to(device, memory_format=torch.channels_last)
    scales = net.scales()
    rest = [one for one in net.parameters() if not any(one is other for other in scales)]
    groups = [
        {"params": [one for one in rest if one.ndim > 1], "weight_decay": DECAY, "quicker": 1.0},
        {"params": [one for one in rest if one.ndim == 1], "weight_decay": 0.0, "quicker": 1.0},
        {"params": scales, "weight_decay": 0.0, "quicker": SCALES_QUICKER},
    ]
    average = copy.deepcopy(net).eval()
    for one in average.parameters():
        one.requires_grad_(requires_grad=False)
    return _State(net.train(), average, torch.optim.AdamW(groups, lr=LEAST, fused=True))


def _save(state: _State, file: Path, plan: Plan) -> None:
    part = file.with_suffix(".part")
    content = {name: getattr(state, name).state_dict() for name in ("net", "average", "optimiser")}
    numbers = {"step": state.step, "samples": state.samples, "trained_s": state.trained_s}
    torch.save({**content, **numbers, LEFT_OUT: plan.leave_out}, part)
    part.replace(file)


def left_out_of(checkpoint: Path) -> str | None:
    """The class that was left out of the run that a checkpoint is of.

    Raises:
        ConfigurationError: the checkpoint does not say.
    """
    content = torch.load(checkpoint, weights_only=True, map_location="cpu")
    if LEFT_OUT not in content:
        raise ConfigurationError(
            f"--resume: {checkpoint} does not say which class was left out of it: it is of before this was kept",
            consequence="the run could go on with another one",
            remedy="Leave --resume out to begin anew",
        )
    found: str | None = content[LEFT_OUT]
    return found


def _resume(state: _State, file: Path, device: torch.device) -> None:
    content = torch.load(file, weights_only=True, map_location=device)
    for name in ("net", "average", "optimiser"):
        getattr(state, name).load_state_dict(content[name])
    for group in state.optimiser.param_groups:
        # a checkpoint may come from a time when it was not
        group["fused"] = True
    state.step, state.samples, state.trained_s = content["step"], content["samples"], content["trained_s"]


@torch.no_grad()
def _averaged(state: _State) -> None:
    """Move the averaged weights a little towards the present ones."""
    keep = min(AVERAGED, (1 + state.step) / (10 + state.step))
    get_ema_multi_avg_fn(keep)(_float_tensors(state.average), _float_tensors(state.net), state.step)


def _float_tensors(net: HeatNet) -> list[torch.Tensor]:
    """All that is learned or estimated; not how many batches there were."""
    return [one for one in chain(net.parameters(), net.buffers()) if one.is_floating_point()]


def _echoed(batches: Iterator[Batch], plan: Plan, step: int, device: torch.device) -> Generator[tuple[torch.Tensor, torch.Tensor]]:
    """Channels and labels of each step from `step` on."""
    with closing(_brought(batches, device)) as brought:
        for channels, labels in brought:
            for echo in range(step % plan.echoes, plan.echoes):
                yield (channels, labels) if echo == 0 else _turned(channels, labels, np.random.default_rng((plan.seed, step, echo)))
                step += 1


def _brought(batches: Iterator[Batch], device: torch.device) -> Generator[tuple[torch.Tensor, torch.Tensor]]:
    """Channels, channels last, and labels on the device; the next ones are waited for and handed over beside the learning."""

    def bring() -> tuple[torch.Tensor, torch.Tensor]:
        batch = next(batches)
        channels = torch.from_numpy(batch.channels).to(device, memory_format=torch.channels_last)
        return channels, torch.from_numpy(batch.labels).to(device)

    with ThreadPoolExecutor(1) as carrier:
        coming = carrier.submit(bring)
        while True:
            here = coming.result()
            coming = carrier.submit(bring)
            yield here


def _turned(channels: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """One of the other seven ways in which a crop may lie."""
    way = int(rng.integers(1, 8))
    flips = [side for bit, side in ((1, -1), (2, -2)) if way & bit]
    channels, labels = channels.flip(flips), labels.flip(flips)
    return (channels.transpose(-1, -2), labels.transpose(-1, -2)) if way & 4 else (channels, labels)


def _half_precision(device: torch.device) -> bool:
    """Whether bfloat16 makes steps quicker: on GPUs and processors with instructions for it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def _stepped(state: _State, channels: torch.Tensor, labels: torch.Tensor, *, half: bool) -> Losses:
    channels = channels.contiguous(memory_format=torch.channels_last)
    with torch.autocast(channels.device.type, dtype=torch.bfloat16, enabled=half):
        read = Read(*(one.float() for one in state.net(channels)))
    found = losses(read, state.net.rough_piece(read.terms), labels)
    state.optimiser.zero_grad(set_to_none=True)
    found.total.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), MOST_GRADIENT)
    if bool(torch.isfinite(norm)):
        state.optimiser.step()
    state.step += 1
    state.samples += len(labels)
    _averaged(state)
    return found


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals to stop that have come; a second one stops at once."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    pieces: Sequence[Stored],
    held: Sequence[Stored],
    apart: Sequence[Stored],
    plan: Plan,
    *,
    work: Path,
    resume: bool,
    start: HeatNet | None,
) -> tuple[HeatNet, int] | None:
    """Train from weights of photographs, on from `start`, or from `checkpoint.pt` in `work`; None if a signal stopped it.

    What comes out is the averaged network, ready to be exported, and how many crops it has learned from.

    `log.jsonl` there gets a line now and then: losses, rate, pace; and `plan.checks` times what `training.check` says of held pieces.
    The score is fitted on all of `held`; `apart`, which hold a class that is left out, have no say in it and are measured beside it.
    Weights after a number of steps repeat from the seed on one processor; how many steps a machine makes in its minutes does not.
    """
    torch.set_num_threads(plan.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = _begun(device, plan, start)
    checkpoint = work / CHECKPOINT
    if resume:
        _resume(state, checkpoint, device)
    log = _Log(work / "log.jsonl", fresh=not resume)
    half = _half_precision(device)
    sizes = {"pieces": len(pieces), "held": len(held), "apart": len(apart)}
    log.tell({"device": str(device), "bfloat16": half, **sizes, "leave_out": plan.leave_out, "from_step": state.step})
    chosen = [held[at] for at in np.random.default_rng(plan.seed).permutation(len(held))[:CHECKED_PIECES]]
    saved_s = told_s = state.trained_s
    checks = math.floor(_share(state, plan) * plan.checks)
    means = None
    source = Batches(pieces, seed=plan.seed, times=plan.times)
    with (
        _signals() as stop,
        closing(made_ahead(source, state.step // plan.echoes, workers=plan.workers)) as batches,
        closing(_echoed(batches, plan, state.step, device)) as steps,
    ):
        now = time.perf_counter()
        while _share(state, plan) < 1 and not stop:
            for group in state.optimiser.param_groups:
                group["lr"] = group["quicker"] * _rate(_share(state, plan), plan.times)
            found = _stepped(state, *next(steps), half=half)
            parts = torch.stack([found.cells, found.piece, found.classes, found.things]).detach()
            first, means = means is None, parts if means is None else means.lerp(parts, 0.02)
            then, now = now, time.perf_counter()
            state.trained_s += now - then
            if state.trained_s - told_s > TELL_EVERY_S or first:
                told_s = state.trained_s
                log.tell(_progress(state, means, plan))
            if state.trained_s - saved_s > SAVE_EVERY_S:
                saved_s = state.trained_s
                _save(state, checkpoint, plan)
            if checks < math.floor(_share(state, plan) * plan.checks) < plan.checks:
                checks += 1
                log.tell({"step": state.step, "check": report(checked(state.average, chosen, device, workers=plan.workers))})
                now = time.perf_counter()
    _save(state, checkpoint, plan)
    if stop:
        log.tell({"step": state.step, "stopped_by": signal.Signals(stop[0]).name})
        return None
    whole, unknown = (checked(state.average, some, device, workers=plan.workers) for some in (held, apart))
    net = state.average.cpu().eval()
    whole = fit_score(net, whole)
    if unknown:
        log.tell({"left_out": report([*(one for one in whole if not one.threat), *rescored(net, unknown)])})
    log.tell({"step": state.step, "samples": state.samples, "final": report(whole)})
    return net, state.samples


def _progress(state: _State, means: torch.Tensor, plan: Plan) -> dict[str, Any]:
    return {
        "minutes": round(state.trained_s / 60, 2),
        "step": state.step,
        "samples": state.samples,
        "cells": round(float(means[0]), 4),
        "piece": round(float(means[1]), 4),
        "classes": round(float(means[2]), 4),
        "things": round(float(means[3]), 4),
        "rate": round(_rate(_share(state, plan), plan.times), 6),
        "samples_per_s": round(state.samples / max(state.trained_s, 1e-3), 1),
    }


class _Log:
    """JSON lines, in a file and on the terminal."""

    def __init__(self, file: Path, *, fresh: bool) -> None:
        self._file = file
        if fresh:
            file.unlink(missing_ok=True)

    def tell(self, what: dict[str, Any]) -> None:
        line = json.dumps(what)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)
