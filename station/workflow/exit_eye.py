"""What the exit eye tells of the piece that the gate's ring named last: the ring is written when its head comes, not when it has left."""

from collections.abc import Sequence
from dataclasses import dataclass

from station.ports.lane_plc import Eye, EyeEdge
from station.workflow.geometry import encoder_delta_mm

SLACK_MM = 10.0
"""By so much the half of a measured length may be wrong."""

RAN_ON_MM = 5.0
"""A belt that had come to rest is not moved so far by anything but its drive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEye:
    """The exit eye as it was read after the ring.

    `covered`: something stands in it. `way_mm`: how far B5 ran while it was covered last; None where the edges do not tell.
    `b5_ran`: B5 was running when it became free.
    """

    covered: bool = False
    way_mm: float | None = None
    b5_ran: bool = False


def exit_eye(*, covered: bool, edges: Sequence[EyeEdge], b5_encoder: int) -> ExitEye:
    """What the eye's last two edges tell. `covered` and B5's encoder are of one reading, older than that of the edges.

    A PLC that has started since has no edge, or only the second one.
    """
    last = [edge for edge in edges if edge.eye == Eye.EXIT][-2:]
    covered = covered or (bool(last) and last[-1].leading)
    if covered or [edge.leading for edge in last] != [True, False]:
        return ExitEye(covered=covered)
    came, went = last
    return ExitEye(
        way_mm=encoder_delta_mm(went.encoder, came.encoder),
        b5_ran=encoder_delta_mm(b5_encoder, went.encoder) > RAN_ON_MM,
    )


def left_by_itself(eye: ExitEye, length_mm: float | None) -> bool:
    """True when the eye became free as behind a piece of that length that B5 and the chute carried out; what is not known is no exit.

    B5 holds a piece until its middle has come to the eye, and the chute needs time for the second half: a B5 that still ran when the eye
    became free had run on meanwhile. One that stood had let go of the piece at its middle at the earliest.
    """
    if eye.covered or eye.way_mm is None or length_mm is None:
        return False
    return eye.way_mm >= length_mm / 2.0 + (SLACK_MM if eye.b5_ran else -SLACK_MM)
