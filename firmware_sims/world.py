"""The whole physical world of one lane: the mechanics of `lane`, and what people and bad luck do to it.

Hands reach in through hoods and light curtains: that sets an access bit for half a second, unless the reach is `stealth`,
which stands for a hand that no curtain sees. Reaching into the X-ray zone opens both interlocks.
"""

import random
from collections.abc import Callable
from typing import Any

from firmware_sims.geometry import HOLD_BIN, ZONE_GATE, ZONE_XRAY, ZONES, Geometry
from firmware_sims.lane import FAR_MM, THROUGH, Lane, Load
from firmware_sims.mail import Piece

REACH_MS = 500.0
CHATTER_MS = 40.0
FEED_GAP_MM = 20.0
TAILGATE_GAP_MM = 30.0
BACKGROUND_NSV_H = 110
PRODUCTION, MAINTENANCE, MANUAL = 1, 2, 3


class World(Lane):
    """The lane with its people, its panel and its faults. `inject` and `clear` know the names in `faults`."""

    faults: tuple[str, ...] = (
        "diverter_jam",
        "gate_jam",
        "gate_forced",
        "belt_jam",
        "eye_stuck",
        "encoder_slip",
        "lamp_failure",
        "interlock_open",
        "interlock_chatter",
        "estop",
        "access",
        "lift",
        "add",
        "swap",
        "tailgate",
        "radiation",
        "scale_offset",
        "key_switch",
        "mode",
        "tunnel_open",
        "tunnel_unlocked",
    )

    def __init__(self, *, rng: random.Random, geometry: Geometry | None = None) -> None:
        super().__init__(rng=rng, geometry=geometry)
        self.access = 0
        self.interlock_a = True
        self.interlock_b = True
        self.key_switch = False
        self.mode = PRODUCTION
        self.radiation_nsv_h = BACKGROUND_NSV_H
        self.scale_offset_g = 0.0
        self.gate_reader_ok = True
        self._held_open = 0
        self._reach_until_ms = [-FAR_MM] * ZONES
        self._interlocks_open = False
        self._chatter_until_ms = -FAR_MM
        self._reaching = False

    def step(self, dt_s: float) -> None:
        """Move everything on by `dt_s`; the only way in which time enters."""
        super().step(dt_s)
        if self._reaching:
            self._step_hands()

    def _step_hands(self) -> None:
        now_ms = self.now_ms
        reached = [zone for zone in range(ZONES) if now_ms < self._reach_until_ms[zone]]
        self.access = self._held_open | sum(1 << zone for zone in reached)
        is_open = self._interlocks_open or bool(self.access >> ZONE_XRAY & 1)
        self.interlock_a = self.interlock_b = not is_open
        chatters = now_ms < self._chatter_until_ms
        if chatters:
            self.interlock_a = int(now_ms / CHATTER_MS) % 2 == 0
        self._reaching = bool(self.access) or is_open or chatters

    # Hands.

    def open_access(self, zone: int) -> None:
        """Open a hood or stand in a light curtain until `close_access`."""
        self._held_open |= 1 << zone
        self._reaching = True
        self._step_hands()

    def close_access(self, zone: int) -> None:
        """Close it again."""
        self._held_open &= ~(1 << zone)
        self._step_hands()

    def _reach(self, zone: int) -> None:
        self._reach_until_ms[zone] = self.now_ms + REACH_MS
        self._reaching = True
        self._step_hands()

    def feed(self, piece: Piece) -> bool:
        """Lay a piece at the start of B1; False, and nothing done, while there is no room for it."""
        head_mm = self.geometry.feed_head_mm
        if self.loads:
            last = self.loads[-1]
            if last.head_mm - last.length_mm < head_mm + FEED_GAP_MM:
                return False
        self._lay(piece, head_mm, fed=True)
        return True

    def _lay(self, piece: Piece, head_mm: float, *, fed: bool = False) -> Load:
        stay = self.ledger.arrive(
            serial=piece.serial,
            piece_id=piece.piece_id,
            kind=piece.kind,
            truth=piece.truth,
            length_mm=piece.length_mm,
            now_ms=self.now_ms,
            fed=fed,
        )
        geometry = self.geometry
        load = Load(piece, head_mm, stay, geometry)
        centre_mm = head_mm - load.half_mm
        while load.belt < len(geometry.belt_end_mm) and centre_mm >= geometry.belt_end_mm[load.belt]:
            load.belt += 1
        load.zone = self._zone_of(centre_mm)
        stay.zones = 1 << load.zone
        load.route = [THROUGH if head_mm >= place_mm else 0 for place_mm in geometry.diverter_mm]
        self._cover_eyes(load)
        self.loads.append(load)
        self.loads.sort(key=lambda one: -one.head_mm)
        return load

    def _zone_of(self, place_mm: float) -> int:
        return sum(place_mm >= end_mm for end_mm in self.geometry.zone_end_mm)

    def find(self, what: Piece | int) -> Load | None:
        """The load of this piece, or the one furthest downstream that lies in this zone."""
        if not isinstance(what, int):
            return next((load for load in self.loads if load.piece is what), None)
        ends = self.geometry.zone_end_mm
        start_mm = ends[what - 1] if what else -FAR_MM
        for load in self.loads:
            if load.head_mm >= start_mm and load.head_mm - load.length_mm < ends[what]:
                return load
        return None

    def at_gate(self) -> Load | None:
        """The load furthest downstream that waits on B5 or stands half out in the exit; None if none does."""
        return next((load for load in self.loads if load.head_mm >= self.geometry.zone_end_mm[ZONE_GATE - 1]), None)

    def lift(self, what: Piece | int, *, stealth: bool = False) -> Piece | None:
        """Take a piece, or the one furthest downstream in a zone, off the lane; None if there is none."""
        load = self.find(what)
        if load is None:
            return None
        if not stealth:
            self._reach(what if isinstance(what, int) else min(load.zone, ZONE_GATE))
        self.loads.remove(load)
        load.stay.exit, load.stay.exit_ms = "lifted", self.now_ms
        return load.piece

    def lift_to_hold_bin(self, what: Piece | int, *, stealth: bool = False) -> Piece | None:
        """Lift a piece and lay it into the hold bin, past the bin's eye."""
        piece = self.lift(what, stealth=stealth)
        if piece is not None:
            self.bins[HOLD_BIN].append(piece)
        return piece

    def add(self, piece: Piece, zone: int, *, stealth: bool = False, head_mm: float | None = None) -> None:
        """Lay a piece onto the belt in a zone: its head there, else in the first free place, else on top of another."""
        if not stealth:
            self._reach(zone)
        ends = self.geometry.zone_end_mm
        start_mm = ends[zone - 1] if zone else 0.0
        if head_mm is None:
            head_mm = (start_mm + ends[zone]) / 2.0
            for place in range(int(start_mm) + 50, int(ends[zone]), 50):
                tail = place - piece.length_mm
                if all(load.head_mm < tail or load.head_mm - load.length_mm > place for load in self.loads):
                    head_mm = float(place)
                    break
        self._lay(piece, head_mm)

    def swap(self, zone: int, piece: Piece, *, stealth: bool = False) -> Piece | None:
        """Put `piece` in the place of the one furthest downstream in a zone, and return that one; None if there is none."""
        load = self.find(zone)
        if load is None:
            return None
        if not stealth:
            self._reach(zone)
        self.loads.remove(load)
        load.stay.exit, load.stay.exit_ms = "lifted", self.now_ms
        new = self._lay(piece, load.head_mm)
        new.route = list(load.route)
        return load.piece

    def tailgate(self, piece: Piece, *, stealth: bool = True, gap_mm: float = TAILGATE_GAP_MM) -> bool:
        """Lay a piece close behind the one on B5, so that it would slip out with it; False if B5 is empty."""
        first = self.find(ZONE_GATE)
        if first is None:
            return False
        if not stealth:
            self._reach(ZONE_GATE)
        self._lay(piece, first.head_mm - first.length_mm - gap_mm)
        return True

    def take_from_bin(self, name: str, piece_id: str | None = None) -> Piece | None:
        """Take the oldest piece, or the one of this id, out of a bin; None if it is not there."""
        pieces = self.bins[name]
        for index, piece in enumerate(pieces):
            if piece_id is None or piece.piece_id == piece_id:
                return pieces.pop(index)
        return None

    def put_in_bin(self, name: str, piece: Piece) -> None:
        """Lay a piece into a bin by hand."""
        self.bins[name].append(piece)

    # Truth told from outside.

    def note_clearance(self, piece_id: str, *, visit: int | None = None) -> bool:
        """See `Ledger.note_clearance`."""
        return self.ledger.note_clearance(piece_id, visit=visit)

    def note_tag(self, tag: int, head_mm: float) -> None:
        """Bind a tag to the piece whose head is nearest to where the PLC has it; nothing if none is within 200 mm."""
        near = [load for load in self.loads if abs(load.head_mm - head_mm) < 200.0]
        if near:
            best = min(near, key=lambda load: abs(load.head_mm - head_mm))
            self.ledger.bind_tag(tag, best.piece.serial)

    # Faults.

    def inject(self, name: str, **args: Any) -> object:
        """Make a fault or a hand's deed happen; KeyError for an unknown name."""
        return self._fault_table()[name][0](**args)

    def clear(self, name: str, **args: Any) -> object:
        """Undo a fault; nothing for a deed that is over when it is done."""
        return self._fault_table()[name][1](**args)

    def _fault_table(self) -> dict[str, tuple[Callable[..., object], Callable[..., object]]]:
        def nothing() -> None:
            return None

        return {
            "diverter_jam": (lambda which: self._jam(which, jammed=True), lambda which: self._jam(which, jammed=False)),
            "gate_jam": (lambda: setattr(self.gate, "jammed", True), lambda: setattr(self.gate, "jammed", False)),
            "gate_forced": (
                lambda: setattr(self, "gate_forced", True),
                lambda: setattr(self, "gate_forced", False),
            ),
            "belt_jam": (
                lambda belt: setattr(self.belts[belt], "jammed", True),
                lambda belt: setattr(self.belts[belt], "jammed", False),
            ),
            "eye_stuck": (self._stick_eye, self._free_eye),
            "encoder_slip": (
                lambda belt, factor=0.8: setattr(self.belts[belt], "encoder_factor", float(factor)),
                lambda belt: setattr(self.belts[belt], "encoder_factor", 1.0),
            ),
            "lamp_failure": (
                lambda lamp, health=0.0: self.uv.set_health(lamp, float(health)),
                lambda lamp: self.uv.set_health(lamp, 1.0),
            ),
            "interlock_open": (self._open_interlocks, self._close_interlocks),
            "interlock_chatter": (self._chatter, lambda: self._chatter(duration_s=0.0)),
            "estop": (
                lambda: setattr(self, "estop_pressed", True),
                lambda: setattr(self, "estop_pressed", False),
            ),
            "access": (self.open_access, self.close_access),
            "lift": (lambda zone, stealth=False: self.lift(zone, stealth=stealth), nothing),
            "add": (self.add, nothing),
            "swap": (self.swap, nothing),
            "tailgate": (self.tailgate, nothing),
            "radiation": (
                lambda nsv_h: setattr(self, "radiation_nsv_h", int(nsv_h)),
                lambda: setattr(self, "radiation_nsv_h", BACKGROUND_NSV_H),
            ),
            "scale_offset": (
                lambda grams: setattr(self, "scale_offset_g", float(grams)),
                lambda: setattr(self, "scale_offset_g", 0.0),
            ),
            "key_switch": (
                lambda: setattr(self, "key_switch", True),
                lambda: setattr(self, "key_switch", False),
            ),
            "mode": (
                lambda mode: setattr(self, "mode", int(mode)),
                lambda: setattr(self, "mode", PRODUCTION),
            ),
            "tunnel_open": (
                lambda: setattr(self, "tunnel_open", True),
                lambda: setattr(self, "tunnel_open", False),
            ),
            "tunnel_unlocked": (
                lambda: setattr(self, "tunnel_unlocked", True),
                lambda: setattr(self, "tunnel_unlocked", False),
            ),
        }

    def _jam(self, which: int, *, jammed: bool) -> None:
        self.diverters[which - 1].jammed = jammed

    def _stick_eye(self, *, eye: int, blocked: bool) -> None:
        self.eyes_stuck |= 1 << eye
        self.eyes_stuck_at = self.eyes_stuck_at & ~(1 << eye) | (int(blocked) << eye)

    def _free_eye(self, *, eye: int) -> None:
        self.eyes_stuck &= ~(1 << eye)
        self.eyes_stuck_at &= ~(1 << eye)

    def _open_interlocks(self) -> None:
        self._interlocks_open = self._reaching = True
        self._step_hands()

    def _close_interlocks(self) -> None:
        self._interlocks_open = False
        self._step_hands()

    def _chatter(self, *, duration_s: float = 1.0) -> None:
        self._chatter_until_ms = self.now_ms + duration_s * 1000.0
        self._reaching = True
        self._step_hands()

    def scale_g(self) -> float:
        """What the infeed scale shows."""
        return max(0.0, super().scale_g() + self.scale_offset_g)
