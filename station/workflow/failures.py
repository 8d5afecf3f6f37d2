"""How work that was asked of a lane failed."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from station.domain.errors import StationError

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

log = structlog.get_logger()


async def tried(work: Coroutine[Any, Any, T]) -> tuple[T | None, Exception | None]:
    """What the work gave, or how it failed: raised, it would be nobody's when who asked has gone away."""
    try:
        return await work, None
    except Exception as failure:
        if not isinstance(failure, StationError):
            log.exception("what was asked of the lane met a defect")
        return None, failure


def first(group: BaseExceptionGroup[E], kind: type[E]) -> E:
    """The first exception of that kind in a group of them."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup):
            return first(error, kind)  # type: ignore[no-any-return]  # isinstance cannot carry the group's parameter
    raise RuntimeError("an exception group without an exception")
