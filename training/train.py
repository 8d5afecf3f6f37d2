"""Draw the sets, train, export, calibrate, measure and sign: one command makes a model from nothing.

    python -m training.train --out station/screening/models

Runs in its own environment (`training/requirements.txt`, with the project's root on the path). Sets, checkpoint, log and weights lie in
`--work` and are taken up there: sets are drawn once, `--resume` goes on from the last checkpoint (one every two minutes), `--weights`
leaves training out. Whatever a run goes on from must have left out the same class. `docs/reference/training.md` says what takes how long.
"""

import argparse
import os
import sys
from pathlib import Path

from firmware_sims.mail_catalogue import CLASSES
from station.domain.clearance import MIN_CALIBRATION
from station.domain.errors import ConfigurationError
from training import freeze
from training.about import read_about, refuse_other


def _options() -> argparse.Namespace:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the model folder")
    parser.add_argument("--work", type=Path, default=Path("build/training"), help="where sets, checkpoint, log and weights lie")
    parser.add_argument("--mail", type=int, default=24_000, help="pieces of mail to train on")
    parser.add_argument("--bags", type=int, default=5_000, help="bags to train on")
    parser.add_argument("--minutes", type=float, default=120.0, help="of training itself")
    parser.add_argument("--steps", type=int, help="train exactly so many steps instead; repeats exactly on one processor")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, cores // 2), help="processes that make batches")
    parser.add_argument("--threads", type=int, default=max(1, cores - cores // 2), help="threads that train")
    parser.add_argument("--times", type=int, default=1, help="as many crops in a batch; 12 for a GPU that many processes feed")
    parser.add_argument(
        "--echoes", type=int, default=1, help="steps from each batch, turned otherwise; 4 where batches are what is waited for"
    )
    parser.add_argument("--checks", type=int, default=10, help="how often held pieces are looked at on the way")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--leave-out", choices=CLASSES, help="train without any piece that holds this class")
    parser.add_argument("--start", type=Path, help="go on from these weights instead of none, best on sets of another --seed")
    parser.add_argument("--weights", type=Path, help="draw no sets, skip training and use these")
    parser.add_argument("--per-kind", type=int, default=600, help="calibration pieces of each kind; 0 stops after training")
    parser.add_argument("--per-threat", type=int, default=24, help="test pieces of each threat in each kind")
    parser.add_argument("--freeze", type=int, help="pieces behind the freeze score, as many as one takes unless said; 0 for none")
    options = parser.parse_args()
    try:
        _refuse_other_weights(options)
    except ConfigurationError as error:
        parser.error(said(error))
    if 0 < options.per_kind < MIN_CALIBRATION:
        parser.error(f"--per-kind {options.per_kind}: no threshold stands on fewer than {MIN_CALIBRATION} pieces of a kind")
    return options


def _refuse_other_weights(options: argparse.Namespace) -> None:
    """Refuse weights of which another class was left out than the options say, or which do not say; before anything is drawn."""
    for name, file in (("--start", options.start), ("--weights", options.weights)):
        if file is None:
            continue
        recorded = read_about(file).left_out
        # weights that are only exported may speak for themselves
        asked = recorded if name == "--weights" and options.leave_out is None else options.leave_out
        refuse_other(recorded, asked, what=f"{name} {file}", anew=f"no {name}")


def said(error: ConfigurationError) -> str:
    """What is wrong, why that matters, what to do."""
    return f"{error.what} ({error.consequence}). {error.remedy}"


def main() -> None:
    """Command line."""
    options = _options()
    try:
        _made(options)
    except ConfigurationError as error:
        sys.exit(said(error))


def _made(options: argparse.Namespace) -> None:
    # Whoever makes pieces and batches imports this module as its own main one, and needs nothing of what trains.
    from training.loop import CHECKPOINT, Plan  # noqa: PLC0415
    from training.making import finish, trained  # noqa: PLC0415
    from training.weights import load_weights  # noqa: PLC0415

    if options.resume and not (options.work / CHECKPOINT).exists():
        sys.exit(f"--resume: there is no {CHECKPOINT} in {options.work} to go on from")
    jobs = options.workers + options.threads
    options.work.mkdir(parents=True, exist_ok=True)
    if options.weights is not None:
        net, about = load_weights(options.weights)
    else:
        plan = Plan(
            seed=options.seed,
            minutes=options.minutes,
            steps=options.steps,
            workers=options.workers,
            threads=options.threads,
            times=options.times,
            echoes=options.echoes,
            checks=options.checks,
            leave_out=options.leave_out,
        )
        net, about = trained(
            plan,
            options.work,
            mail=options.mail,
            bags=options.bags,
            start=options.start,
            resume=options.resume,
            jobs=jobs,
        )
    if options.per_kind:
        finish(
            net,
            options.out,
            options.work,
            about=about,
            per_kind=options.per_kind,
            per_threat=options.per_threat,
            freeze=freeze.PIECES if options.freeze is None else options.freeze,
            jobs=jobs,
        )


if __name__ == "__main__":
    main()
