"""The people around the lane: who lays pieces on B1, empties bins and reaches through hatches."""

from collections import deque
from dataclasses import replace

import numpy as np

from firmware_sims.geometry import HOLD_BIN, RETURN_BIN
from firmware_sims.mail import Piece, draw_mail, draw_piece, s10
from firmware_sims.picture import LabelledPicture, draw_pictures
from firmware_sims.test_piece import draw_test_piece
from firmware_sims.world import World

PITCH_MM = 800.0
# A person looks at the belt every 50 ms.
GLANCE_STEPS = 5
LOOK_ALIKE = "LOOKALIKE-"
BINS = (HOLD_BIN, RETURN_BIN)
ANNOUNCED_KINDS = {"envelope": "envelope", "packet": "packet", "document_parcel": "parcel", "small_parcel": "parcel"}


class UnknownPieceError(Exception):
    """No piece of this id where it was asked for."""


class MailRoom:
    """Every piece that was ever drawn, the queue before the lane, and the hands that move pieces."""

    def __init__(self, *, world: World, rng: np.random.Generator, pictures: list[LabelledPicture] | None = None) -> None:
        self._world = world
        self._rng = rng
        self._pictures = pictures
        self.pieces: dict[str, Piece] = {}
        self.queue: deque[Piece] = deque()
        self.away: list[Piece] = []
        self._serial = 0
        self._tests = 0
        self._last_fed: Piece | None = None
        self._glance = 0

    def draw(self, count: int) -> list[Piece]:
        """Draw `count` pieces, with pictures if there are any."""
        first = self._serial + 1
        if self._pictures is not None:
            drawn = draw_pictures(self._rng, self._pictures, count, first_serial=first)
        else:
            drawn = draw_mail(self._rng, count, first_serial=first)
        self._serial += count
        for piece in drawn:
            self.pieces[piece.piece_id] = piece
        return drawn

    def draw_one(
        self,
        *,
        kind: str | None = None,
        threat: str | None = None,
        piece_id: str | None = None,
        barcode: str | None = None,
        unreadable: bool = False,
        secrecy: str | None = None,
        urgency: str | None = None,
    ) -> Piece:
        """One piece as asked; what is not said is drawn."""
        identifier = piece_id or s10(int(self._rng.integers(10_000_000, 100_000_000)))
        piece = draw_piece(self._rng, serial=self._next_serial(), piece_id=identifier, threat_kind=threat, kind=kind)
        printed = None if unreadable else (barcode or identifier)
        piece = replace(piece, barcode=printed, secrecy=secrecy, urgency=urgency)
        self.pieces[identifier] = piece
        return piece

    def draw_look_alike(self, piece_id: str) -> Piece:
        """Another piece of the same size, weight and printed code, with other things inside."""
        original = self.known(piece_id)
        serial = self._next_serial()
        other = draw_piece(self._rng, serial=serial, piece_id=f"{LOOK_ALIKE}{serial}", threat_kind="bomb", kind="packet")
        piece = replace(original, serial=serial, piece_id=other.piece_id, truth="threat", threat_kind="bomb", body=other.body)
        self.pieces[piece.piece_id] = piece
        return piece

    def draw_test_piece(self, *, turn_deg: float = 0.0, backwards: bool = False) -> Piece:
        """The daily test piece, numbered on, and how a hand lays it."""
        piece = draw_test_piece(serial=self._next_serial(), number=self._tests + 1, turn_deg=turn_deg, backwards=backwards)
        self._tests += 1
        self.pieces[piece.piece_id] = piece
        return piece

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial

    def known(self, piece_id: str) -> Piece:
        """A drawn piece.

        Raises:
            UnknownPieceError: never drawn here.
        """
        if piece_id not in self.pieces:
            raise UnknownPieceError(f"no piece {piece_id} was ever drawn")
        return self.pieces[piece_id]

    # --- hands ------------------------------------------------------------------------------------------------

    def feed(self, piece_id: str, *, first: bool = False) -> None:
        """Put a piece into the queue before B1.

        Raises:
            UnknownPieceError: never drawn, or not in reach: it is on the lane or gone.
        """
        piece = self.known(piece_id)
        place = self.where(piece_id)["place"]
        if place not in {"shelf", "away"}:
            raise UnknownPieceError(f"{piece_id} cannot be laid on the belt: it is at {place}")
        if piece in self.away:
            self.away.remove(piece)
        if first:
            self.queue.appendleft(piece)
        else:
            self.queue.append(piece)

    def feed_all(self) -> int:
        """Queue every piece that still lies on the shelf; how many."""
        waiting = [piece_id for piece_id in self.pieces if self.where(piece_id)["place"] == "shelf"]
        waiting = [piece_id for piece_id in waiting if not piece_id.startswith(LOOK_ALIKE)]
        for piece_id in waiting:
            self.feed(piece_id)
        return len(waiting)

    def refeed(self, piece_id: str) -> None:
        """Take a piece out of the hold or return bin and put it at the head of the queue.

        Raises:
            UnknownPieceError: in neither bin.
        """
        for name in BINS:
            piece = self._world.take_from_bin(name, piece_id)
            if piece is not None:
                self.queue.appendleft(piece)
                return
        raise UnknownPieceError(f"{piece_id} is in no bin: it is at {self.where(piece_id)['place']}")

    def take_away(self, piece_id: str) -> None:
        """Carry a piece from a bin out of the room (to the sender, to the police).

        Raises:
            UnknownPieceError: in neither bin.
        """
        for name in BINS:
            piece = self._world.take_from_bin(name, piece_id)
            if piece is not None:
                self.away.append(piece)
                return
        raise UnknownPieceError(f"{piece_id} is in no bin: it is at {self.where(piece_id)['place']}")

    def lift(self, zone: int, *, to_hold_bin: bool, stealth: bool = False) -> Piece | None:
        """Lift the piece furthest downstream in a zone off the lane; None if there is none."""
        if to_hold_bin:
            return self._world.lift_to_hold_bin(zone, stealth=stealth)
        piece = self._world.lift(zone, stealth=stealth)
        if piece is not None:
            self.away.append(piece)
        return piece

    def lift_from_gate(self) -> Piece | None:
        """Lay what waits on B5, or stands half out in the exit, into the hold bin; None if nothing does."""
        waiting = self._world.at_gate()
        return None if waiting is None else self._world.lift_to_hold_bin(waiting.piece)

    def where(self, piece_id: str) -> dict[str, object]:
        """Where a piece is: shelf, queue, lane (zone, head), hold_bin, return_bin, outside or away.

        Raises:
            UnknownPieceError: never drawn.
        """
        piece = self.known(piece_id)
        load = self._world.find(piece)
        if load is not None:
            return {"place": "lane", "zone": load.zone, "head_mm": round(load.head_mm, 1)}
        for name in BINS:
            if any(one is piece for one in self._world.bins[name]):
                return {"place": f"{name}_bin"}
        for place, pieces in (("queue", self.queue), ("away", self.away), ("outside", self._world.outside)):
            if any(one is piece for one in pieces):
                return {"place": place}
        return {"place": "shelf"}

    def step(self, *, wait: bool = False) -> None:
        """Lay the next piece on B1 when it runs and the last one has gone far enough; not while the red light says `wait`."""
        self._glance = (self._glance + 1) % GLANCE_STEPS
        world = self._world
        if self._glance or wait or not self.queue or world.frozen or world.belt_speed_mm_s(0) <= 0:
            return
        if self._last_fed is not None:
            load = world.find(self._last_fed)
            if load is not None and load.head_mm - world.geometry.feed_head_mm < PITCH_MM:
                return
        if world.feed(self.queue[0]):
            self._last_fed = self.queue.popleft()

    @staticmethod
    def cover(piece: Piece) -> dict[str, object]:
        """What stands on the piece's cover and what a scale and a ruler say: what tracking announces."""
        return {
            "piece_id": piece.piece_id,
            "kind": ANNOUNCED_KINDS.get(piece.kind, "unknown"),
            "secrecy": piece.secrecy,
            "urgency": piece.urgency,
            "destination": piece.destination,
            "sender_unit": piece.sender_unit,
            "length_mm": piece.length_mm,
            "width_mm": piece.width_mm,
            "height_mm": piece.height_mm,
            "weight_g": piece.weight_g,
        }
