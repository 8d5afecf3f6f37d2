"""Salts of facts: one of its own for each, and one that all facts of a piece share, so that who was one person stays one."""

from collections.abc import Callable

from sqlalchemy import Connection, bindparam, select

from station.domain.commitment import SALT_BYTES
from station.storage import tables

_C = tables.evidence.c
_NEWEST = select(_C.salt).where(_C.piece_id == bindparam("of_piece")).order_by(_C.row_id.desc()).limit(1)
_MOST_PIECES = 4096


class FactSalts:
    """Gives salts, and remembers those of the pieces that were last written about.

    A remembered salt whose transaction was rolled back is as good as any other: nothing was stored with it yet.

    Args:
        random_bytes: gives n random bytes.
    """

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes
        self._of_piece: dict[str, bytes] = {}

    def new(self, connection: Connection, piece_id: str) -> bytes:
        """The salt of a new fact about a piece: its own, then the piece's."""
        of_piece = self._of_piece.get(piece_id)
        if of_piece is None:
            stored = connection.execute(_NEWEST, {"of_piece": piece_id}).scalar()
            # Facts from before there were parts have a salt of their own alone.
            of_piece = (stored or b"")[SALT_BYTES:] or self._random_bytes(SALT_BYTES)
            if len(self._of_piece) >= _MOST_PIECES:
                del self._of_piece[next(iter(self._of_piece))]
            self._of_piece[piece_id] = of_piece
        return self._random_bytes(SALT_BYTES) + of_piece
