"""Who may do what, and see what: roles, the one table of permissions, clearances, how long a confirmation and a session count. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from station.domain.piece import Secrecy


class Role(StrEnum):
    """What somebody is at the station; a person may be several. `MACHINE` is for programs alone."""

    OPERATOR = "operator"
    REVIEWER = "reviewer"
    SUPERVISOR = "supervisor"
    TECHNICIAN = "technician"
    AUDITOR = "auditor"
    MACHINE = "machine"
    ADMINISTRATOR = "administrator"


PEOPLES_ROLES = frozenset(Role) - {Role.MACHINE}


class Action(StrEnum):
    """What can be asked of the station. Every route of the interface names exactly one of these."""

    OWN_SESSION = "own-session"
    ANNOUNCE_PIECES = "announce-pieces"
    SEE_PIECES = "see-pieces"
    HAND_OVER_PIECES = "hand-over-pieces"
    SEE_SCANS = "see-scans"
    SEE_CERTIFICATES = "see-certificates"
    SEE_REVIEWS = "see-reviews"
    REVIEW_PIECES = "review-pieces"
    SEE_LANES = "see-lanes"
    DECIDE_ON_LANE = "decide-on-lane"
    FREEZE_LANE = "freeze-lane"
    TICK_FREEZE_STEPS = "tick-freeze-steps"
    UNFREEZE_LANE = "unfreeze-lane"
    COMMAND_LANE = "command-lane"
    END_TEST_REFERENCE = "end-test-reference"
    SEE_PERFORMANCE = "see-performance"
    SEE_REPORTS = "see-reports"
    HAND_OVER_SHIFT = "hand-over-shift"
    SEE_ALARMS = "see-alarms"
    ACKNOWLEDGE_ALARMS = "acknowledge-alarms"
    SETTLE_ALARMS = "settle-alarms"
    SEE_EVENTS = "see-events"
    SEE_METRICS = "see-metrics"
    SEE_AUDIT = "see-audit"
    SEE_USERS = "see-users"
    CHANGE_USERS = "change-users"


_O, _R, _S, _T, _U, _M, _D = (
    Role.OPERATOR,
    Role.REVIEWER,
    Role.SUPERVISOR,
    Role.TECHNICIAN,
    Role.AUDITOR,
    Role.MACHINE,
    Role.ADMINISTRATOR,
)
PERMISSIONS: MappingProxyType[Action, frozenset[Role]] = MappingProxyType(
    {
        Action.OWN_SESSION: frozenset({_O, _R, _S, _T, _U, _M, _D}),
        Action.ANNOUNCE_PIECES: frozenset({_S, _M}),
        Action.SEE_PIECES: frozenset({_O, _R, _S, _U, _M}),
        Action.HAND_OVER_PIECES: frozenset({_R, _S}),
        Action.SEE_SCANS: frozenset({_O, _R, _S}),
        Action.SEE_CERTIFICATES: frozenset({_R, _S, _U, _M}),
        Action.SEE_REVIEWS: frozenset({_O, _R, _S, _U}),
        Action.REVIEW_PIECES: frozenset({_R}),
        Action.SEE_LANES: frozenset({_O, _R, _S, _T, _U}),
        Action.DECIDE_ON_LANE: frozenset({_O, _R}),
        Action.FREEZE_LANE: frozenset({_O, _R, _S, _T}),
        Action.TICK_FREEZE_STEPS: frozenset({_O, _R, _S, _T}),
        Action.UNFREEZE_LANE: frozenset({_R, _S}),
        Action.COMMAND_LANE: frozenset({_O, _S, _T}),
        Action.END_TEST_REFERENCE: frozenset({_T}),
        Action.SEE_PERFORMANCE: frozenset({_S, _U}),
        Action.SEE_REPORTS: frozenset({_S, _U}),
        Action.HAND_OVER_SHIFT: frozenset({_S}),
        Action.SEE_ALARMS: frozenset({_O, _R, _S, _T, _U}),
        Action.ACKNOWLEDGE_ALARMS: frozenset({_O, _R, _S, _T}),
        Action.SETTLE_ALARMS: frozenset({_S}),
        Action.SEE_EVENTS: frozenset({_O, _R, _S, _T, _U}),
        Action.SEE_METRICS: frozenset({_S, _T, _U, _M}),
        Action.SEE_AUDIT: frozenset({_U}),
        Action.SEE_USERS: frozenset({_U, _D}),
        Action.CHANGE_USERS: frozenset({_D}),
    }
)
"""Who may do what. What is not here, nobody may."""

NEEDS_CONFIRMATION = frozenset({Action.UNFREEZE_LANE, Action.CHANGE_USERS})
"""Actions before which a person gives the password once more; so does who lifts more than one person may (`lifting_needs_confirmation`)."""

NEEDS_FULL_CLEARANCE = frozenset({Action.ANNOUNCE_PIECES})
"""Whoever names levels must be cleared for all: the answer to an announcement tells whether the piece is known already."""

CONFIRMED_FOR = timedelta(seconds=60)
IDLE_LIMIT = timedelta(minutes=30)
WHOLE_LIMIT = timedelta(hours=12)
CLOCK_AHEAD = timedelta(minutes=5)
"""So far may a clock have been set back without ending the sessions that began before."""

_HEIGHTS: MappingProxyType[str, int] = MappingProxyType({Secrecy.C.value: 1, Secrecy.B.value: 2, Secrecy.A.value: 3})
_HIGHEST = max(_HEIGHTS.values())


def permitted(roles: Iterable[Role], action: Action, clearance: str | None) -> bool:
    """True when one of the roles may do it, and the clearance is enough where all levels are named."""
    if action in NEEDS_FULL_CLEARANCE and not may_see(clearance, Secrecy.A):
        return False
    return not PERMISSIONS.get(action, frozenset()).isdisjoint(roles)


def may_see(clearance: str | None, level: str | None) -> bool:
    """True when somebody cleared so high may see a piece of that level.

    None is no clearance, and an unmarked piece. A level that is not known counts as the highest, a clearance that is not known as none.
    """
    if level is None:
        return True
    return _HEIGHTS.get(clearance or "", 0) >= _HEIGHTS.get(level, _HIGHEST)


def levels_seen(clearance: str | None) -> frozenset[Secrecy]:
    """The levels that somebody cleared so high may see, besides unmarked pieces."""
    return frozenset(level for level in Secrecy if may_see(clearance, level))


def lifting_needs_confirmation(*, marked: bool, people_needed: int) -> bool:
    """True when clearing a held piece takes a fresh confirmation: a marked one, or over more than one person may excuse alone."""
    return marked or people_needed > 1


def is_confirmed(confirmed_at: datetime | None, now: datetime) -> bool:
    """True while a confirmation counts; one from the future does not."""
    return confirmed_at is not None and timedelta(0) <= now - confirmed_at <= CONFIRMED_FOR


def session_holds(*, made_at: datetime, seen_at: datetime, now: datetime) -> bool:
    """True while a session counts: not unused for too long, not too old in all, and not begun by a clock that was ahead."""
    return now - seen_at <= IDLE_LIMIT and -CLOCK_AHEAD <= now - made_at <= WHOLE_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks, once it is known who it is.

    `name` is the login of a person, which is nobody else's and never will be, or `machine:` and the name of a program's token. `session`
    is the SHA-256 of the person's session token, None for a program.
    """

    user_id: str
    name: str
    display_name: str
    roles: frozenset[Role]
    clearance: Secrecy | None
    session: str | None
    confirmed_at: datetime | None = None

    def may(self, action: Action) -> bool:
        """True when the table lets this caller do it."""
        return permitted(self.roles, action, self.clearance)
