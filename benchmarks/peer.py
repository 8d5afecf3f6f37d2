"""A peer in a process of its own, for as long as a measurement takes."""

import asyncio
import multiprocessing
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any


def measure_beside(
    serve: Callable[[Connection], None], measure: Callable[[Any], Coroutine[Any, Any, dict[str, float]]]
) -> dict[str, float]:
    """Start `serve`, hand what it reports first (where it can be reached) to `measure`, and end it afterwards."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(send,), daemon=True)
    server.start()
    try:
        return asyncio.run(measure(receive.recv()))
    finally:
        server.terminate()
        server.join()
