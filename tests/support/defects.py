"""What a program logs as an error: on virtual time a defect, for whatever can fail there is expected and logged as less."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_events: list[str] = []


def _keep(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if level in {"error", "critical", "exception"}:
        _events.append(f"{event.get('event')}: {sys.exception()!r}")
    return event


def _drop(_: object, __: str, ___: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    raise structlog.DropEvent


def listen(*, quiet: bool) -> None:
    """Keep errors from now on; `quiet`: print nothing at all."""
    if quiet:
        structlog.configure(processors=[_keep, _drop], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    else:
        structlog.configure(processors=[_keep, *structlog.get_config()["processors"]])


def defects() -> list[str]:
    """What was logged as an error since the last call."""
    events = _events.copy()
    _events.clear()
    return events
