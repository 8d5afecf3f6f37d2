"""What both Modbus units share in their talk with the station: the heartbeat watchdog and select-before-operate."""

BOOT_WATCHDOG_MS = 300
MOST_WATCHDOG_MS = 1000
SELECT_MS = 2000.0
DEVICE_BEAT_MS = 100.0
WORD = 0xFFFF

NONE, ACCEPTED, NOT_SELECTED, WRONG_STATE, WRONG_TAG, STALE_CHALLENGE = range(6)
STALE_HEARTBEAT, FROZEN, ACCESS, ZONE_OCCUPIED, OUT_OF_RANGE, IN_MAINTENANCE = range(6, 12)


class Contact:
    """Heartbeat both ways, in device time. Stale from boot until the first change of the station's heartbeat."""

    __slots__ = ("_age_ms", "_beat_ms", "beat", "echo", "ever", "stuck", "watchdog_ms")

    def __init__(self) -> None:
        self.echo = 0
        self.watchdog_ms = BOOT_WATCHDOG_MS
        self.beat = 1
        self.stuck = False
        self.ever = False
        self._age_ms = float(MOST_WATCHDOG_MS + 1)
        self._beat_ms = 0.0

    def feed(self, heartbeat: int) -> None:
        """Take the station's heartbeat; only a change feeds."""
        if heartbeat != self.echo:
            self.echo = heartbeat
            self.ever = True
            self._age_ms = 0.0

    def step(self, dt_ms: float) -> None:
        """Let time pass."""
        self._age_ms += dt_ms
        self._beat_ms += dt_ms
        if self._beat_ms >= DEVICE_BEAT_MS:
            self._beat_ms -= DEVICE_BEAT_MS
            if not self.stuck:
                self.beat = (self.beat + 1) & WORD

    @property
    def fresh(self) -> bool:
        """True while the station's heartbeat is not older than the watchdog allows."""
        return self._age_ms <= self.watchdog_ms

    @property
    def left_ms(self) -> int:
        """What is left of the watchdog, ms."""
        return max(0, int(self.watchdog_ms - self._age_ms))


class Commands:
    """Select before operate: the operate carries the select's sequence number and follows within 2 s of device time."""

    __slots__ = ("_age_ms", "_selected", "accepted_seq", "result", "words")

    def __init__(self) -> None:
        self.words = [0, 0, 0, 0]
        self.accepted_seq = 0
        self.result = NONE
        self._selected: tuple[int, int, int] | None = None
        self._age_ms = 0.0

    def step(self, dt_ms: float) -> None:
        """Let a selection grow old."""
        if self._selected is not None:
            self._age_ms += dt_ms
            if self._age_ms > SELECT_MS:
                self._selected = None

    def write(self, offset: int, values: list[int]) -> tuple[int, int] | None:
        """Take words written at 110 + offset; the (code, argument) to do now, or None.

        A write that selects never operates as well: the two are separate writes.
        """
        self.words[offset : offset + len(values)] = values
        if offset < 3:
            code, argument, seq, operate = self.words
            if offset + len(values) == 4 and operate and operate == seq:
                self.accepted_seq, self.result, self._selected = seq, NOT_SELECTED, None
                return None
            self._selected, self._age_ms = (code, argument, seq), 0.0
            return None
        seq = values[0]
        selected, self._selected = self._selected, None
        self.accepted_seq = seq
        if selected is None or selected[2] != seq:
            self.result = NOT_SELECTED
            return None
        return selected[0], selected[1]
