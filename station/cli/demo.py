"""`station demo`."""

import asyncio
import contextlib
import signal
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from station.cli.errors import EXIT_DOES_NOT_HOLD, EXIT_DONE
from station.cli.logs import configure_logs
from station.demo.report import dangers
from station.demo.run import MOST_LANES, DemoOptions, run_demo, write_report
from station.domain.errors import ConfigurationError

FASTEST = 4.0
CONSOLE_PORT = 8080


def demo(
    lanes: Annotated[int, typer.Option(min=1, max=MOST_LANES, help="How many lanes, each with its own simulators.")] = 1,
    pieces: Annotated[int, typer.Option(min=1, max=10_000, help="How many pieces in all.")] = 40,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="The same seed draws the same mail.")] = 1,
    speed: Annotated[float, typer.Option(help="How much faster than real time, at most 4 over real wires.")] = 1.0,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Real X-ray images as what the detector sees.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep configuration, database, images and keys here.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of the console; 0 takes a free one. Default 8080, headless a free one.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON.")] = None,
    *,
    headless: Annotated[bool, typer.Option("--headless", help="End when every piece has its outcome; scripted people decide.")] = False,
) -> None:
    """Run the whole station against simulators on real wires. Exit code 0 only if the simulated world saw nothing unsafe."""
    if not 0 < speed <= FASTEST:
        raise ConfigurationError(
            f"--speed {speed:g} is not possible over real wires", remedy=f"Give a speed above 0 and at most {FASTEST:g}"
        )
    if images is not None and not images.is_dir():
        raise ConfigurationError(f"--images {images}: there is no such directory", remedy="Name a directory with images and a manifest.csv")
    if report is not None and not report.absolute().parent.is_dir():
        raise ConfigurationError(f"--report {report}: there is no such directory", remedy="Name a file in a directory that exists")
    console = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        directory = data.absolute() if data is not None else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kt1-demo-")))
        _make(directory)
        configure_logs(directory / "station.log")
        options = DemoOptions(
            lanes=lanes,
            pieces=pieces,
            seed=seed,
            speed=speed,
            images=images,
            data=directory,
            port=port if port is not None else (0 if headless else CONSOLE_PORT),
            headless=headless,
        )
        result = _run(options, console)
    if result is None:
        console.print("Đã dừng trước khi bắt đầu / stopped before it had begun: there is no report")
        raise typer.Exit(EXIT_DOES_NOT_HOLD if headless else EXIT_DONE)
    if report is not None:
        write_report(result, report)
    _summarise(console, result)
    unsafe = dangers(result)
    open_pieces = [piece["piece_id"] for piece in result["pieces"] if piece["outcome"] not in SETTLED]
    if unsafe or (headless and open_pieces):
        console.print(
            f"[bold red]UNSAFE / KHÔNG AN TOÀN: {unsafe}[/]" if unsafe else f"[red]without an outcome: {', '.join(open_pieces)}[/]"
        )
        raise typer.Exit(EXIT_DOES_NOT_HOLD)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--data {directory} cannot be made: {error.strerror}", remedy="Name a directory, or a place where one can be made"
        ) from error


def _run(options: DemoOptions, console: Console) -> dict[str, Any] | None:
    """Run it with a progress bar; None when it was interrupted before the lanes had begun."""
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task("Bưu gửi / pieces", total=options.pieces)

        async def until_stopped() -> dict[str, Any] | None:
            stop = asyncio.Event()
            running = asyncio.ensure_future(
                run_demo(
                    options,
                    note=partial(bar.console.print, soft_wrap=True, highlight=False, markup=False),
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                    stop=stop,
                )
            )

            def interrupted() -> None:
                # The first time it ends in good order; whoever asks again does not want to wait.
                if stop.is_set():
                    running.cancel()
                stop.set()

            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, interrupted)
            try:
                return await running
            except asyncio.CancelledError:
                return None

        return asyncio.run(until_stopped())


SETTLED = frozenset({"released", "held", "rejected", "returned", "handed_over", "frozen", "escaped", "cancelled"})


def _summarise(console: Console, result: dict[str, Any]) -> None:
    outcomes: dict[str, int] = {}
    for piece in result["pieces"]:
        outcomes[piece["outcome"]] = outcomes.get(piece["outcome"], 0) + 1
    table = Table(show_header=False, title=f"seed {result['seed']}, speed {result['speed']:g}, {result['wall_s']:.0f} s")
    table.add_column("")
    table.add_column("", overflow="fold")
    table.add_row("Kết quả / outcomes", ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items())))
    table.add_row("Thế giới mô phỏng / simulated world", ", ".join(f"{name} {count}" for name, count in result["world"].items()))
    table.add_row("Phát hiện / detection", ", ".join(f"{name} {count}" for name, count in result["detection"].items()))
    table.add_row("Định vị / tracking", ", ".join(f"{name} {count}" for name, count in result["tracking"].items()))
    timing = result["timing"]
    table.add_row(
        "Thời gian / timing",
        f"decision p50 {timing['decision_ms']['p50']:.0f} ms, p99 {timing['decision_ms']['p99']:.0f} ms; "
        f"permit p50 {timing['permit_ms']['p50']:.0f} ms, p99 {timing['permit_ms']['p99']:.0f} ms; "
        f"{timing['pieces_per_hour']:.0f} pieces/h",
    )
    console.print(table)
