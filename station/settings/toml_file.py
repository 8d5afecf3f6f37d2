"""TOML files whose every key knows its line, so that an error can say where it stands."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from station.domain.errors import ConfigurationError

KeyPath = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_ASSIGNMENT = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_LONG_QUOTES = ('"""', "'''")
MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A parsed file. `values` are plain dicts, lists and scalars; `lines` has the line of each key and table header, from 1."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]

    def line_of(self, key: KeyPath) -> int:
        """The line of a key, or of the nearest table around it; 1 when there is none."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key[:-1]
        return 1

    def error(self, key: KeyPath, problem: str, allowed: str) -> ConfigurationError:
        """The error that says where a key stands, what is wrong with it and what is allowed."""
        name = ".".join(str(part) for part in key) or "(the whole file)"
        return ConfigurationError(
            f"{self.path}:{self.line_of(key)}: {name}: {problem}",
            consequence="The configuration is not used",
            remedy=f"Allowed: {allowed}",
        )


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _lines(text: str) -> dict[KeyPath, int]:
    """Where each key stands. Only for messages: a line that it misses falls back to the table's."""
    found: dict[KeyPath, int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: KeyPath = ()
    inside_long_string: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if inside_long_string is not None:
            inside_long_string = None if inside_long_string in line else inside_long_string
            continue
        inside_long_string = next((quotes for quotes in _LONG_QUOTES if line.count(quotes) % 2), None)
        header = _HEADER.match(line)
        if header is not None:
            names = _parts(header.group(2))
            if header.group(1) == "[[":
                counts[names] = counts.get(names, -1) + 1
            path: list[str | int] = []
            for depth, name in enumerate(names, start=1):
                path.append(name)
                if names[:depth] in counts:
                    path.append(counts[names[:depth]])
            table = tuple(path)
            found.setdefault(table, number)
            continue
        assignment = _ASSIGNMENT.match(line)
        if assignment is not None:
            found.setdefault((*table, *_parts(assignment.group(1))), number)
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise ConfigurationError(f"{path}: the file has {len(data)} bytes", remedy=f"Allowed: at most {MAX_BYTES} bytes")
        return data.decode()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror})",
            consequence="The station does not start",
            remedy="Write the shipped files with `station config init`, or name another file with --config",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text", remedy="Save the file as UTF-8") from error


def read(path: Path) -> TomlFile:
    """Read and parse one file.

    Raises:
        ConfigurationError: it cannot be read, is no UTF-8 or no TOML; names the line.
    """
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = line.group(1) if line else str(text.count("\n") + 1)
        raise ConfigurationError(
            f"{path}:{where}: {error}", consequence="The configuration is not used", remedy="Allowed: TOML 1.0, for example key = 1"
        ) from error
    return TomlFile(path=path, values=values, lines=_lines(text))


def edit(path: Path, changes: Mapping[str, object]) -> None:
    """Change keys of a file in place and keep its comments.

    Args:
        path: the file.
        changes: new values by dotted key, for example `{"plc.endpoint": "tcp:127.0.0.1:1502"}`; a number in the key is an index.

    Raises:
        ConfigurationError: the file cannot be read, or a table in a key does not exist.
    """
    try:
        document: Any = tomlkit.parse(_text(path))
        for dotted, value in changes.items():
            *tables, key = dotted.split(".")
            at = document
            for name in tables:
                at = at[int(name)] if name.isdecimal() else at[name]
            at[key] = value
    except (TOMLKitError, KeyError, IndexError, TypeError) as error:
        raise ConfigurationError(f"{path}: cannot be changed ({error})", remedy="Name keys of tables that exist") from error
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
