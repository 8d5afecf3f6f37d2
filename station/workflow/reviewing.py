"""Deciding about held pieces: the steps inside one transaction. Each raises before it has changed anything."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from station.domain.access import Action, Caller, lifting_needs_confirmation
from station.domain.errors import NotFoundError
from station.domain.events import PieceEvent, PieceStatus
from station.domain.people import people_needed
from station.domain.piece import Piece, PieceState
from station.domain.policy import Policy
from station.domain.reasons import Reason
from station.domain.review import Handover, ReviewDecision, ReviewOutcome
from station.ports.store import Claim, Evidence, ReadView, UnitOfWork
from station.review import rules
from station.workflow.access_steps import demand_person, still_may
from station.workflow.piece_alarms import escape_over, radiation_settled
from station.workflow.refusals import (
    LeaseLostError,
    LeaseTakenError,
    LevelUnknownRefusedError,
    NothingToLookAtError,
    RadiationRefusedError,
    ScanOutdatedError,
    SecondPersonError,
    WrongStateError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What a reviewer asks. `scan_sha256` is the scan that was looked at; None when there was none."""

    piece_id: str
    outcome: ReviewOutcome
    scan_sha256: str | None
    note: str
    by: Caller


class KnowsPieces(Protocol):
    """Wherever a piece can be looked up."""

    def piece(self, piece_id: str) -> Piece | None:
        """One piece, or None."""
        ...


def known_piece(view: KnowsPieces, piece_id: str) -> Piece:
    """The piece, or `NotFoundError`."""
    piece = view.piece(piece_id)
    if piece is None:
        raise NotFoundError(f"No piece {piece_id!r} is known", remedy="Check the number")
    return piece


def facts_of_visit(view: ReadView, piece: Piece) -> list[Evidence]:
    """Everything known about the piece's current visit, in commit order."""
    return [row.evidence for row in view.evidence(piece.piece_id, piece.visit)]


def in_state(piece: Piece, *states: PieceState) -> None:
    """Raise `WrongStateError` unless the piece is in one of these states."""
    if piece.state not in states:
        raise WrongStateError(
            f"Piece {piece.piece_id} is {piece.state.value}, not {' or '.join(state.value for state in states)}",
            consequence="Nothing was changed",
            remedy="Look at the piece's present state",
        )


def claim(uow: UnitOfWork, piece_id: str, by: Caller, at: datetime, lease: timedelta) -> Claim:
    """Take or renew the lease; a lease that ran out may be taken by anybody."""
    piece, person = known_piece(uow, piece_id), by.name
    demand_person(uow, by, Action.REVIEW_PIECES, level=piece.level)
    in_state(piece, PieceState.HELD, PieceState.IN_REVIEW)
    current = uow.claim(piece_id)
    if current is not None and at < current.expires_at and not rules.same_person(current.person, person):
        raise LeaseTakenError(
            f"{current.person} is deciding about piece {piece_id}",
            consequence="Nothing was changed",
            remedy="Take another piece, or wait until the lease runs out",
        )
    if piece.state is PieceState.HELD:
        uow.change_state(piece_id, PieceState.IN_REVIEW, at, reasons=piece.reasons)
    taken = Claim(piece_id=piece_id, person=person, expires_at=at + lease)
    uow.set_claim(taken, piece_id)
    return taken


def _demand_lease(uow: UnitOfWork, piece_id: str, person: str, at: datetime) -> None:
    if not rules.holds_lease(uow.claim(piece_id), person, at):
        raise LeaseLostError(
            f"{person} does not hold the lease on piece {piece_id}",
            consequence="Nothing was decided",
            remedy="Claim the piece and look at its newest scan",
        )


def release(uow: UnitOfWork, piece_id: str, by: Caller, at: datetime) -> Piece:
    """Give the lease back; the piece stays held."""
    piece = known_piece(uow, piece_id)
    in_state(piece, PieceState.IN_REVIEW)
    _demand_lease(uow, piece_id, by.name, at)
    uow.set_claim(None, piece_id)
    return uow.change_state(piece_id, PieceState.HELD, at, reasons=piece.reasons)


def release_if_expired(uow: UnitOfWork, piece_id: str, at: datetime) -> bool:
    """Hold a piece again whose lease ran out; False when there was nothing to do."""
    piece = uow.piece(piece_id)
    if piece is None or piece.state is not PieceState.IN_REVIEW:
        return False
    current = uow.claim(piece_id)
    if current is not None and at < current.expires_at:
        return False
    uow.set_claim(None, piece_id)
    uow.change_state(piece_id, PieceState.HELD, at, reasons=piece.reasons)
    return True


def decide(uow: UnitOfWork, request: ReviewRequest, policy: Policy, at: datetime) -> Piece:
    """Record one reviewer's decision and what follows from it, with its event, in this transaction."""
    piece, person = known_piece(uow, request.piece_id), request.by.name
    facts = facts_of_visit(uow, piece)
    reasons = rules.standing_reasons(piece.reasons, facts)
    needed = people_needed(piece.level, reasons)
    lifts = request.outcome is ReviewOutcome.CLEAR and lifting_needs_confirmation(marked=piece.is_marked, people_needed=needed)
    demand_person(uow, request.by, Action.REVIEW_PIECES, level=piece.level, confirmed_at=at if lifts else None)
    in_state(piece, PieceState.IN_REVIEW)
    _demand_lease(uow, request.piece_id, person, at)
    scan = rules.newest_scan(facts)
    shown = None if scan is None else scan.sha256
    if request.outcome is ReviewOutcome.CLEAR:
        refuse_level_unknown(piece, policy)
        _demand_scan(piece, shown)
        if rules.radiation_beyond_review((row.evidence for row in uow.evidence(piece.piece_id)), policy):
            raise RadiationRefusedError(
                f"The radiation of piece {piece.piece_id} reached {policy.radiation_attention_nsv_per_h:g} nSv/h: no review clears it",
                consequence="The piece stays held",
                remedy="Keep away from it, reject it and hand it over to the competent force",
            )
    if request.scan_sha256 != shown:
        raise ScanOutdatedError(
            f"The scan that was looked at is not the newest of piece {piece.piece_id}",
            consequence="Nothing was decided",
            remedy="Look at the newest scan and decide again",
        )
    cleared_by = rules.people_who_cleared(facts, shown) if shown is not None else ()
    earlier = [user.login for user in still_may(uow, cleared_by, Action.REVIEW_PIECES, level=piece.level)]
    if request.outcome is ReviewOutcome.CLEAR and any(rules.same_person(one, person) for one in earlier):
        raise SecondPersonError(
            f"{person} has already cleared piece {piece.piece_id}; the second decision must come from somebody else",
            consequence="Nothing was decided",
            remedy="Release the piece to another person",
        )
    uow.append(
        ReviewDecision(
            piece_id=piece.piece_id,
            visit=piece.visit,
            at=at,
            scan_sha256=shown,
            person=person,
            outcome=request.outcome,
            note=request.note,
        )
    )
    uow.set_claim(None, piece.piece_id)
    if request.outcome is ReviewOutcome.REJECT:
        # Two readers who differ settle nothing: the piece stays held.
        state, added = PieceState.HELD if earlier else PieceState.REJECTED, Reason.REVIEW_REJECTS
    elif request.outcome is ReviewOutcome.HOLD:
        state, added = PieceState.HELD, Reason.REVIEW_HOLDS
    elif request.outcome is ReviewOutcome.SECOND_OPINION:
        state, added = PieceState.HELD, Reason.SECOND_OPINION
    elif len(earlier) + 1 < needed:
        state, added = PieceState.HELD, Reason.AWAITING_SECOND_PERSON
    else:
        state, added = PieceState.CLEARED, None
    return _settle(uow, piece, state, added, at, model=rules.newest_model(facts), policy=policy.sha256)


def refuse_level_unknown(piece: Piece, policy: Policy) -> None:
    """Raise for a piece that nobody announced, unless the site takes such pieces as ones of the highest level."""
    if policy.hold_unannounced and not piece.announced:
        raise LevelUnknownRefusedError(
            f"Piece {piece.piece_id} was not announced: its level is not known and counts as the highest",
            consequence="The piece is held",
            remedy="Find out what it is and feed it in under its own number, or reject it",
        )


def _demand_scan(piece: Piece, shown: str | None) -> None:
    if shown is None:
        raise NothingToLookAtError(
            f"Piece {piece.piece_id} has no scan of this visit that anybody could have looked at",
            consequence="The piece stays held",
            remedy="Feed the piece in again, or reject it",
        )


_STATUS = {PieceState.CLEARED: PieceStatus.CLEARED, PieceState.REJECTED: PieceStatus.REJECTED, PieceState.HELD: PieceStatus.HELD}


def _settle(
    uow: UnitOfWork, piece: Piece, state: PieceState, added: Reason | None, at: datetime, *, model: str | None, policy: str
) -> Piece:
    # What the piece was held for stays in its reasons: holding it once more must not wash a finding away.
    # What a first reader's clearance dropped would tell the second one of it.
    dropped = (
        {Reason.AWAITING_SECOND_PERSON} if added is Reason.AWAITING_SECOND_PERSON else {Reason.AWAITING_SECOND_PERSON, Reason.REVIEW_HOLDS}
    )
    kept = [reason for reason in piece.reasons if reason not in dropped]
    reasons = [] if added is None else [*kept, added.value]
    # That a first of two has cleared it changes nothing outside; an event of that moment would tell the second one of it.
    if added is not Reason.AWAITING_SECOND_PERSON:
        uow.publish(
            PieceEvent(
                piece_id=piece.piece_id,
                visit=piece.visit,
                status=_STATUS[state],
                at=at,
                lane_id=piece.lane_id or "",
                secrecy=piece.level,
                announced=piece.announced,
                destination=piece.announcement.destination,
                reasons=tuple(Reason(reason) for reason in reasons),
                outcome=state.value,
                policy_sha256=policy,
                model_sha256=model,
            )
        )
    if state is PieceState.CLEARED:
        radiation_settled(uow, piece.piece_id, at)
    return uow.change_state(piece.piece_id, state, at, reasons=reasons)


def hand_over(uow: UnitOfWork, piece_id: str, *, state: PieceState, to: str, by: Caller, at: datetime) -> Piece:
    """A rejected piece leaves by hand: `returned` to its sender or `handed_over` to the competent force, a frozen one to that alone."""
    piece = known_piece(uow, piece_id)
    demand_person(uow, by, Action.HAND_OVER_PIECES, level=piece.level)
    if state is PieceState.HANDED_OVER:
        in_state(piece, PieceState.REJECTED, PieceState.FROZEN)
    else:
        in_state(piece, PieceState.REJECTED)
    uow.append(Handover(piece_id=piece_id, visit=piece.visit, at=at, to=to, person=by.name))
    uow.publish(
        PieceEvent(
            piece_id=piece_id,
            visit=piece.visit,
            status=PieceStatus.RETURNED if state is PieceState.RETURNED else PieceStatus.HANDED_OVER,
            at=at,
            lane_id=piece.lane_id or "",
            secrecy=piece.level,
            announced=piece.announced,
            destination=piece.announcement.destination,
            outcome=state.value,
        )
    )
    radiation_settled(uow, piece_id, at)
    escape_over(uow, piece_id, at)
    return uow.change_state(piece_id, state, at)
