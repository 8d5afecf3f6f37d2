"""Follows each piece along the belts by photo-eye edges and encoders. Pure: fed with readings, answers with what happened.

A piece moves with the belt under its centre. Each edge must come from the piece that is expected there, at the place where it is
expected and with the length that was measured before; anything else makes the track lost, and a lost track never leads to the gate.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from station.domain.reasons import Reason
from station.ports.lane_plc import Eye, LaneEvents, LaneStatus
from station.workflow import says
from station.workflow.geometry import EYE_BELT, LaneGeometry, encoder_delta_mm
from station.workflow.says import Says, say


class Branch(StrEnum):
    """Where a diverter is to send a piece."""

    UNDECIDED = "undecided"
    THROUGH = "through"
    BIN = "bin"


_NEXT_EYE = {
    Eye.INFEED: Eye.XRAY_IN,
    Eye.XRAY_IN: Eye.XRAY_OUT,
    Eye.XRAY_OUT: Eye.DIVERT,
    Eye.DIVERT: Eye.UV_IN,
    Eye.UV_IN: Eye.UV_OUT,
    Eye.UV_OUT: Eye.GATE,
    Eye.GATE: Eye.EXIT,
}


def _way(took: Branch, branch: Branch) -> Branch:
    return branch if took is Branch.UNDECIDED else took


@dataclass(slots=True, kw_only=True, eq=False)
class Track:
    """One piece on the belts, as the station follows it. Identity is the object.

    `head_mm` is the leading edge; `length_mm` is None until the tail has passed the first eye. `branch_1`/`branch_2` is where the
    diverters are to send it, `took_1`/`took_2` where they stood when it came to them. `leading`/`trailing` hold the encoder count at
    each eye's edge.
    """

    number: int
    head_mm: float
    length_mm: float | None = None
    head_eye: Eye = Eye.INFEED
    branch_1: Branch = Branch.UNDECIDED
    branch_2: Branch = Branch.UNDECIDED
    took_1: Branch = Branch.UNDECIDED
    took_2: Branch = Branch.UNDECIDED
    leading: dict[Eye, int] = field(default_factory=dict)
    trailing: dict[Eye, int] = field(default_factory=dict)

    def tail_mm(self, longest_mm: float) -> float:
        """The trailing edge; while the length is unknown, that of the longest piece."""
        return self.head_mm - (self.length_mm if self.length_mm is not None else longest_mm)

    def next_eye(self) -> Eye | None:
        """The eye that the leading edge reaches next; None after the exit."""
        if self.head_eye is Eye.DIVERT and _way(self.took_1, self.branch_1) is not Branch.THROUGH:
            return Eye.HOLD_BIN
        if self.head_eye is Eye.UV_OUT and _way(self.took_2, self.branch_2) is not Branch.THROUGH:
            return Eye.RETURN_BIN
        return _NEXT_EYE.get(self.head_eye)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A new piece at the infeed."""

    track: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """An edge of a followed piece. Falling into a bin is a leading edge at the bin's eye."""

    track: Track
    eye: Eye
    leading: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A track that can no longer be trusted; `track` is None when something was seen that nobody follows.

    `seen` tells that something was seen at the eye; otherwise something was missed there. `early`: the track cannot have come there yet.
    """

    track: Track | None
    eye: Eye | None
    reason: Reason
    detail: str
    seen: bool = False
    early: bool = False


Happening = Entered | Passed | Lost

BIN_TRAVEL_MM = 900.0
"""A piece that was diverted must fall into its bin within this way of its belt."""

THROUGH = 1
"""What a diverter's register says when it stands open."""

HALF_WAY = 0x8000
LAST_SEQ = 0xFFFF
"""After it the ring's numbers go on with 1 on some controllers and 0 on others."""

_BINS = (Eye.HOLD_BIN, Eye.RETURN_BIN)


class Tracker:
    """All tracks of one lane, furthest downstream first."""

    def __init__(self, geometry: LaneGeometry) -> None:
        self._geometry = geometry
        self._last_seq: int | None = None
        self._encoders: tuple[int, int, int, int, int] | None = None
        self._count = 0
        self.tracks: list[Track] = []

    def poll(self, status: LaneStatus, events: LaneEvents) -> list[Happening]:
        """Advance every track and work off new edges; the first poll only takes the rings as a baseline."""
        self._advance(status)
        happenings: list[Happening] = []
        if self._last_seq is None:
            self._last_seq = events.edges[-1].seq if events.edges else 0
            return happenings
        new = [edge for edge in events.edges if 0 < ((edge.seq - self._last_seq) & LAST_SEQ) < HALF_WAY]
        if new:
            if new[0].seq not in {(self._last_seq + 1) & 0xFFFF, 1 if self._last_seq == LAST_SEQ else -1}:
                detail = say(Says.EDGES_LOST, before=self._last_seq, after=new[0].seq)
                happenings.extend(Lost(track=track, eye=None, reason=Reason.TRACK_LOST, detail=detail) for track in self.tracks)
                happenings.append(Lost(track=None, eye=None, reason=Reason.TRACK_LOST, detail=detail))
                self.tracks.clear()
            self._last_seq = new[-1].seq
        for edge in new:
            try:
                eye = Eye(edge.eye)
            except ValueError:
                happenings.append(Lost(track=None, eye=None, reason=Reason.TRACK_LOST, detail=say(Says.UNKNOWN_EYE, number=edge.eye)))
                continue
            if edge.leading:
                happenings.append(self._leading(eye, edge.encoder, status))
            else:
                happenings.extend(self._trailing(eye, edge.encoder))
        happenings.extend(self._overdue())
        return happenings

    def drop(self, track: Track) -> None:
        """Stop following a piece (it fell into a bin, left, or was lifted off)."""
        if track in self.tracks:
            self.tracks.remove(track)

    def _advance(self, status: LaneStatus) -> None:
        if self._encoders is not None:
            ways_mm = [encoder_delta_mm(now, before) for now, before in zip(status.encoders, self._encoders, strict=True)]
            for track in self.tracks:
                centre_mm = (track.head_mm + track.tail_mm(self._geometry.longest_piece_mm)) / 2
                track.head_mm += ways_mm[self._geometry.belt_at(centre_mm)]
                if track.took_1 is Branch.UNDECIDED and track.head_mm >= self._geometry.diverter_1_mm:
                    track.took_1 = Branch.THROUGH if status.diverter_1 == THROUGH else Branch.BIN
                if track.took_2 is Branch.UNDECIDED and track.head_mm >= self._geometry.diverter_2_mm:
                    track.took_2 = Branch.THROUGH if status.diverter_2 == THROUGH else Branch.BIN
        self._encoders = status.encoders

    def _leading(self, eye: Eye, encoder: int, status: LaneStatus) -> Happening:
        since_mm = encoder_delta_mm(status.encoders[EYE_BELT[eye]], encoder)
        if eye is Eye.INFEED:
            self._count += 1
            track = Track(number=self._count, head_mm=self._geometry.eyes_mm[eye] + since_mm)
            track.leading[eye] = encoder
            self.tracks.append(track)
            return Entered(track=track)
        expected = next((track for track in self.tracks if track.next_eye() is eye), None)
        if expected is None:
            return Lost(track=None, eye=eye, seen=True, reason=Reason.TRACK_LOST, detail=say(Says.STRANGER, eye=says.eye(eye)))
        if eye not in _BINS:
            measured_mm = self._geometry.eyes_mm[eye] + since_mm
            error_mm = expected.head_mm - measured_mm
            if abs(error_mm) > self._geometry.match_tolerance_mm:
                self.drop(expected)
                return Lost(
                    track=expected,
                    eye=eye,
                    seen=True,
                    early=error_mm < 0.0,
                    reason=Reason.TRACK_LOST,
                    detail=say(Says.OFF_TRACK, eye=says.eye(eye), mm=f"{error_mm:+.0f}"),
                )
            expected.head_mm = measured_mm
        expected.head_eye = eye
        expected.leading[eye] = encoder
        return Passed(track=expected, eye=eye, leading=True)

    def _trailing(self, eye: Eye, encoder: int) -> Iterable[Happening]:
        track = next((t for t in self.tracks if eye in t.leading and eye not in t.trailing), None)
        if track is None:
            return ()
        track.trailing[eye] = encoder
        if eye in _BINS:
            return (Passed(track=track, eye=eye, leading=False),)
        if eye is Eye.EXIT or track.next_eye() in _BINS:
            # A piece that falls into its bin, or runs down the chute, no longer moves with the belt that the encoder counts.
            return (Passed(track=track, eye=eye, leading=False),)
        length_mm = encoder_delta_mm(encoder, track.leading[eye])
        if track.length_mm is not None and abs(length_mm - track.length_mm) > self._geometry.length_tolerance_mm:
            self.drop(track)
            return (
                Lost(
                    track=track,
                    eye=eye,
                    reason=Reason.TRACK_LOST,
                    detail=say(Says.LENGTH_CHANGED, eye=says.eye(eye), now=f"{length_mm:.0f}", before=f"{track.length_mm:.0f}"),
                ),
            )
        if track.length_mm is None or eye is Eye.XRAY_IN:
            track.length_mm = length_mm
        return (Passed(track=track, eye=eye, leading=False),)

    def _overdue(self) -> list[Happening]:
        lost: list[Happening] = []
        for track in list(self.tracks):
            eye = track.next_eye()
            if eye is None:
                continue
            if eye in _BINS:
                limit_mm = self._geometry.eyes_mm[track.head_eye] + BIN_TRAVEL_MM
            else:
                limit_mm = self._geometry.eyes_mm[eye] + self._geometry.match_tolerance_mm
            if track.head_mm > limit_mm:
                self.drop(track)
                detail = say(Says.OVERDUE, eye=says.eye(eye))
                lost.append(Lost(track=track, eye=eye, reason=Reason.TRACK_LOST, detail=detail))
        return lost
