"""Who may do what and see what, how long a confirmation counts, and how fast may be guessed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.access import (
    CLOCK_AHEAD,
    CONFIRMED_FOR,
    IDLE_LIMIT,
    PERMISSIONS,
    WHOLE_LIMIT,
    Action,
    Caller,
    Role,
    is_confirmed,
    levels_seen,
    lifting_needs_confirmation,
    may_see,
    permitted,
    session_holds,
)
from station.domain.accounts import (
    LastAdministratorError,
    LoginMalformedError,
    PasswordRefusedError,
    User,
    checked_login,
    checked_name,
    checked_password,
    checked_roles,
    demand_administrator,
)
from station.domain.errors import RefusedError
from station.domain.guesses import (
    ACCOUNT,
    BROWSER,
    FORGETS_ONE,
    FORGOTTEN_AFTER,
    SESSION,
    SOURCE,
    STRANGERS,
    Limit,
    Tries,
    after_failure,
    taken_back,
    wait_s,
)
from station.domain.piece import Secrecy

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
limits = st.sampled_from([ACCOUNT, SOURCE, STRANGERS, BROWSER, SESSION])
moments = st.integers(-(10**6), 10**6).map(lambda s: NOW + timedelta(seconds=s))


def test_the_table_names_every_action_and_gives_each_role_what_its_work_takes():
    assert set(PERMISSIONS) == set(Action)
    rights = {role: {action.value for action in Action if permitted([role], action, Secrecy.A)} for role in Role}
    see = {"see-pieces", "see-reviews", "see-lanes", "see-alarms", "see-events"}
    at_work = see | {"own-session", "see-scans", "freeze-lane", "tick-freeze-steps", "acknowledge-alarms"}
    assert rights == {
        Role.OPERATOR: at_work | {"decide-on-lane", "command-lane"},
        Role.REVIEWER: at_work | {"decide-on-lane", "see-certificates", "review-pieces", "hand-over-pieces", "unfreeze-lane"},
        Role.SUPERVISOR: at_work
        | {
            "hand-over-pieces",
            "unfreeze-lane",
            "command-lane",
            "announce-pieces",
            "see-metrics",
            "see-certificates",
            "see-performance",
            "see-reports",
            "hand-over-shift",
            "settle-alarms",
        },
        Role.TECHNICIAN: {"own-session", "see-lanes", "see-alarms", "see-events", "freeze-lane", "tick-freeze-steps", "acknowledge-alarms"}
        | {"command-lane", "end-test-reference", "see-metrics"},
        Role.AUDITOR: see | {"own-session", "see-users", "see-audit", "see-metrics", "see-certificates", "see-performance", "see-reports"},
        Role.MACHINE: {"own-session", "announce-pieces", "see-pieces", "see-metrics", "see-certificates"},
        Role.ADMINISTRATOR: {"own-session", "see-users", "change-users"},
    }


def test_nobody_without_a_role_may_do_anything_and_roles_add_up():
    assert not any(permitted([], action, Secrecy.A) for action in Action)
    for action in Action:
        assert permitted([Role.OPERATOR, Role.REVIEWER], action, None) == (
            permitted([Role.OPERATOR], action, None) or permitted([Role.REVIEWER], action, None)
        )


def test_whoever_names_levels_must_be_cleared_for_all():
    assert [level for level in (None, *Secrecy) if permitted([Role.MACHINE], Action.ANNOUNCE_PIECES, level)] == [Secrecy.A]


@given(st.frozensets(st.sampled_from(Role)), st.sampled_from([None, *Secrecy]), st.sampled_from(Action))
def test_a_caller_may_do_what_their_roles_and_their_clearance_permit(roles: frozenset[Role], clearance: Secrecy | None, action: Action):
    caller = Caller(user_id="u-1", name="lan", display_name="Lan", roles=roles, clearance=clearance, session=None)
    cleared = action is not Action.ANNOUNCE_PIECES or clearance is Secrecy.A
    assert caller.may(action) == (cleared and any(role in PERMISSIONS[action] for role in roles))


@pytest.mark.parametrize(
    ("clearance", "seen"),
    [(None, [None]), ("C", [None, "C"]), ("B", [None, "C", "B"]), ("A", [None, "C", "B", "A", "Z", ""]), ("Z", [None])],
)
def test_nobody_reads_up_and_an_unknown_level_counts_as_the_highest(clearance: str | None, seen: list[str | None]):
    assert [level for level in (None, "C", "B", "A", "Z", "") if may_see(clearance, level)] == seen
    assert levels_seen(clearance) == {Secrecy(level) for level in seen if level in set(Secrecy)}


@given(st.one_of(st.none(), moments), moments)
def test_a_confirmation_counts_for_a_minute_and_never_from_the_future(confirmed_at: datetime | None, now: datetime):
    assert is_confirmed(confirmed_at, now) == (confirmed_at is not None and confirmed_at <= now <= confirmed_at + CONFIRMED_FOR)


def test_what_takes_two_people_takes_a_confirmation():
    assert [lifting_needs_confirmation(marked=m, people_needed=n) for m, n in ((False, 1), (False, 2), (True, 1), (True, 2))] == [
        False,
        True,
        True,
        True,
    ]


def test_a_session_from_the_future_does_not_count():
    for ahead, holds in ((CLOCK_AHEAD, True), (CLOCK_AHEAD + timedelta(seconds=1), False), (timedelta(days=365), False)):
        assert session_holds(made_at=NOW + ahead, seen_at=NOW + ahead, now=NOW) is holds


@pytest.mark.parametrize(("idle", "age", "holds"), [(0, 0, True), (0, 1, False), (1, 0, False), (1, 1, False)])
def test_a_session_ends_unused_or_old(idle: int, age: int, holds: bool):
    second = timedelta(seconds=1)
    assert session_holds(made_at=NOW - WHOLE_LIMIT - age * second, seen_at=NOW - IDLE_LIMIT - idle * second, now=NOW) is holds


@given(limits, st.integers(0, 10**6), moments, moments)
def test_no_wait_is_longer_than_the_limit_whatever_the_clock_did(limit: Limit, failures: int, last_at: datetime, now: datetime):
    wait = wait_s(Tries(failures=failures, last_at=last_at), limit, now)
    assert 0 <= wait <= limit.longest_s
    if failures < limit.free or now - last_at >= FORGOTTEN_AFTER:
        assert wait == 0


@given(limits, st.integers(1, 60))
def test_each_failure_makes_the_next_wait_no_shorter_and_waiting_ends_it(limit: Limit, failures: int):
    one, more = Tries(failures=failures, last_at=NOW), Tries(failures=failures + 1, last_at=NOW)
    assert wait_s(one, limit, NOW) <= wait_s(more, limit, NOW)
    assert wait_s(one, limit, NOW + timedelta(seconds=wait_s(one, limit, NOW))) == 0


def test_tries_are_counted_taken_back_and_forgotten():
    assert wait_s(None, ACCOUNT, NOW) == 0
    tries = after_failure(after_failure(None, NOW), NOW)
    assert tries == Tries(failures=2, last_at=NOW, before=Tries(failures=1, last_at=NOW))
    assert taken_back(tries) == Tries(failures=1, last_at=NOW)
    assert taken_back(taken_back(tries)) is None is taken_back(None)
    assert after_failure(tries, NOW + FORGOTTEN_AFTER).failures == 1


def test_quiet_minutes_forget_failures_and_a_right_try_keeps_none_of_them_young():
    tries = Tries(failures=7, last_at=NOW)
    later = NOW + 3 * FORGETS_ONE
    assert after_failure(tries, later).failures == 5
    assert taken_back(after_failure(tries, later)) == tries
    both = after_failure(after_failure(tries, NOW), NOW)
    assert taken_back(taken_back(both)) == Tries(failures=7, last_at=NOW)
    assert wait_s(tries, ACCOUNT, NOW) == 4.0
    assert after_failure(tries, NOW - FORGETS_ONE).failures == 8


def test_slips_of_many_people_over_weeks_make_nobody_wait():
    tries: Tries | None = None
    for hour in range(24 * 30):
        now = NOW + timedelta(hours=hour)
        for _ in range(5):
            tries = after_failure(tries, now)
            assert wait_s(tries, STRANGERS, now) == 0
        for _ in range(20):
            tries = taken_back(after_failure(tries, now))


@pytest.mark.parametrize("limit", [ACCOUNT, SOURCE, STRANGERS, BROWSER, SESSION])
def test_ten_thousand_guesses_a_second_apart_are_fewer_than_a_hundred(limit: Limit):
    tries, looked_at = None, 0
    for second in range(10_000):
        now = NOW + timedelta(seconds=second)
        if wait_s(tries, limit, now) == 0:
            looked_at += 1
            tries = after_failure(tries, now)
    assert 0 < looked_at < 100


def test_logins_look_like_nothing_else_and_names_like_themselves():
    assert [checked_login(text) for text in ("An", " lan.nguyen ", "ＡＮ", "a-1_2")] == ["an", "lan.nguyen", "an", "a-1_2"]
    for bad in ("", " ", "Bình", "аn", "a b", "-a", "x" * 33, "a\x00", "machine:x"):
        with pytest.raises(LoginMalformedError):
            checked_login(bad)
    assert (checked_name("  Nguyễn \n An ", login="an"), checked_name(" ", login="an")) == ("Nguyễn An", "an")
    for bad in ("x" * 81, "a\u202eb"):
        with pytest.raises(LoginMalformedError):
            checked_name(bad, login="an")


def test_passwords_are_long_and_not_the_login():
    assert checked_password("bo\u0302\u0301n con me\u0300o den", "an") == "b\u1ed1n con m\u00e8o den"
    assert checked_password("ba can bun to", "an") == "ba can bun to"
    for bad in ("ngắn quá", "x" * 129, "aaaaaaaaaaaa", "lan-la-so-mot-2026", "123456789012", "abcdefghijkl", "aabbccddeeff"):
        with pytest.raises(PasswordRefusedError):
            checked_password(bad, "lan")


def test_people_are_no_machines_and_somebody_lets_people_in():
    assert checked_roles([Role.OPERATOR, Role.OPERATOR]) == {Role.OPERATOR}
    with pytest.raises(RefusedError):
        checked_roles([Role.MACHINE])

    def user(role: Role, *, disabled: bool) -> User:
        return User(user_id="u", login="an", display_name="An", roles=frozenset({role}), clearance=None, disabled=disabled)

    demand_administrator([user(Role.OPERATOR, disabled=False), user(Role.ADMINISTRATOR, disabled=False)])
    for users in ([], [user(Role.OPERATOR, disabled=False)], [user(Role.ADMINISTRATOR, disabled=True)]):
        with pytest.raises(LastAdministratorError):
            demand_administrator(users)
