"""What the exit eye tells of a piece: how far B5 carried it, and whether it left by itself."""

import pytest

from station.ports.lane_plc import Eye, EyeEdge
from station.workflow.exit_eye import ExitEye, exit_eye, left_by_itself


def edge(encoder: int, *, leading: bool, eye: Eye = Eye.EXIT) -> EyeEdge:
    return EyeEdge(seq=1, eye=eye, leading=leading, encoder=encoder)


def test_the_eye_tells_how_far_b5_ran_under_the_piece_and_whether_it_ran_on_over_the_wrap():
    out = [edge(0xFFFF_FF00, leading=True), edge(7, leading=False, eye=Eye.GATE), edge(744, leading=False)]
    assert exit_eye(covered=False, edges=out, b5_encoder=794) == ExitEye(way_mm=100.0)
    assert exit_eye(covered=False, edges=out, b5_encoder=795) == ExitEye(way_mm=100.0, b5_ran=True)
    assert exit_eye(covered=True, edges=out, b5_encoder=744) == ExitEye(covered=True)


@pytest.mark.parametrize("seen", [(), (False,), (True, True, False, False)], ids=["nothing", "only that it went", "twice that it went"])
def test_of_a_plc_that_forgot_the_edges_nothing_is_known(seen: tuple[bool, ...]):
    assert exit_eye(covered=False, edges=[edge(0, leading=leading) for leading in seen], b5_encoder=0) == ExitEye()


def test_what_came_to_the_eye_after_it_was_read_covers_it():
    came = [edge(0, leading=False), edge(9, leading=True)]
    assert exit_eye(covered=False, edges=came, b5_encoder=0) == ExitEye(covered=True)


@pytest.mark.parametrize(
    ("eye", "length_mm", "left"),
    [
        # Where B5 stood, it had let go of the piece at its middle; the half may be measured 10 mm too long.
        (ExitEye(way_mm=89.9), 200.0, False),
        (ExitEye(way_mm=90.0), 200.0, True),
        # Where it ran, it ran on while the chute took the second half; the half may be measured 10 mm too short.
        (ExitEye(way_mm=109.9, b5_ran=True), 200.0, False),
        (ExitEye(way_mm=110.0, b5_ran=True), 200.0, True),
        # What the eyes saw of a piece of 117 mm that a hand took when its middle was 10.5 mm short of the eye.
        (ExitEye(way_mm=50.0, b5_ran=True), 118.0, False),
        (ExitEye(covered=True, way_mm=180.0), 200.0, False),
        (ExitEye(), 200.0, False),
        (ExitEye(way_mm=180.0), None, False),
    ],
)
def test_only_what_b5_carried_beyond_its_middle_left_by_itself(eye: ExitEye, length_mm: float | None, left: bool):
    assert left_by_itself(eye, length_mm) is left
