"""Waiting for what is to happen instead of for a time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 60.0, *, look_every_s: float = 0.02) -> None:
    """Wait for a condition; fails the test when it never holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(look_every_s)
