"""The program of its own in which a running station makes the lists that its pages ask for (decision 0159)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from station.api.lists import ListFailedError, ListRequest, make_list
from station.bootstrap.program_apart import NoAnswerError, ProgramApart, answer_questions
from station.storage.store import SqliteReader

PROGRAM = "station.bootstrap.list_program"
MOST_S = 6.0
"""For a list, the wait for those before it included: less than a page waits before it says that the station does not answer."""
_NICE = 5
log = structlog.get_logger()


class ListsApart:
    """`station.api.lists.Lists` in a program of its own, for one event loop.

    Args:
        directory: the station's data directory.
    """

    def __init__(self, directory: Path) -> None:
        self._program = ProgramApart(PROGRAM, str(directory), nice=_NICE)

    async def start(self) -> None:
        """Start the program, so that the first list need not wait for it."""
        try:
            await self._program.start()
        except OSError as error:
            log.warning("the program that reads lists does not start yet; it is tried again with the first list", detail=str(error))

    async def make(self, request: Callable[[], ListRequest]) -> bytes:
        """See `Lists.make`."""
        try:
            async with asyncio.timeout(MOST_S):
                return await self._program.ask(lambda: request().model_dump_json().encode(), within_s=MOST_S)
        except TimeoutError as error:
            raise _failed(f"The list was not there after {MOST_S:.0f} s") from error
        except NoAnswerError as error:
            raise _failed("The list could not be made") from error

    async def close(self) -> None:
        """End the program."""
        await self._program.close()


def _failed(what: str) -> ListFailedError:
    return ListFailedError(what, consequence="It is not shown", remedy="Ask again; the station's log says why")


def run_program(directory: Path) -> None:
    """Answer requests about a station's data directory until standard input ends."""
    reader = SqliteReader(directory)
    answer_questions(lambda line: make_list(reader.read, ListRequest.model_validate_json(line)))
