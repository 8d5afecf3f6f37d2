"""A frozen lane: which steps it takes, whose all clear counts, and when it is over."""

from collections.abc import Sequence
from itertools import takewhile

import pytest
from domain_facts import NOW, PIECE, ago
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import RefusedError
from station.domain.freeze import (
    LONGEST_NAME,
    LONGEST_NOTE,
    MOST_NAMES,
    AllClear,
    Checklist,
    ChecklistStep,
    Freeze,
    FreezeFact,
    FreezeOrigin,
    FreezeStepDone,
    LaneFrozen,
    LaneUnfrozen,
    LatchSetAgain,
    PresentUnnamedError,
    checked_note,
    checked_present,
    freeze_of,
    freeze_subject,
    is_all_clear,
    is_of,
    standing_all_clears,
    steps_done,
    steps_missing,
    steps_needed,
)

LANE = "lane-1"
SUBJECT = "FREEZE:lane-1"
RULES, OLD_RULES = "a" * 64, "b" * 64
STAFF = ("u-lan", "u-minh", "u-hoa")


def step(name: str, *, powder_only: bool = False) -> ChecklistStep:
    return ChecklistStep(id=name, vi=name, en=name, powder_only=powder_only)


CHECKLIST = Checklist(steps=(step("leave"), step("air-off", powder_only=True), step("call"), step("wash", powder_only=True)), sha256=RULES)


def frozen(number: int = 1) -> LaneFrozen:
    return LaneFrozen(
        piece_id=SUBJECT,
        visit=number,
        at=ago(60),
        lane_id=LANE,
        origin=FreezeOrigin.CONSOLE,
        person="Lan",
        suspects=(PIECE,),
        on_belts=(PIECE,),
    )


def done(name: str, person: str = "Lan", rules: str = RULES) -> FreezeStepDone:
    return FreezeStepDone(piece_id=SUBJECT, visit=1, at=ago(50), lane_id=LANE, step=name, person=person, checklist_sha256=rules)


def clear(person: str, user_id: str | None = None, rules: str = RULES) -> AllClear:
    return AllClear(
        piece_id=SUBJECT,
        visit=1,
        at=ago(40),
        lane_id=LANE,
        person=person,
        user_id=user_id or f"u-{person.lower()}",
        present=(person,),
        note="",
        checklist_sha256=rules,
    )


def set_again(seconds_ago: float = 30) -> LatchSetAgain:
    return LatchSetAgain(piece_id=SUBJECT, visit=1, at=ago(seconds_ago), lane_id=LANE)


def told(*facts: FreezeFact) -> Freeze:
    freeze = freeze_of([frozen(), *facts])
    assert freeze is not None
    return freeze


READY = (done("leave"), done("call"))
"""All steps of a freeze without a powder."""


def test_a_freeze_stands_under_its_lane_and_its_number():
    assert freeze_subject(LANE) == SUBJECT
    freeze = freeze_of([frozen(number=7)])
    assert freeze is not None
    assert freeze == Freeze(frozen=frozen(number=7), steps=(), all_clears=(), set_again_at=None)
    assert freeze.number == 7


@pytest.mark.parametrize("facts", [[], [done("leave"), clear("Lan"), set_again()], ["something else"]])
def test_where_nothing_froze_there_is_no_freeze(facts: Sequence[object]):
    assert freeze_of(facts) is None


def test_steps_and_all_clears_are_told_in_the_order_of_their_commits():
    freeze = told(done("leave"), done("call"), clear("Lan"), clear("Minh"))
    assert [one.step for one in freeze.steps] == ["leave", "call"]
    assert [one.person for one in freeze.all_clears] == ["Lan", "Minh"]
    assert freeze.set_again_at is None


def test_a_step_that_is_done_now_voids_the_all_clears_before_it():
    freeze = told(*READY, clear("Lan"), done("wash"), clear("Minh"))
    assert [one.person for one in freeze.all_clears] == ["Minh"]
    assert [one.step for one in freeze.steps] == ["leave", "call", "wash"]


def test_a_latch_that_was_set_again_voids_the_all_clears_and_no_step():
    freeze = told(*READY, clear("Lan"), set_again(30), clear("Minh"), set_again(20), clear("Hoa"))
    assert [one.person for one in freeze.all_clears] == ["Hoa"]
    assert freeze.steps == READY
    assert freeze.set_again_at == ago(20)


def test_that_it_is_over_changes_nothing_of_what_was_said():
    over = LaneUnfrozen(piece_id=SUBJECT, visit=1, at=NOW, lane_id=LANE, people=("Lan", "Minh"))
    assert told(*READY, clear("Lan"), clear("Minh"), over) == told(*READY, clear("Lan"), clear("Minh"))


def test_a_step_is_done_by_whoever_said_so_first_and_by_the_checklist_in_force():
    freeze = told(done("leave", "Hoa", OLD_RULES), done("leave", "Lan"), done("leave", "Minh"), done("call", "Lan", OLD_RULES))
    assert steps_done(freeze, CHECKLIST) == {"leave": done("leave", "Lan")}


@pytest.mark.parametrize(
    ("steps", "needed", "missing"),
    [
        ((), ("leave", "call"), ("leave", "call")),
        ((done("call"),), ("leave", "call"), ("leave",)),
        (READY, ("leave", "call"), ()),
        ((done("wash"),), ("leave", "air-off", "call", "wash"), ("leave", "air-off", "call")),
        ((*READY, done("air-off")), ("leave", "air-off", "call", "wash"), ("wash",)),
        ((*READY, done("wash", rules=OLD_RULES)), ("leave", "call"), ()),
        ((*READY, done("no-such-step")), ("leave", "call"), ()),
    ],
)
def test_the_steps_for_a_powder_are_needed_once_one_of_them_was_done(
    steps: tuple[FreezeStepDone, ...], needed: tuple[str, ...], missing: tuple[str, ...]
):
    freeze = told(*steps)
    assert tuple(one.id for one in steps_needed(freeze, CHECKLIST)) == needed
    assert steps_missing(freeze, CHECKLIST) == missing


@pytest.mark.parametrize(
    ("facts", "entitled", "people"),
    [
        ((*READY,), STAFF, []),
        ((*READY, clear("Lan")), STAFF, ["Lan"]),
        ((*READY, clear("Minh"), clear("Lan")), STAFF, ["Minh", "Lan"]),
        # One person, under one login or one name, is one person.
        ((*READY, clear("Lan"), clear("Lan")), STAFF, ["Lan"]),
        ((*READY, clear("Lan"), clear("Another Lan", "u-lan")), STAFF, ["Lan"]),
        ((*READY, clear("Lan"), clear(" LAN ", "u-minh")), STAFF, ["Lan"]),
        ((*READY, clear("Lan"), clear("Lan"), clear("Hoa")), STAFF, ["Lan", "Hoa"]),
        # Who may not any more has given none, and keeps nobody else from it.
        ((*READY, clear("Lan"), clear("Minh")), ("u-minh",), ["Minh"]),
        ((*READY, clear("Lan", "u-gone"), clear("Lan"), clear("Minh")), STAFF, ["Lan", "Minh"]),
        ((*READY, clear("Lan"), clear("Minh")), (), []),
        # What was said over another checklist counts for nothing.
        ((*READY, clear("Lan", rules=OLD_RULES), clear("Minh")), STAFF, ["Minh"]),
        # While a step is missing nobody has given any.
        ((done("leave"), clear("Lan"), clear("Minh")), STAFF, []),
        ((*READY, done("wash"), clear("Lan"), clear("Minh")), STAFF, []),
        ((*READY, clear("Lan"), set_again(), clear("Minh")), STAFF, ["Minh"]),
    ],
)
def test_an_all_clear_counts_once_for_each_entitled_person(facts: tuple[FreezeFact, ...], entitled: tuple[str, ...], people: list[str]):
    freeze = told(*facts)
    assert [one.person for one in standing_all_clears(freeze, CHECKLIST, entitled)] == people
    # Invariant I7: two different people.
    assert is_all_clear(freeze, CHECKLIST, entitled) == (len(people) >= 2)


@pytest.mark.parametrize(
    ("user_id", "person", "same"),
    [("u-lan", "Lan", True), ("u-lan", "Minh", True), ("u-minh", " lan", True), ("u-minh", "Minh", False), ("Lan", "u-lan", False)],
)
def test_an_all_clear_is_a_persons_by_login_or_by_name(user_id: str, person: str, same: bool):
    assert is_of(clear("Lan"), user_id=user_id, person=person) == same


people = st.sampled_from([("Lan", "u-lan"), (" LAN", "u-lan"), ("Minh", "u-minh"), ("Hoa", "u-gone")])
said = st.lists(
    st.sampled_from([done("leave"), done("wash"), done("air-off"), set_again()])
    | st.builds(lambda who, rules: clear(*who, rules), people, st.sampled_from([RULES, RULES, OLD_RULES])),
    max_size=8,
)


@given(said, st.sampled_from([done("leave"), done("wash"), set_again()]))
def test_whatever_newly_happens_leaves_no_lane_all_clear(facts: list[FreezeFact], event: FreezeFact):
    assert not is_all_clear(told(*READY, *facts, event), CHECKLIST, STAFF)
    assert not is_all_clear(told(*READY, *facts, event, clear("Lan")), CHECKLIST, STAFF)


@given(said)
def test_a_lane_is_all_clear_once_two_who_may_said_so_after_everything_else(facts: list[FreezeFact]):
    last_words = list(takewhile(lambda fact: isinstance(fact, AllClear), reversed(facts)))
    heard = {one.user_id for one in last_words if one.checklist_sha256 == RULES and one.user_id in STAFF}
    powder = {fact.step for fact in facts if isinstance(fact, FreezeStepDone)} & {"air-off", "wash"}
    assert is_all_clear(told(*READY, *facts), CHECKLIST, STAFF) == (len(heard) == 2 and len(powder) != 1)


@pytest.mark.parametrize(
    ("names", "stored"),
    [
        (["Lan"], ("Lan",)),
        (["  Trần \n Bình ", "Lan"], ("Trần Bình", "Lan")),
        (["Lan", " LAN", "", "Minh", "  "], ("Lan", "Minh")),
        (["n" * LONGEST_NAME], ("n" * LONGEST_NAME,)),
        ([f" {'n' * LONGEST_NAME} "], ("n" * LONGEST_NAME,)),
        ([f"N{number}" for number in range(MOST_NAMES)], tuple(f"N{number}" for number in range(MOST_NAMES))),
    ],
)
def test_who_was_present_is_stored_on_one_line_each_and_nobody_twice(names: list[str], stored: tuple[str, ...]):
    assert checked_present(names) == stored


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "names who was present"),
        (["", " \n"], "names who was present"),
        ([f"N{number}" for number in range(MOST_NAMES + 1)], "50 people at most"),
        (["Lan", "n" * (LONGEST_NAME + 1)], "80 characters"),
        (["Lan\x1b[2J"], "can be shown"),
        (["Lan\u202e"], "can be shown"),
    ],
)
def test_an_all_clear_without_names_that_can_be_shown_is_refused(names: list[str], why: str):
    with pytest.raises(PresentUnnamedError, match=why) as refused:
        checked_present(names)
    assert refused.value.code == "present-unnamed"
    assert refused.value.consequence == "No all clear was given"
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("text", "stored"),
    [("", ""), (" bột  trắng,\n đã rửa ", "bột trắng, đã rửa"), (" " * 5000, ""), ("n" * LONGEST_NOTE, "n" * LONGEST_NOTE)],
)
def test_a_note_is_stored_on_one_line(text: str, stored: str):
    assert checked_note(text) == stored


@pytest.mark.parametrize("text", ["n" * (LONGEST_NOTE + 1), "rửa\x07", "\u2066rửa"])
def test_a_note_that_cannot_be_shown_is_refused(text: str):
    with pytest.raises(RefusedError, match="1000 characters") as refused:
        checked_note(text)
    assert refused.value.consequence == "No all clear was given"
    assert refused.value.remedy
