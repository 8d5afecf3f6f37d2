"""`python -m firmware_sims`: one simulated lane on ptys and loopback ports, until it is told to stop."""

import argparse
import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from firmware_sims.control import LINE_BYTES, Control, Scene
from firmware_sims.servers import LOOPBACK
from firmware_sims.simulated_lane import PROFILES, SimulatedLane

EXIT_OK, EXIT_USAGE = 0, 2
FASTEST = 4.0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m firmware_sims", description="Simulated devices of one lane on real ptys and TCP ports."
    )
    parser.add_argument(
        "--endpoints", type=Path, required=True, metavar="FILE", help="written when everything listens: JSON, where each device is"
    )
    parser.add_argument("--scene", type=Path, metavar="FILE", help='JSON: {"requests": [{"at_s": 0, "do": "mail", "count": 10}, …]}')
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than the wall clock, at most 4")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=Path, metavar="DIR", help="real pictures as pieces; labels from manifest.csv there or above")
    parser.add_argument("--pixels", type=int, default=512, help="of the line detector")
    parser.add_argument("--generator", choices=sorted(PROFILES), default="XRV", help="the X-ray generator's model")
    parser.add_argument("--idle-hours", type=float, default=2.0, help="since the tube was last on")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does: when the parent dies")
    return parser.parse_args(argv)


async def _watch_stdin(stopped: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(4096):
        pass
    stopped.set()


def _write_atomically(path: Path, content: dict[str, object]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


async def _run(arguments: argparse.Namespace, requests: list[dict[str, Any]]) -> None:
    lane = SimulatedLane(
        seed=arguments.seed,
        pixels=arguments.pixels,
        generator_model=arguments.generator,
        idle_hours=arguments.idle_hours,
        images=arguments.images,
    )
    control = Control(lane)
    scene = Scene(requests=requests, lane=lane, control=control)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.stopped.set)
    async with AsyncExitStack() as stack:
        endpoints = await lane.serve(stack, arguments.endpoints.with_suffix(".ttys"))
        server = await asyncio.start_server(control.serve, LOOPBACK, 0, limit=LINE_BYTES)
        stack.callback(server.close)
        host, port = server.sockets[0].getsockname()[:2]
        tasks = [loop.create_task(lane.run(speed=arguments.speed))]
        if arguments.until_stdin_closes:
            tasks.append(loop.create_task(_watch_stdin(control.stopped)))
        _write_atomically(arguments.endpoints, {**endpoints, "control": f"{host}:{port}"})
        stopped = loop.create_task(control.stopped.wait())
        await asyncio.wait([stopped, tasks[0]], return_when=asyncio.FIRST_COMPLETED)
        for task in [*tasks, stopped]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        arguments.endpoints.unlink(missing_ok=True)
        for request, error in scene.refused:
            sys.stderr.write(f"scene: {json.dumps(request)}: {error}\n")
        for result in results:
            if isinstance(result, Exception):
                raise result


def main(argv: list[str] | None = None) -> int:
    """Run until told to stop; 0 done, 2 wrong usage."""
    arguments = _arguments(argv)
    try:
        if not 0 < arguments.speed <= FASTEST:
            raise ValueError(f"--speed must be above 0 and at most {FASTEST:g} over real wires")  # noqa: TRY301 - one place says it
        requests = [] if arguments.scene is None else Scene.read(arguments.scene)
        asyncio.run(_run(arguments, requests))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"simulators: {error}\nSee python -m firmware_sims --help.\n")
        return EXIT_USAGE
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
