"""How the lane PLC follows pieces: from photo-eyes and encoders alone, as firmware must.

A track's head moves with the encoder of the belt under its centre and is set right at each eye. A track that its next eye does
not see loses its tag; seen again by the eye after, it shows that the eye between is blind; unseen twice, it is gone. A piece that
an eye sees and no track explains becomes a track without a tag.
"""

from bisect import bisect_right
from collections.abc import Callable

from firmware_sims.geometry import (
    BELTS,
    EYE_EXIT,
    EYE_HOLD_BIN,
    EYE_INFEED,
    EYE_RETURN_BIN,
    EYE_XRAY_IN,
    ZONES,
    Geometry,
)

WINDOW_MM = 80.0
GUESSED_LENGTH_MM = 200.0
IN_CHUTE_MM = 150.0
LANE_EYES = 8
NO_EYE = 99
DIVERTER_BELTS = frozenset({2, 3})
"""A piece whose head is at a diverter has its centre on the belt before it."""


class Track:
    """One piece as the PLC believes it: tag 0 is a piece without one."""

    __slots__ = ("belt", "bin", "head_mm", "length_mm", "missed", "next_eye", "tag", "void")

    def __init__(self, head_mm: float, next_eye: int) -> None:
        self.tag = 0
        self.head_mm = head_mm
        self.length_mm = 0.0
        self.next_eye = next_eye
        self.belt = 0
        self.missed = 0
        self.bin = 0
        self.void = False

    @property
    def tail_mm(self) -> float:
        """Place of the trailing edge, with a guessed length until one is measured."""
        return self.head_mm - (self.length_mm or GUESSED_LENGTH_MM)


class Tracker:
    """All tracks, furthest downstream first."""

    __slots__ = ("_diverter_mm", "_ends", "_eye_mm", "_zones", "blind_eye", "tracks")

    def __init__(self, geometry: Geometry) -> None:
        self.tracks: list[Track] = []
        self.blind_eye = False
        self._eye_mm = geometry.eye_mm
        self._ends = geometry.belt_end_mm
        # A piece under the gate is still in the gate zone until the exit eye has seen it.
        self._zones = (*geometry.zone_end_mm[:-1], geometry.eye_mm[EYE_EXIT])
        self._diverter_mm = geometry.diverter_mm

    def advance(self, moved_mm: list[float], through: Callable[[int], bool | None]) -> None:
        """Move every track; `through` tells a diverter's way, None while it moves."""
        gone = False
        for track in self.tracks:
            belt = track.belt
            moved = moved_mm[belt]
            if not moved:
                continue
            head = track.head_mm + moved
            if not track.bin and belt in DIVERTER_BELTS:
                head = self._meet_diverter(track, head, through)
            track.head_mm = head
            centre_mm = head - (track.length_mm or GUESSED_LENGTH_MM) / 2.0
            while belt < BELTS - 1 and centre_mm >= self._ends[belt]:
                belt += 1
            track.belt = belt
            if track.next_eye < LANE_EYES:
                gone |= self._check_missed(track)
            elif track.bin:
                gone |= track.tail_mm > self._diverter_mm[track.bin - 1] + IN_CHUTE_MM
            else:
                gone |= track.tail_mm > self._eye_mm[EYE_EXIT] + WINDOW_MM
        if gone:
            self.tracks = [track for track in self.tracks if not self._lost(track)]

    def _meet_diverter(self, track: Track, head: float, through: Callable[[int], bool | None]) -> float:
        """Where a head gets to at a diverter, which stops it while it moves."""
        for which, place_mm in enumerate(self._diverter_mm):
            if track.head_mm < place_mm <= head:
                way = through(which)
                if way is None:
                    return track.head_mm
                if not way:
                    track.bin, track.next_eye = which + 1, NO_EYE
        return head

    def _check_missed(self, track: Track) -> bool:
        if track.head_mm <= self._eye_mm[track.next_eye] + WINDOW_MM:
            return False
        # A hand has been at a void track's piece: that an eye does not see it proves nothing.
        track.missed += 2 if track.void else 1
        track.tag = 0
        track.next_eye += 1
        return track.missed > 1 or track.next_eye >= LANE_EYES

    def _lost(self, track: Track) -> bool:
        if track.bin:
            return track.tail_mm > self._diverter_mm[track.bin - 1] + IN_CHUTE_MM
        if track.missed > 1 or (track.missed and track.next_eye >= LANE_EYES):
            return True
        return track.next_eye >= LANE_EYES and track.tail_mm > self._eye_mm[EYE_EXIT] + WINDOW_MM

    def leading(self, eye: int) -> Track | None:
        """Take a leading edge; the track it belongs to, None for a bin's eye."""
        if eye in (EYE_HOLD_BIN, EYE_RETURN_BIN):
            which = 1 if eye == EYE_HOLD_BIN else 2
            fallen = next((track for track in self.tracks if track.bin == which), None)
            if fallen is not None:
                self.tracks.remove(fallen)
            return None
        place_mm = self._eye_mm[eye]
        best: Track | None = None
        if eye != EYE_INFEED:
            for track in self.tracks:
                off_mm = abs(track.head_mm - place_mm)
                if track.next_eye == eye and off_mm <= WINDOW_MM and (best is None or off_mm < abs(best.head_mm - place_mm)):
                    best = track
        if best is None:
            best = Track(place_mm, eye + 1)
            while best.belt < BELTS - 1 and place_mm - GUESSED_LENGTH_MM / 2.0 >= self._ends[best.belt]:
                best.belt += 1
            self.tracks.append(best)
            self.tracks.sort(key=lambda track: -track.head_mm)
            return best
        if best.missed:
            self.blind_eye = True
            best.missed = 0
        best.head_mm = place_mm
        best.next_eye = eye + 1
        return best

    def trailing(self, eye: int) -> None:
        """Take a trailing edge: it measures the piece that the eye saw last."""
        if eye >= LANE_EYES:
            return
        place_mm = self._eye_mm[eye]
        for track in reversed(self.tracks):
            if track.next_eye > eye and track.head_mm >= place_mm:
                track.length_mm = track.head_mm - place_mm
                if eye == EYE_EXIT:
                    self.tracks.remove(track)
                return

    def zone(self, track: Track) -> int:
        """Zone of a track's head; 7 past the gate zone. A piece that falls into a bin stays in the zone it falls from."""
        head_mm = min(track.head_mm, self._diverter_mm[track.bin - 1] - 1.0) if track.bin else track.head_mm
        return bisect_right(self._zones, head_mm)

    def gate_track(self) -> Track | None:
        """The track furthest downstream in the gate zone; cheap, for every scan."""
        low, high = self._zones[-2], self._zones[-1]
        for track in self.tracks:
            head_mm = track.head_mm
            if head_mm < low:
                return None
            if head_mm < high and not track.bin:
                return track
        return None

    def zone_tags(self) -> list[int]:
        """Tag of the piece furthest downstream in each zone: 0 for an empty zone, and for a piece without a tag."""
        tags = [0] * ZONES
        for track in reversed(self.tracks):
            zone = self.zone(track)
            if zone < ZONES:
                tags[zone] = track.tag
        return tags

    def tag_newest(self, tag: int) -> Track | None:
        """Give a tag to the newest piece on B1 that has none; None if there is none or the tag is on the lane already."""
        if any(track.tag == tag for track in self.tracks):
            return None
        for track in reversed(self.tracks):
            if not track.tag and track.next_eye == EYE_XRAY_IN and not (track.missed or track.void):
                track.tag = tag
                return track
        return None

    def void_from(self, zone: int) -> None:
        """Take the tags from every track in a zone and downstream of it; the pieces may still be there."""
        for track in self.tracks:
            if self.zone(track) >= zone:
                track.tag = 0
                track.void = True

    def straddles(self, place_mm: float) -> bool:
        """True if some piece is believed to stand over this place."""
        return any(track.tail_mm - WINDOW_MM < place_mm < track.head_mm + WINDOW_MM for track in self.tracks)
