"""A piece of every level at one desk, with secrets that can be recognised, and whoever may ask about it."""

from dataclasses import dataclass
from typing import Any

from station.domain.access import Role
from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.piece import PieceState, Secrecy
from station.domain.projection import ProjectionAnswer
from station.domain.reasons import Reason
from station.domain.review import ReviewDecision, ReviewOutcome
from station.domain.vault import ImageViewed, Rendering
from station.workflow.views import ExerciseView, PieceOnLane
from tests.support.accounts import run
from tests.support.api_station import START, Desk

LEVELS = {"unmarked": None, "C": "C", "B": "B", "A": "A", "unknown": "A"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A piece whose every secret can be recognised."""

    level: str | None
    piece_id: str
    sha256: str
    leaf: int
    secrets: tuple[str, ...]


def put(desk: Desk, name: str) -> Marked:
    """A held piece of that level, with a note, a view and alarms about it."""
    secrecy = Secrecy(name) if name in set(Secrecy) else None
    destination = f"destination-{name}-secret"
    piece_id, sha256 = desk.put_piece(
        secrecy=secrecy, announced=name != "unknown", destination=destination, reasons=(Reason.MODEL_ALARM, Reason.OPAQUE_AREA)
    )
    note, detail, viewer = f"note-{name}-secret", f"detail-{name}-secret", f"viewer-{name}-secret"

    def work(uow: Any) -> None:
        uow.append(
            ReviewDecision(piece_id=piece_id, visit=1, at=START, scan_sha256=sha256, person="thu", outcome=ReviewOutcome.HOLD, note=note)
        )
        uow.append(ImageViewed(piece_id=piece_id, visit=1, at=START, person=viewer, scan_sha256=sha256, rendering=Rendering.STANDARD))
        uow.raise_alarm(AlarmCode.EXERCISE_UNCONFIRMED, AlarmPriority.HIGH, f"lane-of-{LEVELS[name]}", piece_id, START)
        uow.raise_alarm(AlarmCode.TRACKING_DIFFERS, AlarmPriority.HIGH, f"day-of-{LEVELS[name]}", f"missing 1 ({piece_id} 3)", START)
        uow.raise_alarm(AlarmCode.ATTENTION, AlarmPriority.HIGH, piece_id, detail, START)
        uow.raise_alarm(AlarmCode.TRACKING_BLOCKED, AlarmPriority.HIGH, f"receiver-{LEVELS[name]}", f"site:{piece_id}:3", START)

    desk.write(work)
    return Marked(
        level=LEVELS[name],
        piece_id=piece_id,
        sha256=str(sha256),
        leaf=desk.store.read(lambda view: view.evidence(piece_id))[0].leaf_index,
        secrets=(piece_id, str(sha256), destination, note, detail, f"viewer-{name}-secret"),
    )


def on_lane(desk: Desk, pieces: dict[str, Marked], asked: Marked) -> None:
    """All of them lie on the lane, it asks about one, and tells the truth about an exercise in it."""
    desk.ask_operator(asked.piece_id, asked.sha256, secrecy=Secrecy(asked.level) if asked.level else None)
    exercise = ExerciseView(
        piece_id=asked.piece_id,
        visit=1,
        answer=ProjectionAnswer.MISSED,
        threat_class="blade",
        box_share=(0.1, 0.2, 0.3, 0.4),
        confirmed=False,
        silence_freezes=False,
        level=Secrecy(asked.level) if asked.level else None,
    )
    desk.lane.show(
        exercise=exercise,
        pieces=tuple(
            PieceOnLane(
                piece_id=one.piece_id,
                visit=1,
                state=PieceState.SCANNED,
                marked=one.level is not None,
                secrecy=Secrecy(name) if name in set(Secrecy) else None,
                urgency=None,
                destination=one.secrets[2],
                head_mm=2000.0,
                length_mm=300.0,
                outcome=None,
            )
            for name, one in pieces.items()
        ),
    )


def headers_of(desk: Desk, role: Role, clearance: Secrecy | None) -> dict[str, str]:
    """The headers of somebody with that one role and clearance."""
    name = f"{role}-{clearance or 'none'}".lower()
    if role is Role.MACHINE:
        return {"Authorization": f"Bearer {run(desk.door.accounts.add_token(name, clearance=clearance)).secret}"}
    return desk.door.signed(name, roles=frozenset({role}), clearance=clearance).headers
