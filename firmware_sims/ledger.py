"""The truth about every stay of every piece on the lane, and its judgement.

Nothing here knows what the station believes, except three facts that no physics can show and that are told from outside: which
clearances the tracking receiver saw (`note_clearance`), which wrong number the station was told of a piece (`Stay.told_as`), and which
piece a tag was given to (`bind_tag`, at the moment the lane PLC latched it) — they are needed to judge whether the piece that left is
the piece that was cleared.
"""

from dataclasses import dataclass, field

DOSE_POINTS = 7
UNLIT_MJ_PER_CM2 = 0.05
UNSEEN_EDGE_MM = 5.0
DEFAULT_DOSE_MJ_PER_CM2 = 30.0
"""The target of the recipe that the station ships; whoever runs it by another one says which."""


@dataclass(slots=True, kw_only=True)
class Stay:
    """One physical piece's stay on the lane, from a hand that laid it there to its exit.

    `visit` counts how often this piece id was fed in at the infeed; 0 for a piece that a hand laid in elsewhere. `told_as` are the numbers
    that the station was told while it lay at the infeed, but for what its label says.
    """

    serial: int
    piece_id: str
    kind: str
    truth: str
    length_mm: float
    visit: int
    since_ms: float
    zones: int = 0
    scanned_mm: float = 0.0
    dose_points_mj_per_cm2: list[float] = field(default_factory=lambda: [0.0] * DOSE_POINTS)
    told_as: set[str] = field(default_factory=set)
    cleared: bool = False
    cleared_misnamed: bool = False
    moved_while_frozen: bool = False
    scanned_while_frozen: bool = False
    opening: int | None = None
    place_in_opening: int = 0
    exit: str | None = None
    exit_ms: float | None = None

    @property
    def dose_mj_per_cm2(self) -> float:
        """What the least-exposed of the points along the piece got."""
        return min(self.dose_points_mj_per_cm2)

    @property
    def irradiated(self) -> bool:
        """True if any point got light worth counting."""
        return max(self.dose_points_mj_per_cm2) > UNLIT_MJ_PER_CM2

    @property
    def scanned(self) -> bool:
        """True if the beam was on while the whole length moved over it."""
        return self.scanned_mm >= self.length_mm - UNSEEN_EDGE_MM


@dataclass(slots=True, kw_only=True)
class Opening:
    """One opening of the gate: the permit it had (None: none) and which pieces went out through it."""

    at_ms: float
    permit_tag: int | None
    bound_serial: int | None
    passed: list[int] = field(default_factory=list)
    shut_ms: float | None = None


class Ledger:
    """Append-only record of one world."""

    def __init__(self) -> None:
        self.stays: list[Stay] = []
        self.openings: list[Opening] = []
        self.tag_to_serial: dict[int, int] = {}
        self._visits: dict[str, int] = {}

    def arrive(self, *, serial: int, piece_id: str, kind: str, truth: str, length_mm: float, now_ms: float, fed: bool) -> Stay:
        """Begin a stay; `fed` at the infeed counts as the next visit of its piece id."""
        visit = 0
        if fed:
            visit = self._visits.get(piece_id, 0) + 1
            self._visits[piece_id] = visit
        stay = Stay(
            serial=serial,
            piece_id=piece_id,
            kind=kind,
            truth=truth,
            length_mm=length_mm,
            visit=visit,
            since_ms=now_ms,
        )
        self.stays.append(stay)
        return stay

    def bind_tag(self, tag: int, serial: int) -> None:
        """Record which physical piece lay on B1 when the lane PLC latched this tag."""
        self.tag_to_serial[tag] = serial

    def note_clearance(self, piece_id: str, *, visit: int | None = None) -> bool:
        """Record that the outside observer saw this piece cleared; False if no such stay is known.

        With `visit` the clearance counts for that visit as the world counts them. Without it, it counts for the latest fed
        stay of this id that has been under the beam. A piece on the lane that the station was told by this number, while the one
        that bears it is not there, was cleared under it: that excuses its being lit, never its leaving.
        """
        seen = [stay for stay in self.stays if stay.exit is None and stay.scanned_mm > 0.0]
        misnamed = [stay for stay in seen if piece_id in stay.told_as]
        if visit is None and misnamed and not any(stay.piece_id == piece_id for stay in seen):
            misnamed[-1].cleared_misnamed = True
        for stay in reversed(self.stays):
            if stay.piece_id != piece_id or not stay.visit:
                continue
            if stay.visit == visit or (visit is None and stay.scanned_mm > 0.0):
                stay.cleared = True
                return True
        return False

    def gate_opened(self, *, now_ms: float, permit_tag: int | None) -> None:
        """Begin an opening of the gate."""
        bound = None if permit_tag is None else self.tag_to_serial.get(permit_tag)
        self.openings.append(Opening(at_ms=now_ms, permit_tag=permit_tag, bound_serial=bound))

    def gate_shut(self, *, now_ms: float) -> None:
        """End the running opening."""
        self.openings[-1].shut_ms = now_ms

    def under_gate(self, stay: Stay) -> None:
        """Record that a piece's head went under the open gate."""
        if self.openings:
            opening = self.openings[-1]
            stay.opening = len(self.openings) - 1
            stay.place_in_opening = len(opening.passed)
            opening.passed.append(stay.serial)

    def left_properly(self, stay: Stay) -> bool:
        """True if this stay ended through the gate, first under an opening that had a permit."""
        if stay.exit != "gate" or stay.opening is None or stay.place_in_opening:
            return False
        return self.openings[stay.opening].permit_tag is not None

    def judge(self, *, dose_mj_per_cm2: float = DEFAULT_DOSE_MJ_PER_CM2) -> dict[str, int]:
        """The counters of the report's `world` block. A piece that left without a permit counts as escaped only."""
        out = [stay for stay in self.stays if stay.exit == "gate"]
        released = [stay for stay in out if self.left_properly(stay)]
        wrong = [stay for stay in released if stay.opening is not None and self.openings[stay.opening].bound_serial != stay.serial]
        return {
            "released": len(released),
            "gate_openings": len(self.openings),
            "openings_without_permit": sum(opening.permit_tag is None for opening in self.openings),
            "released_unscanned": sum(not stay.scanned for stay in released),
            "released_uncleared": sum(not stay.cleared for stay in released),
            "released_undisinfected": sum(stay.dose_mj_per_cm2 < dose_mj_per_cm2 for stay in released),
            "wrong_piece_released": len(wrong),
            "escaped": len(out) - len(released),
            "irradiated_uncleared": sum(stay.irradiated and not (stay.cleared or stay.cleared_misnamed) for stay in self.stays),
            "moved_while_frozen": sum(stay.moved_while_frozen for stay in self.stays),
            "scanned_while_frozen": sum(stay.scanned_while_frozen for stay in self.stays),
        }

    def stays_of(self, piece_id: str) -> list[Stay]:
        """Every stay of this piece id, in order."""
        return [stay for stay in self.stays if stay.piece_id == piece_id]

    def as_json(self) -> list[dict[str, object]]:
        """Every stay as plain values, for the control socket and the demo's report."""
        return [
            {
                "serial": stay.serial,
                "piece_id": stay.piece_id,
                "kind": stay.kind,
                "truth": stay.truth,
                "visit": stay.visit,
                "since_ms": stay.since_ms,
                "zones": stay.zones,
                "scanned": stay.scanned,
                "cleared": stay.cleared,
                "dose_mj_per_cm2": stay.dose_mj_per_cm2,
                "exit": stay.exit,
                "exit_ms": stay.exit_ms,
                "released": self.left_properly(stay),
            }
            for stay in self.stays
        ]
