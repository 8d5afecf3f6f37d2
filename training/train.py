"""Draw the sets, train, export, calibrate, measure and sign: one command makes a model from nothing.

    python -m training.train --out station/screening/models

Runs in its own environment (`training/requirements.txt`, with the project's root on the path). Sets, checkpoint, log and weights lie in
`--work` and are taken up there: sets are drawn once, `--resume` goes on from the last checkpoint (one every five minutes), `--weights`
leaves training out. `docs/reference/training.md` says what takes how long.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from itertools import chain
from pathlib import Path

from firmware_sims.mail import NEWEST_GENERATION
from firmware_sims.mail_catalogue import CLASSES
from station.domain.clearance import MIN_CALIBRATION
from training import calibrate, export
from training.batches import BAGS
from training.loop import CHECKPOINT, Plan, train
from training.make_dataset import Recipe, make
from training.network import HeatNet
from training.pieces import read_set, split

NAME = "heat-net-2"
ALPHA = 0.05


def drawn(work: Path, *, seed: int, mail: int, bags: int, jobs: int) -> list[Path]:
    """The sets to train on; what is there already is kept."""
    folders = []
    for name, kind, count, its_seed in (("mail", None, mail, seed), ("bags", BAGS, bags, seed + 1000)):
        if count:
            folders.append(work / name)
            make(folders[-1], Recipe(seed=its_seed, kind=kind, generation=NEWEST_GENERATION), range(count), jobs=jobs)
    return folders


def digest(folders: list[Path]) -> str:
    """SHA-256 over names and contents of all pieces."""
    total = hashlib.sha256()
    for piece in chain.from_iterable(read_set(folder) for folder in folders):
        with piece.file.open("rb") as file:
            total.update(piece.file.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def finish(net: HeatNet, out: Path, work: Path, *, data_sha256: str, per_kind: int, per_threat: int, freeze: int, jobs: int) -> None:
    """Export, calibrate, measure, sign; `out` is touched when all is known, so that a failure leaves the model there as it was."""
    model = work / export.MODEL_FILE
    content = export.build(net).SerializeToString()
    print(f"{len(content)} bytes, off from torch by at most {export.check(net, content):.1e}")
    model.write_bytes(content)
    benign = calibrate.scored(model, calibrate.benign_orders(calibrate.CALIBRATION_SEED, per_kind), seed=1, jobs=jobs)
    orders = calibrate.benign_orders(calibrate.TEST_SEED, max(1, per_kind // 3))
    orders += calibrate.threat_orders(calibrate.TEST_SEED, per_threat)
    test = calibrate.scored(model, orders, seed=2, jobs=jobs)
    scores = calibrate.calibration_scores(benign)
    metrics = calibrate.detection(scores, test, alpha=ALPHA)
    print(json.dumps(metrics, indent=1))
    frozen = calibrate.scored(model, calibrate.mail_orders(calibrate.FREEZE_SEED, freeze), seed=calibrate.FREEZE_SEED, jobs=jobs).scores
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, out / export.MODEL_FILE)
    export.write_manifest(
        out,
        {
            "name": NAME,
            "calibration": scores,
            "freeze_score": calibrate.freeze_score(frozen),
            "freeze_n": len(frozen),
            "generator_version": calibrate.GENERATION,
            "training_data_sha256": data_sha256,
            "fitted_site": None,
            "detection_lower_95": None,
            "metrics": metrics,
        },
    )


def _options() -> argparse.Namespace:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the model folder")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="where sets, checkpoint, log and weights lie")
    parser.add_argument("--mail", type=int, default=24_000, help="pieces of mail to train on")
    parser.add_argument("--bags", type=int, default=5_000, help="bags to train on")
    parser.add_argument("--minutes", type=float, default=120.0, help="of training itself")
    parser.add_argument("--steps", type=int, help="train exactly so many steps instead; repeats exactly on one machine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, cores // 2), help="processes that make batches")
    parser.add_argument("--threads", type=int, default=max(1, cores - cores // 2), help="threads that train")
    parser.add_argument("--times", type=int, default=1, help="as many crops in a batch; 4 for a GPU that many processes feed")
    parser.add_argument("--checks", type=int, default=10, help="how often held pieces are looked at on the way")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--leave-out", choices=CLASSES, help="train without any piece that holds this class")
    parser.add_argument("--weights", type=Path, help="draw no sets, skip training and use these")
    parser.add_argument("--per-kind", type=int, default=600, help="calibration pieces of each kind; 0 stops after training")
    parser.add_argument("--per-threat", type=int, default=24, help="test pieces of each threat in each kind")
    parser.add_argument("--freeze", type=int, default=calibrate.FREEZE_PIECES, help="pieces behind the freeze score; 0 for none")
    options = parser.parse_args()
    if 0 < options.per_kind < MIN_CALIBRATION:
        parser.error(f"--per-kind {options.per_kind}: no threshold stands on fewer than {MIN_CALIBRATION} pieces of a kind")
    if options.resume and not (options.work / CHECKPOINT).exists():
        parser.error(f"--resume: there is no {CHECKPOINT} in {options.work} to go on from")
    return options


def main() -> None:
    """Command line."""
    options = _options()
    jobs = options.workers + options.threads
    options.work.mkdir(parents=True, exist_ok=True)
    if options.weights is None:
        folders = drawn(options.work, seed=options.seed, mail=options.mail, bags=options.bags, jobs=jobs)
        pieces, held = (
            list(chain.from_iterable(parts))
            for parts in zip(*(split(read_set(folder, jobs=jobs), leave_out=options.leave_out) for folder in folders), strict=True)
        )
        plan = Plan(
            seed=options.seed,
            minutes=options.minutes,
            steps=options.steps,
            workers=options.workers,
            threads=options.threads,
            times=options.times,
            checks=options.checks,
        )
        net = train(pieces, held, plan, work=options.work, resume=options.resume)
        if net is None:
            sys.exit("stopped; the same command with --resume goes on from here")
        data_sha256 = digest(folders)
        export.save_weights(options.work / "weights.pt", net, data_sha256=data_sha256)
    else:
        net, data_sha256 = export.load_weights(options.weights)
    if not options.per_kind:
        return
    finish(
        net,
        options.out,
        options.work,
        data_sha256=data_sha256,
        per_kind=options.per_kind,
        per_threat=options.per_threat,
        freeze=options.freeze,
        jobs=jobs,
    )


if __name__ == "__main__":
    main()
