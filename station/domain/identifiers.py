"""Piece identifiers: UPU S10 by default, a site's other schemes by pattern, local ids and test pieces.

Source: UPU standard S10, check digit: weights 8 6 4 2 3 5 9 7, C = 11 - (sum mod 11), 10 becomes 0 and 11 becomes 5.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from station.domain.errors import IdentifierError
from station.domain.reasons import Reason

MAX_LENGTH = 40
"""Longest identifier that is looked at; it also bounds what a site's own pattern can cost."""

LOCAL_PREFIX = "LOCAL-"
TEST_PREFIX = "TEST-"
FREEZE_PREFIX = "FREEZE:"
STATION_SUBJECTS = frozenset({"ACCESS", "IMAGES", "MODEL", "SHIFT", "STORE", "TRACKING"})
"""Under these names, and those with `FREEZE_PREFIX`, the station keeps facts about itself, where a piece's stand under its id."""

_S10_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_S10_SERIAL = re.compile(r"[0-9]{8}")
_GRAPHIC = re.compile(rf"[!-~]{{1,{MAX_LENGTH}}}")
_TEST_ID = re.compile(r"TEST-[A-Z0-9](?:[A-Z0-9-]{0,31})")
_LANE_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,15})")


class CheckRule(StrEnum):
    """How the check digit of a scheme is computed."""

    S10 = "s10"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One way in which pieces are numbered. `pattern` must match the whole code; ASCII only."""

    name: str
    pattern: str
    check: CheckRule = CheckRule.NONE


S10 = Scheme(name="s10", pattern=r"[A-Z]{2}[0-9]{9}[A-Z]{2}", check=CheckRule.S10)
DEFAULT_SCHEMES = (S10,)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceId:
    """An identifier that passed its scheme's form and check digit. `scheme` is `test` for test pieces."""

    value: str
    scheme: str

    @property
    def is_test(self) -> bool:
        """True for a test piece: no lifecycle, no tracking, never released."""
        return is_test_id(self.value)


def s10_check_digit(serial: str) -> int:
    """The check digit of eight decimal digits, for example 9 for 47312482.

    Raises:
        IdentifierError: `serial` is not eight ASCII digits.
    """
    if _S10_SERIAL.fullmatch(serial) is None:
        raise IdentifierError(f"{serial!a} is not a serial number of eight digits", remedy="Give eight decimal digits")
    rest = sum(weight * int(digit) for weight, digit in zip(_S10_WEIGHTS, serial, strict=True)) % 11
    return {10: 0, 11: 5}.get(11 - rest, 11 - rest)


def parse_piece_id(text: str, schemes: Sequence[Scheme] = DEFAULT_SCHEMES) -> PieceId:
    """Understand one identifier exactly as it stands: nothing is trimmed, folded or repaired.

    Raises:
        IdentifierError: control or non-ASCII characters, over-long, no scheme fits, or the check digit is wrong.
    """
    if _GRAPHIC.fullmatch(text) is None:
        # Only a short, escaped beginning is repeated: the text may be hostile and ends in logs and on screens.
        raise IdentifierError(
            f"{text[:MAX_LENGTH]!a} is no identifier: 1 to {MAX_LENGTH} printable ASCII characters without spaces are allowed",
            remedy="Read the label again",
        )
    if _TEST_ID.fullmatch(text) is not None:
        return PieceId(value=text, scheme="test")
    if text.startswith((LOCAL_PREFIX, TEST_PREFIX, FREEZE_PREFIX)) or text in STATION_SUBJECTS:
        raise IdentifierError(f"{text!a} is reserved for the station itself", remedy="Use the number that the post gave the piece")
    for scheme in schemes:
        if re.fullmatch(scheme.pattern, text, re.ASCII) is not None:
            if scheme.check is CheckRule.S10 and s10_check_digit(text[2:10]) != int(text[10]):
                raise IdentifierError(f"{text!a} has a wrong check digit", remedy="Read the label again")
            return PieceId(value=text, scheme=scheme.name)
    names = ", ".join(scheme.name for scheme in schemes)
    raise IdentifierError(f"{text!a} fits none of the numbering schemes ({names})", remedy="Read the label again")


def identify(barcode: str | None, schemes: Sequence[Scheme] = DEFAULT_SCHEMES) -> PieceId | Reason:
    """What a barcode says: an identifier, or the reason why the piece is held (None: nothing could be read)."""
    if barcode is None:
        return Reason.BARCODE_UNREADABLE
    try:
        return parse_piece_id(barcode, schemes)
    except IdentifierError:
        return Reason.BARCODE_MALFORMED


def local_id(lane_id: str, number: int) -> str:
    """The id `LOCAL-<lane>-<n>` of a piece that cannot be identified; such a piece is always held.

    Raises:
        IdentifierError: `lane_id` is not a lane's name or `number` is below 1.
    """
    if _LANE_ID.fullmatch(lane_id) is None or number < 1:
        raise IdentifierError(f"No local id can be made of lane {lane_id[:MAX_LENGTH]!a} and number {number}")
    return f"{LOCAL_PREFIX}{lane_id}-{number}"


def local_number(piece_id: str, lane_id: str) -> int:
    """The number in a local id of that lane; 0 for any other id."""
    prefix = f"{LOCAL_PREFIX}{lane_id}-"
    number = piece_id.removeprefix(prefix)
    return int(number) if piece_id.startswith(prefix) and number.isascii() and number.isdigit() else 0


def certificate_id(site: str, piece_id: str, visit: int) -> str:
    """The name of the clearance certificate of a piece that was released on that visit; it is known before the certificate can be made."""
    return f"urn:kt1:certificate:{quote(site, safe='')}:{quote(piece_id, safe='')}:{visit}"


def is_local_id(piece_id: str) -> bool:
    """True for an id that the station itself gave."""
    return piece_id.startswith(LOCAL_PREFIX)


def is_test_id(piece_id: str) -> bool:
    """True for a test piece's id."""
    return piece_id.startswith(TEST_PREFIX)
