"""Lists made in the test's own process."""

import asyncio
from collections.abc import Callable

from station.api.lists import ListRequest, make_list
from station.ports.store import Store


class ListsHere:
    """`station.api.lists.Lists` over an open store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        pass

    async def make(self, request: Callable[[], ListRequest]) -> bytes:
        return await asyncio.to_thread(make_list, self._store.read, request())

    async def close(self) -> None:
        pass
