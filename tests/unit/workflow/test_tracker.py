"""Following pieces: whatever an eye shows that does not fit makes the track lost, and an undisturbed piece is followed to the end."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from station.ports.lane_plc import Eye, EyeEdge, LaneEvents, LaneStatus
from station.workflow.geometry import DEFAULT_EYES_MM, LaneGeometry
from station.workflow.tracker import Branch, Entered, Happening, Lost, Passed, Tracker

WAY = (Eye.INFEED, Eye.XRAY_IN, Eye.XRAY_OUT, Eye.DIVERT, Eye.UV_IN, Eye.UV_OUT, Eye.GATE, Eye.EXIT)
RING = 16
THROUGH, BIN = 1, 0

encoders = st.integers(0, 2**32 - 1)
lengths_mm = st.floats(100.0, 450.0)
steps_mm = st.floats(3.0, 45.0)


def status_of(encoders: tuple[int, ...], diverters: tuple[int, int]) -> LaneStatus:
    zeros = dict.fromkeys(LaneStatus.__dataclass_fields__, 0)
    known = {"encoders": encoders, "diverter_1": diverters[0], "diverter_2": diverters[1], "belt_speeds_mm_s": (0,) * 5}
    return LaneStatus(**{**zeros, "zone_tags": (0,) * 7, "freeze_latch": False, "read_at_s": 0.0, **known})  # type: ignore[arg-type]


@dataclass
class Wooden:
    """A lane of wood: pieces (head, length) pushed along by one crank that turns all five belts; each eye writes its edges."""

    start: tuple[int, ...]
    pieces: list[list[float]]
    seq: int = 0
    diverters: tuple[int, int] = (THROUGH, THROUGH)
    moved_mm: float = 0.0
    edges: list[EyeEdge] = field(default_factory=list)
    blind: frozenset[Eye] = frozenset()

    def encoders(self) -> tuple[int, ...]:
        return tuple((at + round(self.moved_mm * 10)) & 0xFFFFFFFF for at in self.start)

    def push(self, step_mm: float) -> None:
        before = [(head, length) for head, length in self.pieces]
        self.moved_mm += step_mm
        for piece in self.pieces:
            piece[0] += step_mm
        crossings = []
        for eye, place in DEFAULT_EYES_MM.items():
            for head, length in before:
                for leading, edge in ((True, head), (False, head - length)):
                    if edge < place <= edge + step_mm and eye not in self.blind:
                        crossings.append((place - edge, eye, leading))
        for way, eye, leading in sorted(crossings):
            belt = {Eye.INFEED: 0, Eye.XRAY_IN: 1, Eye.XRAY_OUT: 1, Eye.DIVERT: 2, Eye.UV_IN: 3, Eye.UV_OUT: 3}.get(eye, 4)
            at = (self.encoders()[belt] - round((step_mm - way) * 10)) & 0xFFFFFFFF
            self.write(eye, leading=leading, encoder=at)

    def write(self, eye: Eye | int, *, leading: bool, encoder: int | None = None) -> None:
        self.seq = self.seq % 0xFFFF + 1
        self.edges.append(EyeEdge(seq=self.seq, eye=int(eye), leading=leading, encoder=self.encoders()[2] if encoder is None else encoder))

    def poll(self, tracker: Tracker) -> list[Happening]:
        events = LaneEvents(read_at_s=0.0, uptime_ms=0, boot_count=1, edges=tuple(self.edges[-RING:]), passed=())
        return tracker.poll(status_of(self.encoders(), self.diverters), events)


def run(lane: Wooden, step_mm: float, to_mm: float, tracker: Tracker | None = None) -> list[Happening]:
    """Push until the first piece's tail is past `to_mm`; every track is let through."""
    tracker = tracker or Tracker(LaneGeometry())
    happened = lane.poll(tracker)
    while lane.pieces[0][0] - lane.pieces[0][1] < to_mm:
        lane.push(step_mm)
        for happening in lane.poll(tracker):
            happened.append(happening)
            if isinstance(happening, Entered):
                happening.track.branch_1 = happening.track.branch_2 = Branch.THROUGH
    return happened


@settings(max_examples=40)
@given(start=st.tuples(*[encoders] * 5), length=lengths_mm, step=steps_mm, seq=st.integers(0, 0xFFFF))
def test_an_undisturbed_piece_is_followed_to_the_exit(start: tuple[int, ...], length: float, step: float, seq: int):
    lane = Wooden(start=start, pieces=[[100.0, length]], seq=seq)
    if seq:
        lane.edges.append(EyeEdge(seq=seq, eye=0, leading=False, encoder=0))
    happened = run(lane, step, 6000.0)
    assert not [one for one in happened if isinstance(one, Lost)]
    (entered,) = [one for one in happened if isinstance(one, Entered)]
    passed = [one.eye for one in happened if isinstance(one, Passed) and one.leading]
    assert passed == list(WAY[1:])
    assert entered.track.length_mm is not None
    assert abs(entered.track.length_mm - length) < 1.0


@settings(max_examples=40)
@given(
    start=st.tuples(*[encoders] * 5), step=steps_mm, pitch=st.floats(800.0, 1500.0), lengths=st.tuples(lengths_mm, lengths_mm, lengths_mm)
)
def test_pieces_at_the_usual_pitch_are_told_apart(start: tuple[int, ...], step: float, pitch: float, lengths: tuple[float, ...]):
    pieces = [[100.0 - index * pitch, length] for index, length in enumerate(lengths)]
    lane = Wooden(start=start, pieces=pieces)
    happened: list[Happening] = []
    tracker = Tracker(LaneGeometry())
    while pieces[-1][0] - pieces[-1][1] < 6000.0:
        happened += run(lane, step, pieces[0][0] - pieces[0][1] + step, tracker)
    assert not [one for one in happened if isinstance(one, Lost)]
    found = [one.track.length_mm for one in happened if isinstance(one, Entered)]
    assert all(abs((length or 0.0) - true) < 1.0 for length, true in zip(found, lengths, strict=True))


@settings(max_examples=60)
@given(
    step=steps_mm,
    length=lengths_mm,
    at=st.sampled_from(WAY[1:7]),
    way=st.one_of(st.floats(-300.0, -80.0), st.floats(80.0, 300.0)),
)
def test_a_piece_that_moved_by_itself_is_lost(step: float, length: float, at: Eye, way: float):
    lane = Wooden(start=(0,) * 5, pieces=[[100.0, length]])
    tracker = Tracker(LaneGeometry())
    before = run(lane, step, DEFAULT_EYES_MM[WAY[WAY.index(at) - 1]], tracker)
    assert not [one for one in before if isinstance(one, Lost)]
    # Moved by hand, but not past an eye: that would be an edge of its own.
    lane.pieces[0][0] = min(lane.pieces[0][0] + way, DEFAULT_EYES_MM[at] - 1.0)
    if lane.pieces[0][0] - length < DEFAULT_EYES_MM[WAY[WAY.index(at) - 1]] or len(tracker.tracks) != 1:
        return
    if abs(lane.pieces[0][0] - tracker.tracks[0].head_mm) <= LaneGeometry().match_tolerance_mm + step:
        return
    after = run(lane, step, DEFAULT_EYES_MM[at] + 400.0, tracker)
    assert [one for one in after if isinstance(one, Lost)]
    assert not tracker.tracks


@settings(max_examples=40)
@given(step=steps_mm, length=st.floats(100.0, 220.0), longer=st.floats(30.0, 200.0), shrinks=st.booleans(), at=st.sampled_from(WAY[2:7]))
def test_another_length_is_another_piece(step: float, length: float, longer: float, shrinks: bool, at: Eye):
    first, second = (length + longer, length) if shrinks else (length, length + longer)
    lane = Wooden(start=(0,) * 5, pieces=[[100.0, first]])
    tracker = Tracker(LaneGeometry())
    run(lane, step, DEFAULT_EYES_MM[WAY[WAY.index(at) - 1]], tracker)
    if lane.pieces[0][0] >= DEFAULT_EYES_MM[at]:
        return
    lane.pieces[0][1] = second
    after = run(lane, step, DEFAULT_EYES_MM[at] + 5.0, tracker)
    assert [one for one in after if isinstance(one, Lost)]


@given(eye=st.sampled_from([*WAY[1:], Eye.HOLD_BIN, Eye.RETURN_BIN]))
def test_something_that_nobody_follows_is_told(eye: Eye):
    lane = Wooden(start=(0,) * 5, pieces=[[-1e6, 100.0]])
    tracker = Tracker(LaneGeometry())
    lane.poll(tracker)
    lane.write(eye, leading=True)
    (lost,) = lane.poll(tracker)
    assert isinstance(lost, Lost)
    assert (lost.track, lost.eye) == (None, eye)


@given(gap=st.integers(2, 1000), seq=st.integers(1, 0xFFFF))
def test_edges_that_were_never_read_lose_every_track(gap: int, seq: int):
    lane = Wooden(start=(0,) * 5, pieces=[[-1e6, 100.0]], seq=seq)
    lane.write(Eye.EXIT, leading=False)
    tracker = Tracker(LaneGeometry())
    lane.poll(tracker)
    lane.write(Eye.INFEED, leading=True)
    (entered,) = lane.poll(tracker)
    assert isinstance(entered, Entered)
    lane.seq = (lane.seq + gap - 1) % 0xFFFF
    lane.edges.clear()
    lane.write(Eye.INFEED, leading=False)
    lost = [one for one in lane.poll(tracker) if isinstance(one, Lost)]
    assert {one.track for one in lost} == {entered.track, None}


@given(step=steps_mm, length=lengths_mm, blind=st.sampled_from(WAY[1:]))
@settings(max_examples=40)
def test_an_eye_that_sees_nothing_loses_the_piece(step: float, length: float, blind: Eye):
    lane = Wooden(start=(0,) * 5, pieces=[[100.0, length]], blind=frozenset({blind}))
    happened = run(lane, step, DEFAULT_EYES_MM[blind] + 300.0)
    assert [one for one in happened if isinstance(one, Lost)]


def test_a_piece_whose_diverter_stood_at_the_bin_must_fall():
    lane = Wooden(start=(0,) * 5, pieces=[[100.0, 200.0]], diverters=(BIN, THROUGH))
    happened = run(lane, 20.0, DEFAULT_EYES_MM[Eye.UV_IN] + 10.0)
    # It was to go through and did not fall: at the next eye it is something that nobody follows.
    (lost, *_) = [one for one in happened if isinstance(one, Lost)]
    assert lost.eye is Eye.UV_IN
