"""Texts from outside, made harmless to whoever shows them: nothing hides, nothing turns the line round, nothing breaks it. Pure."""

import unicodedata

LONGEST = 1000
"""Longer texts are cut, and end with `…`."""
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    r"""The text on one line: each control, bidirectional or otherwise invisible sign stands as its number, like `\u202e`."""
    shown = "".join(_escaped(sign) if unicodedata.category(sign) in _UNSHOWN else sign for sign in text)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _escaped(sign: str) -> str:
    number = ord(sign)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - what four digits hold
