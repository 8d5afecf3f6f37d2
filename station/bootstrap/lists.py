"""The program of its own in which a running station makes the lists that its pages ask for (decision 0159)."""

import asyncio
from pathlib import Path

from station.api.lists import ListRequest, make_list
from station.bootstrap.program_apart import NoAnswerError, ProgramApart, answer_questions
from station.domain.errors import StoreUnavailableError
from station.storage.store import SqliteReader

PROGRAM = "station.bootstrap.list_program"
MOST_S = 10.0
"""A list that takes longer, its wait for those before it included, is given up."""
_NICE = 5


class ListsApart:
    """`station.api.lists.Lists` in a program of its own, for one event loop.

    Args:
        directory: the station's data directory.
    """

    def __init__(self, directory: Path) -> None:
        self._program = ProgramApart(PROGRAM, str(directory))
        self._asked: set[asyncio.Task[bytes]] = set()

    async def start(self) -> None:
        """Start the program, so that the first list need not wait for it. Raises `OSError`."""
        await self._program.start()

    async def make(self, request: ListRequest) -> bytes:
        """The list as JSON. Raises `StoreError`."""
        # Whoever goes away before the answer does not end the program for the others.
        asked = asyncio.create_task(self._program.ask(request.model_dump_json().encode(), within_s=MOST_S))
        self._asked.add(asked)
        asked.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), MOST_S)
        except TimeoutError as error:
            raise StoreUnavailableError(
                f"The list was not there after {MOST_S:.0f} s", consequence="It is not shown", remedy="Ask again"
            ) from error
        except NoAnswerError as error:
            raise StoreUnavailableError(
                "The program that reads lists ended by a defect", consequence="The list is not shown", remedy="Ask again"
            ) from error

    async def close(self) -> None:
        """End the program."""
        await self._program.close()

    def _done(self, asked: asyncio.Task[bytes]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled():
            # Taken, be it that nobody waits for it any more.
            asked.exception()


def run_program(directory: Path) -> None:
    """Answer requests about a station's data directory, a line of JSON each, until standard input ends."""
    reader = SqliteReader(directory)
    answer_questions(lambda line: make_list(reader.read, ListRequest.model_validate_json(line)), nice=_NICE)
