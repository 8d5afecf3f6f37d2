"""Going on from a backup: nothing counts as cleared that something may have become of in the time that was lost."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from station.domain.alarm import AlarmCode, AlarmPriority
from station.domain.backup import RESTORED_SUBJECT, RecordRestored, StoreRestored
from station.domain.events import PieceStatus
from station.domain.identifiers import local_number
from station.domain.piece import Piece, PieceState
from station.domain.reasons import Reason
from station.ports.outbox import EventDigest
from station.ports.store import ReadView, UnitOfWork
from station.ports.tracking import Counterpart
from station.screening.drift import stop_until_resumed
from station.workflow import test_pieces
from station.workflow.freeze_steps import freeze_anew
from station.workflow.identification import clearing_reviews, local_counter
from station.workflow.lane_records import ring_key
from station.workflow.piece_events import event_of_known
from station.workflow.reconciling import events_there

SKIPPED_LOCAL_IDS = 1000
"""More local ids than a lane gives in the time between two backups: labels with lost ones may still lie in the bins."""

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """From which backup, how much of the log was in it and how much more there was, and who takes the responsibility."""

    backup: str
    made_at: datetime
    leaves: int
    lost_leaves: int
    person: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How many pieces are to be reviewed, how many of them are held now that counted as cleared, how many events only the receiver has."""

    marked: int
    held: int
    lost_events: int


async def events_since(counterpart: Counterpart, made_at: datetime, now: datetime) -> list[tuple[date, EventDigest]]:
    """What the receiver has of the day before the backup and of each one since. Raises `ReceiverUnreachableError`."""
    # One more on either side: the clock of the lost time may have been ahead of this one, and what happened before midnight may have
    # been written after it.
    first = made_at.date() - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range((now.date() - first).days + 2)]
    return [(day, event) for day in days for event in await events_there(counterpart, day)]


def settle(
    uow: UnitOfWork,
    given: Restoration,
    there: Sequence[tuple[date, EventDigest]],
    *,
    lane_ids: Collection[str],
    policy_sha256: str,
    site: str,
    now: datetime,
) -> Settled:
    """Make a restored store one that a station can go on from.

    Every piece that is not done with, and every one of which the receiver knows more, is held from its next visit on until people have
    cleared it; what lies cleared in a bin is held at once. Numbers that may have been given in the lost time are not given again. Nobody
    is logged in. What a gate's ring says of the lost time is taken as it is.

    No trust outlives the lost time either, which may have taken it back: all clears of a freeze that is not over, a test piece that
    passed, and the model's, which gets it back by a supervisor's word.

    `there` are the receiver's events since the day before the backup; none where no receiver keeps its side.
    """
    lost = Counter[str]()
    for day, event in sorted(there, key=lambda one: (one[1].piece_id, one[1].sequence)):
        lost[event.piece_id] += uow.leave_elsewhere(event, day)
    lost = +lost
    pieces = _not_done_with(uow)
    visits = {piece.piece_id: piece.visit for piece in pieces}
    for piece_id in sorted({*visits, *lost}):
        uow.append(
            RecordRestored(piece_id=piece_id, visit=visits.get(piece_id, 0), at=now, backup=given.backup, lost_events=lost[piece_id])
        )
    held = [piece for piece in pieces if clearing_reviews(uow, piece)]
    for piece in held:
        _hold(uow, piece, policy_sha256, now, tell=not lost[piece.piece_id])
    for lane_id in lane_ids:
        uow.set_value(ring_key(lane_id), "")
        given_here = uow.next_number(local_counter(lane_id))
        given_there = max((local_number(piece_id, lane_id) for piece_id in lost), default=0)
        uow.next_number(local_counter(lane_id), at_least=max(given_here, given_there) + SKIPPED_LOCAL_IDS)
        freeze_anew(uow, lane_id, now)
        test_pieces.demand_anew(uow, lane_id)
    _log_everybody_out(uow)
    fact = StoreRestored(
        piece_id=RESTORED_SUBJECT,
        visit=uow.next_number("store.restored"),
        at=now,
        backup=given.backup,
        made_at=given.made_at,
        leaves=given.leaves,
        lost_leaves=given.lost_leaves,
        lost_events=lost.total(),
        person=given.person,
        note=given.note,
    )
    uow.append(fact)
    stop_until_resumed(uow, piece_id=fact.piece_id, visit=fact.visit, at=now, why="store-restored")
    # It stays until somebody has seen it; there is no cause that could go away.
    uow.raise_alarm(AlarmCode.STORE_RESTORED, AlarmPriority.HIGH, site, given.backup, now)
    uow.clear_alarm(AlarmCode.STORE_RESTORED, site, now)
    return Settled(marked=len({*visits, *lost}), held=len(held), lost_events=lost.total())


def _not_done_with(view: ReadView) -> list[Piece]:
    states = [state for state in PieceState if not state.is_terminal]
    found: list[Piece] = []
    while page := view.pieces(states=states, after=found[-1].piece_id if found else None, limit=_PAGE):
        found += page
    return found


def _hold(uow: UnitOfWork, piece: Piece, policy_sha256: str, now: datetime, *, tell: bool) -> None:
    reason = Reason.RECORD_RESTORED
    uow.change_state(piece.piece_id, PieceState.HELD, now, reasons=[reason.value], lane_id=piece.lane_id)
    # Where the receiver knows more, it may know that the piece has left: the next event comes from the piece itself.
    if tell:
        event = event_of_known(piece, PieceStatus.HELD, now, lane_id=piece.lane_id or "", policy_sha256=policy_sha256)
        uow.publish(replace(event, reasons=(reason,)))


def _log_everybody_out(uow: UnitOfWork) -> None:
    state = uow.access_state()
    for session in state.sessions:
        uow.drop_session(session.token_sha256)
    for user_id in {*(link.user_id for link in state.links), *(browser.user_id for browser in state.browsers)}:
        uow.drop_links_of(user_id)
        uow.drop_browsers_of(user_id)
