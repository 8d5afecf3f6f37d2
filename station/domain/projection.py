"""A projected threat in the decision window: what is known of it, and its life as one literal table. Pure.

The reader takes the projected image for real. What was answered about it measures the reader and decides nothing: the true image is always
decided in a window of its own, and only that answer is evidence about the piece (decision 0052).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from station.domain.errors import TransitionError
from station.domain.review import OperatorDecision

REVEAL_WITHIN_S = 1.0
"""From the answer to the moment at which the screen has shown that the threat was projected (design: threat image projection)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedThreat:
    """What was projected into which scan.

    `box_px` is (x, y, width, height) in pixels of the corrected image, as in `Finding`. `projected_sha256` is over the counts of the
    projected image, formed like a scan's hash. `library_sha256` names the threat library.
    """

    scan_sha256: str
    projected_sha256: str
    library_sha256: str
    thing_id: str
    threat_class: str
    box_px: tuple[int, int, int, int]


class ProjectionAnswer(StrEnum):
    """What became of a projection. Only `called_*` and `missed` say something about the reader."""

    CALLED_HOLD = "called_hold"
    CALLED_FREEZE = "called_freeze"
    MISSED = "missed"
    """The projected image was called clear."""
    UNANSWERED = "unanswered"
    """The window ran out: no threat was called in time, which counts as a miss."""
    WITHDRAWN = "withdrawn"
    """Taken away before an answer, because something real came: it counts for nothing."""

    @property
    def is_hit(self) -> bool:
        """True when the reader called a threat."""
        return self in {ProjectionAnswer.CALLED_HOLD, ProjectionAnswer.CALLED_FREEZE}

    @property
    def counts(self) -> bool:
        """True when it is one of the projections that the reader's rates are made of."""
        return self is not ProjectionAnswer.WITHDRAWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionResult:
    """A projection that is over, as it is stored: who, when, which thing, what was answered.

    `at` is when it was shown. `person` is who read the lane then, None when nobody is known. `answered_after_s` is from showing to answer,
    or to the window's end. `revealed_at` is when the screen said that it had shown the truth, None when it never did. `model_alarmed` is
    what the model said of the same image, None when it was not asked.
    """

    piece_id: str
    visit: int
    at: datetime
    lane_id: str
    threat: ProjectedThreat
    person: str | None
    answer: ProjectionAnswer
    answered_after_s: float
    revealed_at: datetime | None
    model_sha256: str | None
    model_alarmed: bool | None


class ProjectionState(StrEnum):
    """Where a projection is. `revealing_*` remember what was answered; `true_*` are windows on the true image."""

    SHOWN = "shown"
    REVEALING = "revealing"
    """After a clear, no answer, or a withdrawal."""
    REVEALING_HOLD = "revealing_hold"
    REVEALING_FREEZE = "revealing_freeze"
    TRUE_IMAGE = "true_image"
    TRUE_STOPPED = "true_stopped"
    """All belts stand still, because a threat was called."""
    TRUE_SUSPECT = "true_suspect"
    """All belts stand still, and silence freezes, because a freeze was called."""
    DECIDED = "decided"
    HELD = "held"
    FROZEN = "frozen"

    @property
    def is_over(self) -> bool:
        """True when nothing can follow."""
        return all(state is not self for state, _ in TRANSITIONS)


class ProjectionEvent(StrEnum):
    """What can happen to it."""

    CLEAR = "clear"
    HOLD = "hold"
    FREEZE = "freeze"
    """The operator's decision about the image in the window."""
    WINDOW_OVER = "window_over"
    SOMETHING_CAME = "something_came"
    """Another piece waits for a decision, or the lane is in trouble: there is no time for exercises."""
    REVEALED = "revealed"
    """The screen says that it shows the truth, and the true image."""
    REVEAL_LATE = "reveal_late"
    """`REVEAL_WITHIN_S` is over without that."""
    LANE_FREEZE = "lane_freeze"
    """Somebody froze the lane by its own key, whatever the window shows."""


_S, _E = ProjectionState, ProjectionEvent

TRANSITIONS: MappingProxyType[tuple[ProjectionState, ProjectionEvent], ProjectionState] = MappingProxyType(
    {
        (_S.SHOWN, _E.CLEAR): _S.REVEALING,
        (_S.SHOWN, _E.HOLD): _S.REVEALING_HOLD,
        (_S.SHOWN, _E.FREEZE): _S.REVEALING_FREEZE,
        (_S.SHOWN, _E.WINDOW_OVER): _S.REVEALING,
        (_S.SHOWN, _E.SOMETHING_CAME): _S.REVEALING,
        (_S.SHOWN, _E.LANE_FREEZE): _S.FROZEN,
        (_S.REVEALING, _E.REVEALED): _S.TRUE_IMAGE,
        (_S.REVEALING, _E.REVEAL_LATE): _S.HELD,
        (_S.REVEALING, _E.FREEZE): _S.REVEALING_FREEZE,
        (_S.REVEALING, _E.LANE_FREEZE): _S.FROZEN,
        (_S.REVEALING_HOLD, _E.REVEALED): _S.TRUE_STOPPED,
        (_S.REVEALING_HOLD, _E.REVEAL_LATE): _S.HELD,
        (_S.REVEALING_HOLD, _E.FREEZE): _S.REVEALING_FREEZE,
        (_S.REVEALING_HOLD, _E.LANE_FREEZE): _S.FROZEN,
        (_S.REVEALING_FREEZE, _E.REVEALED): _S.TRUE_SUSPECT,
        (_S.REVEALING_FREEZE, _E.REVEAL_LATE): _S.FROZEN,
        (_S.REVEALING_FREEZE, _E.FREEZE): _S.REVEALING_FREEZE,
        (_S.REVEALING_FREEZE, _E.LANE_FREEZE): _S.FROZEN,
        (_S.TRUE_IMAGE, _E.CLEAR): _S.DECIDED,
        (_S.TRUE_IMAGE, _E.HOLD): _S.DECIDED,
        (_S.TRUE_IMAGE, _E.FREEZE): _S.FROZEN,
        (_S.TRUE_IMAGE, _E.WINDOW_OVER): _S.HELD,
        (_S.TRUE_IMAGE, _E.LANE_FREEZE): _S.FROZEN,
        (_S.TRUE_STOPPED, _E.CLEAR): _S.DECIDED,
        (_S.TRUE_STOPPED, _E.HOLD): _S.DECIDED,
        (_S.TRUE_STOPPED, _E.FREEZE): _S.FROZEN,
        (_S.TRUE_STOPPED, _E.WINDOW_OVER): _S.HELD,
        (_S.TRUE_STOPPED, _E.LANE_FREEZE): _S.FROZEN,
        (_S.TRUE_SUSPECT, _E.CLEAR): _S.DECIDED,
        (_S.TRUE_SUSPECT, _E.HOLD): _S.DECIDED,
        (_S.TRUE_SUSPECT, _E.FREEZE): _S.FROZEN,
        (_S.TRUE_SUSPECT, _E.WINDOW_OVER): _S.FROZEN,
        (_S.TRUE_SUSPECT, _E.LANE_FREEZE): _S.FROZEN,
    }
)
"""(state, event) → where it leads. A key that comes while the truth is being shown was meant for the image before it
and is not in the table, but for a freeze: as the graver call it always counts."""

ANSWERS: MappingProxyType[ProjectionEvent, ProjectionAnswer] = MappingProxyType(
    {
        _E.CLEAR: ProjectionAnswer.MISSED,
        _E.HOLD: ProjectionAnswer.CALLED_HOLD,
        _E.FREEZE: ProjectionAnswer.CALLED_FREEZE,
        _E.WINDOW_OVER: ProjectionAnswer.UNANSWERED,
        _E.SOMETHING_CAME: ProjectionAnswer.WITHDRAWN,
        _E.LANE_FREEZE: ProjectionAnswer.WITHDRAWN,
    }
)
"""What the event that ends `shown` says of the reader. The lane's own key may be about anything, so it says nothing."""

DECISIONS: MappingProxyType[OperatorDecision, ProjectionEvent] = MappingProxyType(
    {OperatorDecision.CLEAR: _E.CLEAR, OperatorDecision.HOLD: _E.HOLD, OperatorDecision.FREEZE: _E.FREEZE}
)
"""The operator's keys as events."""


def step(state: ProjectionState, event: ProjectionEvent) -> ProjectionState:
    """Where `event` leads from `state`.

    Raises:
        TransitionError: the table has no such entry; the caller must change nothing.
    """
    found = TRANSITIONS.get((state, event))
    if found is None:
        raise TransitionError(
            f"A projection that is {state.value} knows no {event.value}",
            consequence="Nothing was changed",
            remedy="Look at the image that is shown now, and decide about that",
        )
    return found
