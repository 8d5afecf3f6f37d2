"""What the exit eye tells of the piece that the gate's ring named last: the ring is written when its head comes, not when it has left."""

from collections.abc import Sequence
from dataclasses import dataclass

from station.ports.lane_plc import Eye, EyeEdge
from station.workflow.geometry import encoder_delta_mm

SLACK_MM = 10.0
"""By so much the half of a measured length may be too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitEye:
    """The exit eye as it was read after the ring.

    `covered`: something stands in it. `way_mm`: how far B5 ran while it was covered last; None where the edges do not tell.
    """

    covered: bool = False
    way_mm: float | None = None


EXIT_IS_FREE = ExitEye()


def exit_eye(*, covered: bool, edges: Sequence[EyeEdge]) -> ExitEye:
    """What the eye's last two edges tell."""
    last = [edge for edge in edges if edge.eye == Eye.EXIT][-2:]
    if covered or [edge.leading for edge in last] != [True, False]:
        return ExitEye(covered=covered)
    return ExitEye(way_mm=encoder_delta_mm(last[1].encoder, last[0].encoder))


def was_taken_out(way_mm: float | None, length_mm: float | None) -> bool:
    """True when the eye became free before the piece's middle had come to it: until then B5 holds it, so it did not leave by itself."""
    return way_mm is not None and length_mm is not None and way_mm < length_mm / 2.0 - SLACK_MM
