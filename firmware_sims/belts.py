"""The moving parts of the lane that software can command: belts, and flaps that swing between two ends."""

ACCELERATION_MM_S2 = 2000.0
SWING_S = 0.15
UINT32 = 0xFFFFFFFF


class Belt:
    """One belt with its drive and its encoder. Speeds in mm/s, travel in mm since the start."""

    __slots__ = ("encoder_factor", "encoder_mm", "jammed", "moved_mm", "speed_mm_s", "target_mm_s")

    def __init__(self, *, encoder_mm: float) -> None:
        self.target_mm_s = 0.0
        self.speed_mm_s = 0.0
        self.moved_mm = 0.0
        self.encoder_mm = encoder_mm
        self.encoder_factor = 1.0
        self.jammed = False

    def step(self, dt_s: float, *, powered: bool) -> None:
        """Move the belt by one time step; without power it brakes."""
        target = self.target_mm_s if powered and not self.jammed else 0.0
        speed = self.speed_mm_s
        if speed != target:
            change = ACCELERATION_MM_S2 * dt_s
            speed = min(target, speed + change) if speed < target else max(target, speed - change)
            self.speed_mm_s = speed
        if speed:
            self.moved_mm = speed * dt_s
            self.encoder_mm += self.moved_mm * self.encoder_factor
        else:
            self.moved_mm = 0.0

    @property
    def encoder(self) -> int:
        """The counter in 0.1 mm, u32, wrapping."""
        return int(self.encoder_mm * 10.0) & UINT32


class Flap:
    """A flap between 0.0 and 1.0 that swings to its target in 0.15 s unless jammed or held by a piece."""

    __slots__ = ("jammed", "position", "target")

    def __init__(self) -> None:
        self.position = 0.0
        self.target = 0.0
        self.jammed = False

    def step(self, dt_s: float, *, rest: float = 0.0) -> None:
        """Swing for one time step; it cannot go below `rest`, where a piece under it holds it."""
        target = max(self.target, rest)
        if self.jammed or self.position == target:
            return
        swing = dt_s / SWING_S
        if self.position < target:
            self.position = min(target, self.position + swing)
        else:
            self.position = max(target, self.position - swing)

    @property
    def open_fully(self) -> bool:
        """True when the flap stands at 1.0."""
        return self.position >= 1.0

    @property
    def shut_fully(self) -> bool:
        """True when the flap stands at 0.0."""
        return self.position <= 0.0
