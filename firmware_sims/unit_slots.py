"""The tunnel unit's four slots: which piece is in the light, since when, and what its least-exposed point has got.

The unit has an eye at each end of the lit field and B4's encoder. It follows points 50 mm apart along the piece, and its tail:
each enters and leaves the field by the encoder, and what the samples add up to between is that point's dose.
"""

from firmware_sims.lane import INTO_BIN
from firmware_sims.world import World

SLOTS = 4
POINT_MM = 50.0
LOST_MM = 600.0
RUNNING, PASSED, FAILED = range(3)
UJ_PER_DOSE_UNIT = 100.0
FAR_MM = 1e9


class Slot:
    """One piece in the light. Doses in uJ/cm2, times in ms of uptime."""

    __slots__ = (
        "_entered_uj",
        "_least_uj",
        "_left_points",
        "_length_mm",
        "_offsets_mm",
        "_travel_mm",
        "dose",
        "entered_ms",
        "left_ms",
        "nonce",
        "spoilt",
        "tag",
        "verdict",
    )

    def __init__(self, *, tag: int, nonce: int, entered_ms: int, sum_uj: float) -> None:
        self.tag = tag
        self.nonce = nonce
        self.entered_ms = entered_ms
        self.left_ms = 0
        self.dose = 0
        self.verdict = RUNNING
        self.spoilt = False
        self._travel_mm = 0.0
        self._length_mm = FAR_MM
        self._offsets_mm = [0.0]
        self._entered_uj = [sum_uj]
        self._left_points = 0
        self._least_uj = FAR_MM

    def advance(self, moved_mm: float, sum_uj: float, field_mm: float) -> None:
        """Let points enter and leave the light."""
        self._travel_mm += moved_mm
        following = self._offsets_mm[-1] + POINT_MM
        if self._length_mm == FAR_MM and self._travel_mm >= following:
            self._offsets_mm.append(following)
            self._entered_uj.append(sum_uj)
        at = self._left_points
        while at < len(self._offsets_mm) and self._travel_mm >= field_mm + self._offsets_mm[at]:
            self._least_uj = min(self._least_uj, sum_uj - self._entered_uj[at])
            at += 1
        self._left_points = at

    def tail_in(self, sum_uj: float) -> None:
        """The trailing edge has entered the field."""
        if self._length_mm == FAR_MM:
            self._length_mm = self._travel_mm
            self._offsets_mm.append(self._travel_mm)
            self._entered_uj.append(sum_uj)

    def so_far(self, sum_uj: float) -> int:
        """Least dose of all points as of now, 0.1 mJ/cm2."""
        return int(min(self._least_uj, sum_uj - self._entered_uj[-1]) / UJ_PER_DOSE_UNIT)

    def close(self, *, sum_uj: float, uptime_ms: int, target: int) -> None:
        """The tail has left the field, or the piece has been lost (`uptime_ms` 0 then is no time of leaving)."""
        for entered_uj in self._entered_uj[self._left_points :]:
            self._least_uj = min(self._least_uj, sum_uj - entered_uj)
        self.dose = int(self._least_uj / UJ_PER_DOSE_UNIT)
        self.left_ms = uptime_ms
        whole = bool(self.tag) and bool(uptime_ms) and self._length_mm < FAR_MM and not self.spoilt
        self.verdict = PASSED if whole and target and self.dose >= target else FAILED

    def lost(self, field_mm: float) -> bool:
        """True if the piece should long have left."""
        return self._travel_mm > field_mm + LOST_MM


class Slots:
    """The ring of four; `pending` is the tag and nonce for the next piece that enters."""

    __slots__ = (
        "_encoder_mm",
        "_entry",
        "_exit",
        "_field_mm",
        "_irradiance_uw",
        "_next",
        "_sum_uj",
        "_world",
        "pending",
        "ring",
        "running",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        low, high = world.geometry.field_mm
        self._field_mm = high - low
        self.ring: list[Slot | None] = [None] * SLOTS
        self.running: list[Slot] = []
        self.pending: tuple[int, int] = (0, 0)
        self._next = 0
        self._sum_uj = 0.0
        self._irradiance_uw = 0.0
        self._encoder_mm = world.belts[3].encoder_mm
        self._entry, self._exit = self._covered()

    def _covered(self) -> tuple[bool, bool]:
        low, high = self._world.geometry.field_mm
        entry = exit_ = False
        for load in self._world.loads:
            head = load.head_mm
            # A piece on its way into the hold bin turns off the line at D1, before the field.
            if head >= low and load.route[0] != INTO_BIN:
                tail = head - load.length_mm
                entry = entry or tail <= low
                exit_ = exit_ or tail <= high <= head
        return entry, exit_

    def sample(self, irradiance_uw: int) -> None:
        """Take the newest sample; it holds until the next one."""
        self._irradiance_uw = float(irradiance_uw)

    def spoil(self) -> None:
        """A fault: whatever is in the light now fails."""
        for slot in self.running:
            slot.spoilt = True

    def step(self, uptime_ms: float, dt_s: float, *, target: int) -> None:
        """One scan; `target` in 0.1 mJ/cm2 is what a piece must reach."""
        self._sum_uj += self._irradiance_uw * dt_s
        place_mm = self._world.belts[3].encoder_mm
        moved_mm = place_mm - self._encoder_mm
        self._encoder_mm = place_mm
        if not self._world.loads and not self.running:
            self._entry = self._exit = False
            return
        entry, exit_ = self._covered()
        now_ms = int(uptime_ms)
        if self.running:
            for slot in self.running:
                slot.advance(moved_mm, self._sum_uj, self._field_mm)
            if self._entry and not entry:
                self.running[-1].tail_in(self._sum_uj)
            if self._exit and not exit_:
                self._close(self.running[0], now_ms, target)
            elif self.running[0].lost(self._field_mm):
                self._close(self.running[0], 0, target)
        if entry and not self._entry:
            self._open(now_ms)
        self._entry, self._exit = entry, exit_

    def _open(self, now_ms: int) -> None:
        tag, nonce = self.pending
        self.pending = (0, 0)
        slot = Slot(tag=tag, nonce=nonce, entered_ms=now_ms, sum_uj=self._sum_uj)
        old = self.ring[self._next]
        if old in self.running:
            self.running.remove(old)
        self.ring[self._next] = slot
        self._next = (self._next + 1) % SLOTS
        self.running.append(slot)

    def _close(self, slot: Slot, uptime_ms: int, target: int) -> None:
        self.running.remove(slot)
        slot.close(sum_uj=self._sum_uj, uptime_ms=uptime_ms, target=target)

    def dose(self, slot: Slot) -> int:
        """A slot's dose, final or so far, 0.1 mJ/cm2."""
        return slot.so_far(self._sum_uj) if slot.verdict == RUNNING else slot.dose
