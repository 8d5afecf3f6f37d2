"""A model from nothing, step by step: draw the sets, train, export, calibrate, measure, sign."""

import hashlib
import json
import shutil
import sys
from itertools import chain
from pathlib import Path

from firmware_sims.mail import NEWEST_GENERATION
from training import calibrate, export
from training.about import About, refuse_other
from training.batches import BAGS
from training.encoder import BEGUN_WITH
from training.freeze import freeze_score
from training.kinds import MAIL_KINDS, kind_shares
from training.loop import CHECKPOINT, Plan, left_out_of, train
from training.make_dataset import Recipe, make
from training.network import HeatNet
from training.pieces import read_set, split
from training.weights import WEIGHTS_FILE, load_weights, save_weights

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


def digest(folders: list[Path], before: str = "") -> str:
    """SHA-256 over names and contents of all pieces, after the digest of what was learned from before."""
    total = hashlib.sha256(bytes.fromhex(before))
    for piece in chain.from_iterable(read_set(folder) for folder in folders):
        with piece.file.open("rb") as file:
            total.update(piece.file.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def finish(net: HeatNet, out: Path, work: Path, *, about: About, per_kind: int, per_threat: int, freeze: int, jobs: int) -> None:
    """Export, calibrate, measure, sign; `out` is touched when all is known, so that a failure leaves the model there as it was."""
    model = work / export.MODEL_FILE
    content = export.build(net).SerializeToString()
    print(f"{len(content)} bytes, off from torch by at most {export.check(net, content):.1e}")
    model.write_bytes(content)
    benign = calibrate.scored(model, calibrate.benign_orders(calibrate.CALIBRATION_SEED, per_kind), seed=1, jobs=jobs)
    orders = calibrate.benign_orders(calibrate.TEST_SEED, max(1, per_kind // 3), MAIL_KINDS)
    orders += calibrate.threat_orders(calibrate.TEST_SEED, per_threat)
    test = calibrate.scored(model, orders, seed=2, jobs=jobs)
    scores = calibrate.calibration_scores(benign)
    metrics = calibrate.detection(scores, test, alpha=ALPHA)
    print(json.dumps(metrics, indent=1))
    frozen = calibrate.scored(model, calibrate.mail_orders(calibrate.FREEZE_SEED, freeze), seed=calibrate.FREEZE_SEED, jobs=jobs).scores
    found = freeze_score(frozen)
    metrics |= {
        "encoder_begun_with": BEGUN_WITH,
        "left_out": about.left_out,
        "freeze": None if found is None else found.said(kind_shares(calibrate.DRAWN)),
    }
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model, out / export.MODEL_FILE)
    export.write_manifest(
        out,
        {
            "name": NAME if about.left_out is None else f"{NAME} without {about.left_out}",
            "calibration": scores,
            "freeze_score": None if found is None else found.score,
            "freeze_n": len(frozen),
            "generator_version": calibrate.GENERATION,
            "training_data_sha256": about.data_sha256,
            "fitted_site": None,
            "detection_lower_95": None,
            "metrics": metrics,
        },
    )


def trained(plan: Plan, work: Path, *, mail: int, bags: int, start: Path | None, resume: bool, jobs: int) -> tuple[HeatNet, About]:
    """Draw the sets, train on them and keep the weights: the network as it was kept, and what it was learned from.

    Raises:
        ConfigurationError: of the checkpoint or of the weights to start from another class was left out; nothing was drawn then.
    """
    if resume:
        checkpoint = work / CHECKPOINT
        refuse_other(left_out_of(checkpoint), plan.leave_out, what=f"--resume: {checkpoint}", anew="no --resume")
    begun, before = (None, About(data_sha256="", crops=0, left_out=plan.leave_out)) if start is None else load_weights(start)
    refuse_other(before.left_out, plan.leave_out, what=f"--start {start}", anew="no --start")
    folders = drawn(work, seed=plan.seed, mail=mail, bags=bags, jobs=jobs)
    pieces, held, apart = (
        list(chain.from_iterable(parts))
        for parts in zip(*(split(read_set(folder, jobs=jobs), leave_out=plan.leave_out) for folder in folders), strict=True)
    )
    ended = train(pieces, held, apart, plan, work=work, start=begun, resume=resume)
    if ended is None:
        sys.exit("stopped; the same command with --resume goes on from here")
    net, crops = ended
    about = About(data_sha256=digest(folders, before.data_sha256), crops=before.crops + crops, left_out=plan.leave_out)
    save_weights(work / WEIGHTS_FILE, net, about)
    return load_weights(work / WEIGHTS_FILE)
