"""A disk that takes no commit for a while and then takes all of them."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from station.domain.errors import StationError
from station.ports.store import UnitOfWork
from station.storage.writer import Pending
from tests.support.virtual_lane import MortalStore


class HangingDisk:
    """Every commit waits until the disk answers again; then all of them are made in their order, whoever still waits."""

    def __init__(self, store: MortalStore) -> None:
        self._commit, self.store = store.write, store
        self._waiting: list[tuple[Callable[[UnitOfWork], Any], Future[Any]]] = []
        store.write = self._hang  # type: ignore[method-assign]

    def _hang(self, work: Callable[[UnitOfWork], Any]) -> Pending[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self._waiting.append((work, future))
        return Pending(future)

    @property
    def waiting(self) -> int:
        """How many commits nobody has been told of yet."""
        return len(self._waiting)

    def answer(self) -> None:
        """Make every commit that waits; a computer that dies on the way takes the others with it."""
        self.store.write = self._commit  # type: ignore[method-assign]
        for work, future in self._waiting:
            pending = self._commit(work)
            if self.store.died:
                return
            try:
                future.set_result(pending.result())
            except StationError as error:
                future.set_exception(error)
