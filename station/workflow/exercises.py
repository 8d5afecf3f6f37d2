"""The exercise of a lane: a projected threat on the screen, from its showing until the truth about it is known.

What follows from what stands in `station.domain.projection`. It outlives the session in which it was shown: who saw a threat must be
told that there was none, also when the lane has stopped.
"""

from dataclasses import dataclass
from datetime import datetime

from station.domain.errors import ConflictError
from station.domain.projection import (
    ANSWERS,
    TRANSITIONS,
    ProjectionAnswer,
    ProjectionEvent,
    ProjectionResult,
    ProjectionState,
    step,
)
from station.domain.scan import ModelReading
from station.ports.screening import ProjectedReading
from station.workflow.lane_piece import LanePiece
from station.workflow.views import ExerciseView, ProjectedImage

STANDING = frozenset(
    {
        ProjectionState.REVEALING_HOLD,
        ProjectionState.REVEALING_FREEZE,
        ProjectionState.TRUE_STOPPED,
        ProjectionState.TRUE_SUSPECT,
    }
)
"""While every belt stands still."""
SUSPECT = frozenset({ProjectionState.REVEALING_FREEZE, ProjectionState.TRUE_SUSPECT})
"""After a freeze call: silence, and whatever ends the session, freezes the lane."""
REVEALING = frozenset({ProjectionState.REVEALING, ProjectionState.REVEALING_HOLD, ProjectionState.REVEALING_FREEZE})


@dataclass(slots=True, kw_only=True, eq=False)
class Exercise:
    """One projected threat. Identity is the object. Times `…_s` are the station's monotonic ones.

    `reading` is what the model said of the projected image. `revealed_at` is when a screen said that it shows the truth.
    """

    piece: LanePiece
    lane_id: str
    scan_sha256: str
    made: ProjectedReading
    reading: ModelReading
    shown_at: datetime
    shown_s: float
    state: ProjectionState = ProjectionState.SHOWN
    answer: ProjectionAnswer = ProjectionAnswer.WITHDRAWN
    person: str | None = None
    answered_s: float = 0.0
    revealed_at: datetime | None = None
    recorded: bool = False

    @property
    def shown_sha256(self) -> str:
        """The hash of the image that is on the screen."""
        return self.made.threat.projected_sha256 if self.state is ProjectionState.SHOWN else self.scan_sha256

    @property
    def shown_reading(self) -> ModelReading | None:
        """What the model said of the image that is on the screen."""
        return self.reading if self.state is ProjectionState.SHOWN else self.piece.reading

    @property
    def opens_nothing(self) -> bool:
        """True while what is said is no answer about the piece."""
        return self.state is ProjectionState.SHOWN or self.state in REVEALING

    def is_about(self, piece_id: str | None, visit: int | None = None) -> bool:
        """True when this is the exercise in that piece."""
        return self.piece.piece_id == piece_id and visit in {None, self.piece.visit}

    def result(self) -> ProjectionResult:
        """The fact that is left of it."""
        return ProjectionResult(
            piece_id=self.piece.known_id,
            visit=self.piece.visit,
            at=self.shown_at,
            lane_id=self.lane_id,
            threat=self.made.threat,
            person=self.person,
            answer=self.answer,
            answered_after_s=max(0.0, self.answered_s - self.shown_s),
            revealed_at=self.revealed_at,
            model_sha256=self.reading.model_sha256,
            model_alarmed=self.reading.alarms,
        )


class Exercises:
    """The newest exercise of a lane. Everything happens in the lane's own loop; `image` and `view` may be read from any thread.

    `image` is the only place where the projected image is, and it is there no longer than it is shown.
    """

    def __init__(self) -> None:
        self.current: Exercise | None = None
        self.image: ProjectedImage | None = None

    def show(self, exercise: Exercise) -> None:
        """From now on the projected image stands for the true one."""
        self.current = exercise
        self.image = ProjectedImage(scan_sha256=exercise.scan_sha256, reading=exercise.reading, views=exercise.made.result)

    def happened(self, event: ProjectionEvent, *, now_s: float, person: str | None = None) -> None:
        """Let something happen to the exercise; what is to be done for it is the caller's.

        Raises:
            TransitionError: the table does not know it; nothing was changed.
            ConflictError: there is no exercise.
        """
        exercise = self.current
        if exercise is None:
            raise ConflictError("No exercise is on", consequence="Nothing was changed", remedy="Look at the lane page again")
        after = step(exercise.state, event)
        if exercise.state is ProjectionState.SHOWN:
            exercise.answer, exercise.answered_s, exercise.person = ANSWERS[event], now_s, person
            self.image = None
        exercise.state = after

    def takes_freeze(self, piece_id: str | None) -> bool:
        """True when a reader's freeze that names this piece is about a projected image, or comes just after: it stops the belts (0052)."""
        return self.current is not None and self.current.is_about(piece_id) and self.current.opens_nothing

    def confirm(self, piece_id: str, visit: int, person: str, at: datetime) -> bool:
        """This person's screen shows the truth. Saying so twice is saying it once. False: somebody else answered, who has not seen it yet.

        Raises:
            ConflictError: no exercise in that piece has been revealed.
        """
        exercise = self.current
        if exercise is None or not exercise.is_about(piece_id, visit) or exercise.state is ProjectionState.SHOWN:
            raise ConflictError(
                "No exercise in that piece was revealed", consequence="Nothing was changed", remedy="Look at the lane page again"
            )
        if exercise.revealed_at is None and exercise.person in {None, person}:
            exercise.revealed_at = at
        return exercise.revealed_at is not None

    def stands(self, piece: LanePiece) -> bool:
        """True while the exercise in this piece keeps every belt still."""
        return self.current is not None and self.current.piece is piece and self.current.state in STANDING

    @property
    def suspect(self) -> str | None:
        """The piece about which somebody called for a freeze that no later answer has taken back."""
        exercise = self.current
        return exercise.piece.piece_id if exercise is not None and exercise.state in SUSPECT else None

    def decided(self, exercise: Exercise | None, event: ProjectionEvent) -> None:
        """The true image was decided, or its window is over."""
        if exercise is not None and exercise is self.current and not exercise.state.is_over:
            self.happened(event, now_s=exercise.answered_s)

    def interrupt(self, *, frozen: bool, now_s: float) -> Exercise | None:
        """The session has ended under it. Returns it when it is still to be recorded."""
        exercise = self.current
        if exercise is None:
            return None
        ends = (
            (ProjectionEvent.LANE_FREEZE,)
            if frozen
            else (ProjectionEvent.SOMETHING_CAME, ProjectionEvent.REVEAL_LATE, ProjectionEvent.WINDOW_OVER)
        )
        for event in ends:
            if (exercise.state, event) in TRANSITIONS:
                self.happened(event, now_s=now_s)
        return None if exercise.recorded else exercise

    def forget(self) -> None:
        """Another question is on the screen: what was told of an exercise has been read."""
        if self.current is not None and self.current.revealed_at is not None and self.current.state.is_over:
            self.current = None

    def view(self) -> ExerciseView | None:
        """What is told of it; nothing before it is revealed."""
        exercise = self.current
        if exercise is None or exercise.state is ProjectionState.SHOWN:
            return None
        x, y, width, height = exercise.made.threat.box_px
        lines, pixels = exercise.made.result.heat_map.shape
        return ExerciseView(
            piece_id=exercise.piece.known_id,
            visit=exercise.piece.visit,
            answer=exercise.answer,
            threat_class=exercise.made.threat.threat_class,
            box_share=(x / pixels, y / lines, width / pixels, height / lines),
            confirmed=exercise.revealed_at is not None,
            silence_freezes=exercise.state in SUSPECT,
            level=exercise.piece.level,
        )
