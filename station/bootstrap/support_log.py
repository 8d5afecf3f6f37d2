"""The end of the station's own log, as it may be given to somebody else."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from station.bootstrap.own_log import log_file
from station.bootstrap.redaction import ABOUT_A_PIECE, Words
from station.domain.errors import StoreError
from station.masking import mask_event

MOST_BYTES = 8 << 20
_OWN = ("timestamp", "level", "logger", "event", "exception")
_PIECES = frozenset({"piece", "piece_id", "suspect", "event_id"})
_PEOPLE = frozenset({"person", "login", "by", "display_name"})
_LEVELS = frozenset({"debug", "info", "warning", "error", "critical"})


def log_lines(data_dir: Path, words: Words) -> Iterator[dict[str, Any]]:
    """The newest lines, the oldest of them first. Raises `StoreError` when there is no log that can be read."""
    path = log_file(data_dir)
    files = [one for one in (path.with_name(f"{path.name}.1"), path) if one.is_file()]
    if not files:
        raise StoreError(f"There is no log {path}", remedy="`station run` keeps one; what it printed stands in the journal as well")
    try:
        tail = _tail(files)
    except OSError as error:
        raise StoreError(f"The log {path} cannot be read: {error.strerror}", remedy="Run this as the station's user") from error
    strange = 0
    for line in tail:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict):
            yield _shown(event, words)
        elif line.strip():
            strange += 1
    if strange:
        yield {"event": "lines that are no events were left out", "lines": strange}


def _tail(files: list[Path]) -> list[bytes]:
    parts, left = [], MOST_BYTES
    for path in reversed(files):
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - left))
            parts.append(file.read(left))
        left -= len(parts[-1])
        if left <= 0:
            # The first line is a half one.
            parts[-1] = parts[-1].partition(b"\n")[2]
            break
    return b"".join(reversed(parts)).splitlines()


def _shown(event: Mapping[str, Any], words: Words) -> dict[str, Any]:
    """One event. Of one that is about a piece only its own words and names are told."""
    event = mask_event(event)
    texts = [value for name, value in event.items() if isinstance(value, str) and name not in {"timestamp", "level", "logger"}]
    about = words.redacted and (not _PIECES.isdisjoint(event) or any(map(words.names_a_piece, texts)))
    shown: dict[str, Any] = {
        "timestamp": _moment(event.get("timestamp")),
        "level": event["level"] if event.get("level") in _LEVELS else "",
        "logger": words.text(str(event.get("logger", ""))),
        "event": words.text(str(event.get("event", ""))),
    }
    for name, value in event.items():
        if name not in _OWN:
            shown[words.text(name)] = _value(name, value, words, about=about)
    if "exception" in event:
        shown["exception"] = words.trace(str(event["exception"]), about_piece=about)
    return shown


def _value(name: str, value: Any, words: Words, *, about: bool) -> Any:
    if name in _PIECES or name in _PEOPLE:
        kind = "person" if name in _PEOPLE else "event" if name == "event_id" else "piece"
        return words.name(kind, str(value or ""))
    if about:
        return value if value is None or isinstance(value, bool) else ABOUT_A_PIECE
    return _plain(value, words)


def _plain(value: Any, words: Words) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {words.text(str(key)): _value(str(key), inner, words, about=False) for key, inner in value.items()}
    return [_plain(inner, words) for inner in value] if isinstance(value, list) else words.text(str(value))


def _moment(text: object) -> str:
    try:
        return datetime.fromisoformat(str(text)).isoformat()
    except ValueError:
        return ""
