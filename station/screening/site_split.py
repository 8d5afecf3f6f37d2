"""Which piece serves for what, and which threats: by fixed rules, so that nothing is measured on what it was fitted on.

A piece's part follows from its name alone. It stays in that part in every later fit, however many pieces join it, so that a model in use
that was fitted here before has not seen the pieces on which it is compared with its successor.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from station.screening.projection import Library
from station.screening.site_pieces import BenignPiece

FITTED_OF_100, MEASURED_OF_100 = 35, 15
"""The other 50 of a hundred pieces calibrate."""
RULE = "first 8 bytes of SHA-256('kt1:part:' + name), modulo 100: 0-34 fit, 35-49 measure, 50-99 calibrate"
LIBRARY_RULE = "things of each class in the order of their ids: the 1st, 3rd, … fit, the 2nd, 4th, … measure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Three parts without a piece in common, each in the order of their digests (which is as good as chance)."""

    fitting: tuple[BenignPiece, ...]
    calibrating: tuple[BenignPiece, ...]
    measuring: tuple[BenignPiece, ...]


def digest_of(name: str) -> bytes:
    """What a piece's part, and its own chance, are drawn from."""
    return hashlib.sha256(f"kt1:part:{name}".encode()).digest()


def place_of(name: str) -> int:
    """0…99: see `RULE`."""
    return int.from_bytes(digest_of(name)[:8]) % 100


def parted(pieces: Iterable[BenignPiece]) -> Parts:
    """The parts. A piece that comes twice, by its name or by its scan, counts once: under the name that sorts first."""
    known: dict[str, BenignPiece] = {}
    scans: set[str] = set()
    for piece in sorted(pieces, key=lambda piece: piece.name):
        if piece.name not in known and piece.sha256 not in scans:
            known[piece.name] = piece
            scans.add(piece.sha256)
    ordered = sorted(known.values(), key=lambda piece: digest_of(piece.name))
    middle = FITTED_OF_100 + MEASURED_OF_100
    return Parts(
        fitting=tuple(piece for piece in ordered if place_of(piece.name) < FITTED_OF_100),
        measuring=tuple(piece for piece in ordered if FITTED_OF_100 <= place_of(piece.name) < middle),
        calibrating=tuple(piece for piece in ordered if place_of(piece.name) >= middle),
    )


def halves(library: Library) -> tuple[Library, Library]:
    """Things to fit with, and others to measure with; see `LIBRARY_RULE`."""
    by_class = defaultdict(list)
    for entry in sorted(library.entries, key=lambda entry: entry.thing_id):
        by_class[entry.threat_class].append(entry)
    first, second = (
        replace(library, entries=tuple(entry for entries in by_class.values() for entry in entries[start::2])) for start in (0, 1)
    )
    return first, second
