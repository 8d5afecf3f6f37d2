"""Takes out of a log event, or of any text, what nobody who reads it may learn: secrets, and what is in a piece. Pure.

Names decide first (`password`, `token`, …), whatever the value; then forms that no honest text has: keys, tokens and links of the station,
private keys, password hashes, credentials in headers and addresses.
"""

import re
import string
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

MASKED = "***"
_LONGEST_TEXT = 20_000
_CUT = "[cut]"
_DEEPEST = 6
_MANY = 200

_TELLING = (
    r"pass(?:word|wd|phrase)|secret|token|cookie|authori[sz]ation|csrf|credential|session|"
    r"(?:api|private|signing|data)[_-]?key"
)
_SECRET_NAME = re.compile(_TELLING, re.IGNORECASE)
_NAME_OF_FILE = re.compile(r"_(?:files?|dir)$", re.IGNORECASE)
_CONTENTS = frozenset(
    {"title", "content", "contents", "destination", "sender_unit", "secrecy", "clearance", "score", "p_value", "finding", "findings"}
    | {"reasons", "image", "view_png", "heat_png", "heat_map", "fingerprint", "scan", "scan_sha256", "sha256", "payload", "le", "he"}
)
"""Names under which something about a piece would stand that only people of its level may know."""

_BETWEEN = r"""(?:\\*["']|%2[27])?\s*(?:[:=,]|%3[AD])(?:\s|%20)*b?"""
# What was quoted within quotes goes to the end of its line: where it ends cannot be told.
_QUOTED = r"""\\+["'][^\r\n]*|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?"""
# Nothing here may try one stretch of text again and again: the lanes' loop stands still while a text is masked, in whatever thread.
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL), MASKED),
    (re.compile(r"\bKT1KEY1\b[^\r\n]*"), MASKED),
    (re.compile(r"(?i)(?<![a-z0-9])(wh(?:sec|sk)(?:_|%5F))[A-Za-z0-9+/=_%-]+"), rf"\1{MASKED}"),
    (re.compile(r"(?:\$|%24)argon2[^\s\"')]*"), MASKED),
    (re.compile(rf"(?i)((?:cookie|authori[sz]ation){_BETWEEN})[^\r\n]*"), rf"\1{MASKED}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+"), rf"\1{MASKED}"),
    (re.compile(r"(?i)\b(basic\s+)[A-Za-z0-9+/=]{8,}"), rf"\1{MASKED}"),
    # To the last sign, for a password may have one in it, and a slash.
    (re.compile(r"(?i)(://|%3A%2F%2F)[^\s\"'<>]{1,256}(@|%40)"), rf"\1{MASKED}\2"),
    (re.compile(r"(#|%23)[A-Za-z0-9_-]{20,}"), rf"\1{MASKED}"),
    # What a database or a validator was given stands behind its own words, in one line.
    (re.compile(r"\[parameters: [^\r\n]*"), f"[parameters: {MASKED}]"),
    (re.compile(r"input_value=(?:[^\r\n]*(?=, input_type=)|.*)", re.DOTALL), f"input_value={MASKED}"),
)
_PASSED = re.compile(rf"(?i)(pass(?:word|wd|phrase)[\w-]{{0,60}})({_BETWEEN})({_QUOTED}|[^\r\n&]+)")
_GIVEN = re.compile(rf"(?i)((?:{_TELLING})[\w-]{{0,60}})({_BETWEEN})({_QUOTED}|[^\s,;&)}}\]]+)")
# 32 random bytes as the station, and whoever uses the same library, writes them; with whatever an encoding or a path put around them.
_RANDOM = re.compile(r"[A-Za-z0-9_+/=-]{43,}")
_OF_EACH_CASE = 4
"""Fewer letters of one case are found once in a million of those."""
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def is_secret_name(name: str) -> bool:
    """True for the name of something that must not be shown; not for the name of a file that holds such a thing."""
    return _SECRET_NAME.search(name) is not None and _NAME_OF_FILE.search(name) is None


def mask(text: str) -> str:
    """The text without secrets, and without characters that would change how a terminal shows it."""
    shown = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)
    for form, instead in _FORMS:
        shown = form.sub(instead, shown)
    for named in (_PASSED, _GIVEN):
        shown = named.sub(_named, shown)
    return _RANDOM.sub(_random, shown)


def mask_long(text: str) -> str:
    """The same of no more than its first 20 000 characters, up to the last blank: half a secret has no form to be told by."""
    if len(text) <= _LONGEST_TEXT:
        return mask(text)
    whole = re.split(r"\s", text[: _LONGEST_TEXT + 1][::-1], maxsplit=1)[1:]
    return f"{mask(whole[0][::-1])} {_CUT}" if whole else _CUT


def mask_event(event: Mapping[Any, Any]) -> dict[str, Any]:
    """A log event without secrets and without what is in a piece: plain values that no longer belong to anybody."""
    return {str(mask(str(name))): _masked(str(name), value, 0) for name, value in event.items()}


def _masked(name: str, value: Any, depth: int) -> Any:
    if is_secret_name(name) or name.lower() in _CONTENTS:
        return MASKED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | PurePath | BaseException | date | datetime | Enum):
        shown = repr(value) if isinstance(value, BaseException) else str(value)
        return mask_long(shown)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {mask(str(key)): _masked(str(key), inner, depth + 1) for key, inner in list(value.items())[:_MANY]}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return _each(value, depth)
    # Bytes, pictures, and whatever else would have to be asked what it holds.
    return f"<{type(value).__name__}>"


def _each(values: Iterable[Any], depth: int) -> list[Any]:
    taken = list(values)[:_MANY]
    # A pair as headers come: the first one names the second.
    if len(taken) == len(("name", "value")) and isinstance(taken[0], str | bytes):
        name = taken[0].decode(errors="replace") if isinstance(taken[0], bytes) else taken[0]
        return [_masked("", name, depth + 1), _masked(name, taken[1], depth + 1)]
    return [_masked("", value, depth + 1) for value in taken]


def _named(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    return found[0] if _NAME_OF_FILE.search(name) or value.startswith(MASKED) else f"{name}{between}{MASKED}"


def _random(found: re.Match[str]) -> str:
    kinds = (string.ascii_uppercase, string.ascii_lowercase)
    return MASKED if all(sum(letter in kind for letter in found[0]) >= _OF_EACH_CASE for kind in kinds) else found[0]
