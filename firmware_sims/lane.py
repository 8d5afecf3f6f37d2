"""The lane's mechanics: pieces on belts, flaps, light and beam, moved on by fixed steps of time.

A piece moves with the belt that is under its centre; the other belt slips under it. A heavier piece shoves a lighter one that
stands in its way, a lighter one slips. A flap never swings into a piece that stands over it; the gate comes down on a piece
and rests there until it has gone.
"""

import random
from bisect import bisect_left, bisect_right
from collections import deque

from firmware_sims.belts import Belt, Flap
from firmware_sims.geometry import (
    BELTS,
    EYE_HOLD_BIN,
    EYE_RETURN_BIN,
    HOLD_BIN,
    RETURN_BIN,
    Geometry,
)
from firmware_sims.ledger import DOSE_POINTS, Ledger, Stay
from firmware_sims.mail import Piece
from firmware_sims.uv_field import LAMPS, UvField

CHUTE_MM_S = 250.0
GATE_PASS = 0.4
GATE_REST = 0.5
BIN_PULSE_MS = 150.0
FREEZE_GRACE_MS = 250.0
LABEL_MM = 40.0
FAR_MM = 1e9
THROUGH, INTO_BIN = 1, 2


class Load:
    """A piece on the lane: `head_mm` is the place of its leading edge."""

    __slots__ = (
        "belt",
        "events_mm",
        "eyes",
        "half_mm",
        "head_mm",
        "label_mm",
        "length_mm",
        "offsets_mm",
        "piece",
        "quiet_mm",
        "route",
        "stay",
        "zone",
    )

    def __init__(self, piece: Piece, head_mm: float, stay: Stay, geometry: Geometry) -> None:
        self.piece = piece
        self.stay = stay
        self.head_mm = head_mm
        self.length_mm = piece.length_mm
        self.half_mm = piece.length_mm / 2.0
        self.label_mm = min(LABEL_MM, self.half_mm)
        step = piece.length_mm / (DOSE_POINTS - 1)
        self.offsets_mm = tuple(step * point for point in range(DOSE_POINTS))
        self.belt = 0
        self.zone = 0
        self.eyes = 0
        # Of each diverter, the way taken: 0 not met yet.
        self.route = [0, 0]
        self.events_mm = self._events(geometry)
        self.quiet_mm = 0.0

    def _events(self, geometry: Geometry) -> tuple[float, ...]:
        """Every head position at which this piece meets or leaves something."""
        heads = (*geometry.eye_mm, *geometry.diverter_mm, geometry.gate_mm, geometry.beam_mm)
        tails = (*geometry.eye_mm, geometry.beam_mm, geometry.outside_mm)
        centres = (*geometry.belt_end_mm, *geometry.zone_end_mm, *geometry.diverter_mm)
        codes = (geometry.infeed_reader_mm, geometry.gate_reader_mm)
        return (
            *sorted(
                {
                    *heads,
                    *(place + self.length_mm for place in tails),
                    *(place + self.half_mm for place in centres),
                    *(place + self.label_mm for place in codes),
                }
            ),
            FAR_MM,
        )

    def rest_until_next_event(self, beam_mm: float) -> None:
        """Set how far this piece can now move without meeting or leaving anything."""
        head_mm = self.head_mm
        if beam_mm <= head_mm <= beam_mm + self.length_mm:
            self.quiet_mm = head_mm
        else:
            self.quiet_mm = self.events_mm[bisect_left(self.events_mm, head_mm)]


class Lane:
    """The physical lane. Device simulators read its sensors and set its actuators; only `step` moves anything."""

    def __init__(self, *, rng: random.Random, geometry: Geometry | None = None) -> None:
        self.geometry = geometry or Geometry()
        self.rng = rng
        self.now_ms = 0.0
        self.ledger = Ledger()
        self.belts = [Belt(encoder_mm=rng.uniform(0.0, 4.2e8)) for _ in range(BELTS)]
        self.diverters = [Flap(), Flap()]
        self.gate = Flap()
        self.uv = UvField()
        self.loads: list[Load] = []
        self.bins: dict[str, list[Piece]] = {HOLD_BIN: [], RETURN_BIN: []}
        self.outside: list[Piece] = []
        self.beam_on = False
        self.beam_kv = 0.0
        self.beam_ma = 0.0
        self.beam_permitted = False
        self.estop_pressed = False
        self.frozen = False
        self.gate_forced = False
        self.tunnel_open = False
        self.tunnel_unlocked = False
        self.codes: tuple[deque[Piece], deque[Piece]] = (deque(maxlen=8), deque(maxlen=8))
        self.eyes_stuck = 0
        self.eyes_stuck_at = 0
        self._eyes = 0
        # Eyes of bins that something has just fallen past, and when.
        self._bin_pulses_ms: dict[int, float] = {}
        self._frozen_ms = 0.0
        self._gate_permit: int | None = None
        self._gate_shut = True

    # Actuators: belts 0..4, diverters 1..2.

    def set_belt_speed(self, belt: int, speed_mm_s: float) -> None:
        """Set a drive's target."""
        self.belts[belt].target_mm_s = speed_mm_s

    def set_diverter(self, which: int, *, through: bool) -> None:
        """Set a diverter's target; without power it springs to its bin, which is the same as False."""
        self.diverters[which - 1].target = 1.0 if through else 0.0

    def set_gate(self, *, is_open: bool, permit_tag: int | None = None) -> None:
        """Set the gate's target; the permit behind an opening goes into the ledger."""
        self.gate.target = 1.0 if is_open else 0.0
        self._gate_permit = permit_tag if is_open else None

    def set_beam(self, on: bool, kv: float, ma: float) -> None:  # noqa: FBT001 - the state of a tube, not an option
        """Set by the generator; no high voltage without the PLC's hardware permit."""
        self.beam_on = on and self.beam_permitted
        self.beam_kv, self.beam_ma = (kv, ma) if self.beam_on else (0.0, 0.0)

    def set_beam_permit(self, permitted: bool) -> None:  # noqa: FBT001 - the state of a contact
        """The PLC's hardware contact in the high-voltage supply; opening it cuts the beam at once."""
        self.beam_permitted = permitted
        if not permitted and self.beam_on:
            self.set_beam(False, 0.0, 0.0)

    def set_frozen(self, frozen: bool) -> None:  # noqa: FBT001 - the state of a latch
        """The PLC's freeze relay: belts and lamps have no power while it is set."""
        if frozen and not self.frozen:
            self._frozen_ms = self.now_ms
        self.frozen = frozen

    # Sensors.

    def eyes(self) -> int:
        """Bit per photo-eye that reports itself blocked."""
        return (self._eyes & ~self.eyes_stuck) | self.eyes_stuck_at

    def eye(self, number: int) -> bool:
        """True if this photo-eye reports itself blocked."""
        return bool(self.eyes() >> number & 1)

    def encoder(self, belt: int) -> int:
        """A belt's counter in 0.1 mm, u32, wrapping."""
        return self.belts[belt].encoder

    def belt_speed_mm_s(self, belt: int) -> float:
        """A belt's real speed."""
        return self.belts[belt].speed_mm_s

    def scale_g(self) -> float:
        """Weight of what lies on B1."""
        return sum(load.piece.weight_g for load in self.loads if load.belt == 0)

    def pieces_at_beam(self) -> list[tuple[Piece, float]]:
        """Each piece that crosses the beam line, with the distance in mm from its leading edge to the line."""
        beam_mm = self.geometry.beam_mm
        crossing = []
        for load in self.loads:
            head_mm = load.head_mm
            if head_mm - load.length_mm <= beam_mm <= head_mm:
                crossing.append((load.piece, head_mm - beam_mm))
        return crossing

    # Time.

    def step(self, dt_s: float) -> None:
        """Move everything on by `dt_s`."""
        self.now_ms += dt_s * 1000.0
        powered = not (self.frozen or self.estop_pressed)
        for belt in self.belts:
            if belt.speed_mm_s or belt.target_mm_s:
                belt.step(dt_s, powered=powered)
            else:
                belt.moved_mm = 0.0
        loads = self.loads
        for which, flap in enumerate(self.diverters):
            if flap.position != flap.target and not self._straddled(self.geometry.diverter_mm[which]):
                flap.step(dt_s)
        if self.gate_forced or self.gate.position != self.gate.target:
            self._step_gate(dt_s)
        # The door's contacts lie in the lamps' supply.
        self.uv.step(dt_s, inhibited=self.frozen or self.tunnel_open)
        if loads:
            self._step_loads(dt_s)
        else:
            self._eyes = 0
        if self._bin_pulses_ms:
            self._cover_bin_eyes()

    def _cover_bin_eyes(self) -> None:
        self._bin_pulses_ms = {eye: at_ms for eye, at_ms in self._bin_pulses_ms.items() if self.now_ms - at_ms < BIN_PULSE_MS}
        for eye in self._bin_pulses_ms:
            self._eyes |= 1 << eye

    def _straddled(self, place_mm: float) -> bool:
        return any(load.head_mm - load.length_mm < place_mm < load.head_mm for load in self.loads)

    def _step_gate(self, dt_s: float) -> None:
        gate = self.gate
        if self.gate_forced:
            gate.position = 1.0
        else:
            held = gate.target < gate.position and self._straddled(self.geometry.gate_mm)
            gate.step(dt_s, rest=GATE_REST if held else 0.0)
        if self._gate_shut and not gate.shut_fully:
            self._gate_shut = False
            self.ledger.gate_opened(now_ms=self.now_ms, permit_tag=self._gate_permit)
        elif gate.shut_fully and not self._gate_shut:
            self._gate_shut = True
            self.ledger.gate_shut(now_ms=self.now_ms)

    def _step_loads(self, dt_s: float) -> None:
        geometry = self.geometry
        field_mm, level = geometry.field_mm, self.uv.level_mw_per_cm2
        frozen_long = self.frozen and self.now_ms - self._frozen_ms > FREEZE_GRACE_MS
        belts, seen = self.belts, 0
        ahead: Load | None = None
        gone: list[Load] = []
        for load in self.loads:
            belt = load.belt
            moved = belts[belt].moved_mm if belt < BELTS else CHUTE_MM_S * dt_s
            if moved:
                head = load.head_mm + moved
                if head < load.quiet_mm and (ahead is None or head < ahead.head_mm - ahead.length_mm):
                    load.head_mm = head
                else:
                    moved = self._limit(load, moved, ahead)
                    if moved:
                        self._advance(load, moved)
                        if self._leaves(load, gone):
                            continue
                if frozen_long and moved and belt < BELTS:
                    load.stay.moved_while_frozen = True
            head = load.head_mm
            if level and head > field_mm[0] and head - load.length_mm < field_mm[1] and load.route[0] != INTO_BIN:
                self._shine(load, head - moved / 2.0, dt_s)
            if self.beam_on and frozen_long and head - load.length_mm <= geometry.beam_mm <= head:
                load.stay.scanned_while_frozen = True
            seen |= load.eyes
            ahead = load
        self._eyes = seen
        if gone:
            self.loads = [load for load in self.loads if load not in gone]

    def _limit(self, load: Load, moved: float, ahead: Load | None) -> float:
        """How far this piece can really go: flaps, the shut gate and the piece ahead stand in its way."""
        geometry, head = self.geometry, load.head_mm
        gate_mm = geometry.gate_mm
        if head < gate_mm <= head + moved and self.gate.position < GATE_PASS:
            return 0.0
        for which, place_mm in enumerate(geometry.diverter_mm):
            if head < place_mm <= head + moved:
                flap = self.diverters[which]
                if not (flap.open_fully or flap.shut_fully):
                    return 0.0
        if ahead is not None and INTO_BIN not in ahead.route:
            gap = ahead.head_mm - ahead.length_mm - head
            if 0.0 <= gap < moved:
                if load.piece.weight_g > ahead.piece.weight_g:
                    return gap + self._shove(ahead, moved - gap)
                return gap
        return moved

    def _shove(self, load: Load, push_mm: float) -> float:
        """Push a piece that stands in the way; it goes no further than its own way is free."""
        index = self.loads.index(load)
        free = self._limit(load, push_mm, self.loads[index - 1] if index else None)
        if free:
            self._advance(load, free)
        return free

    def _advance(self, load: Load, moved: float) -> None:
        """Move one piece on and see what it passes, which belt has it and which eyes it covers."""
        head = load.head_mm + moved
        self._pass_lines(load, head, moved)
        load.head_mm = head
        ends = self.geometry.belt_end_mm
        while load.belt < BELTS and head - load.half_mm >= ends[load.belt]:
            load.belt += 1
        self._cover_eyes(load)
        load.rest_until_next_event(self.geometry.beam_mm)

    def _cover_eyes(self, load: Load) -> None:
        eyes_mm, head = self.geometry.eye_mm, load.head_mm
        if INTO_BIN in load.route:
            head = min(head, self.geometry.diverter_mm[load.route.index(INTO_BIN)])
        below = bisect_left(eyes_mm, load.head_mm - load.length_mm)
        load.eyes = ((1 << bisect_right(eyes_mm, head)) - 1) & ~((1 << below) - 1)

    def _pass_lines(self, load: Load, head: float, moved: float) -> None:
        """Beam, barcode readers and zone boundaries that a piece passes in this movement."""
        geometry = self.geometry
        beam_mm, length = geometry.beam_mm, load.length_mm
        if self.beam_on and load.head_mm < beam_mm + length and head > beam_mm:
            load.stay.scanned_mm += min(head, beam_mm + length) - max(head - moved, beam_mm)
        if head - moved < geometry.gate_mm <= head:
            self.ledger.under_gate(load.stay)
        for which, place_mm in enumerate(geometry.diverter_mm):
            if head - moved < place_mm <= head:
                load.route[which] = THROUGH if self.diverters[which].open_fully else INTO_BIN
        label = head - load.label_mm
        for reader, place_mm in enumerate((geometry.infeed_reader_mm, geometry.gate_reader_mm)):
            if label - moved < place_mm <= label:
                self.codes[reader].append(load.piece)
        zones = geometry.zone_end_mm
        while load.zone < len(zones) and head - load.half_mm >= zones[load.zone]:
            load.zone += 1
        load.stay.zones |= 1 << load.zone

    def _shine(self, load: Load, head: float, dt_s: float) -> None:
        low, high = self.geometry.field_mm
        quarter = (high - low) / LAMPS
        share, dose = self.uv.share, load.stay.dose_points_mj_per_cm2
        step_dose = self.uv.level_mw_per_cm2 * dt_s
        for point, offset in enumerate(load.offsets_mm):
            place = head - offset
            if low <= place < high:
                dose[point] += step_dose * share[int((place - low) / quarter)]

    def _leaves(self, load: Load, gone: list[Load]) -> bool:
        """Take a piece off the lane that has fallen into a bin or gone out; True if it has."""
        geometry = self.geometry
        for which, (name, eye) in enumerate(((HOLD_BIN, EYE_HOLD_BIN), (RETURN_BIN, EYE_RETURN_BIN))):
            if load.route[which] == INTO_BIN and load.head_mm - load.half_mm >= geometry.diverter_mm[which]:
                self._bin_pulses_ms[eye] = self.now_ms
                self.bins[name].append(load.piece)
                self._end(load, f"{name}_bin")
                gone.append(load)
                return True
        if load.head_mm - load.length_mm > geometry.outside_mm:
            self.outside.append(load.piece)
            self._end(load, "gate")
            gone.append(load)
            return True
        return False

    def _end(self, load: Load, exit_name: str) -> None:
        load.stay.exit, load.stay.exit_ms = exit_name, self.now_ms
