"""An event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

THREAD_STOP_S = 15.0


class Run:
    """Work without an end of its own, on a loop in another thread."""

    def __init__(self, future: "Future[Any]", ended: threading.Event) -> None:
        self.future = future
        self._ended = ended

    def end(self) -> None:
        """Cancel it and wait until it has cleaned up. Raises `TimeoutError` when it does not get there."""
        self.future.cancel()
        if not self._ended.wait(THREAD_STOP_S):
            raise TimeoutError(f"what was cancelled had not ended after {THREAD_STOP_S:g} s")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start something on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, Any]) -> Run:
        """Start something that goes on until it is ended."""
        ended = threading.Event()

        async def until_ended() -> Any:
            try:
                return await work
            finally:
                ended.set()

        return Run(self.submit(until_ended()), ended)

    def stop(self) -> None:
        """Cancel what runs, wait for it, and end the thread."""

        async def cancel_all() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.submit(cancel_all()).result(THREAD_STOP_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(THREAD_STOP_S)
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
