import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.domain.errors import RefusedError
from station.domain.people import ONE_PERSON_REASONS, distinct_people, people_needed, person_key, responsible
from station.domain.piece import Secrecy
from station.domain.reasons import Reason


@pytest.mark.parametrize("reason", list(Reason))
def test_devices_take_two_people_and_models_one(reason: Reason):
    assert people_needed(None, [reason]) == (1 if reason in ONE_PERSON_REASONS else 2)
    assert people_needed(None, [Reason.MODEL_ALARM, reason]) == (1 if reason in ONE_PERSON_REASONS else 2)


def test_who_waits_for_a_second_person_gets_one():
    assert people_needed(None, [Reason.DECISION_TIMEOUT, Reason.AWAITING_SECOND_PERSON]) == 2


@pytest.mark.parametrize("level", list(Secrecy))
def test_marked_pieces_take_two(level: Secrecy):
    assert people_needed(level, []) == 2


def test_without_reasons_one_is_enough_and_unknown_codes_count_as_a_devices():
    assert people_needed(None, []) == 1
    assert people_needed(None, ["no-such-code"]) == 2


def test_a_person_is_one_person_however_spelt():
    assert distinct_people(["Lan", " LAN ", "Lan  Anh", "lan anh", "", "  ", "Ｌａｎ"]) == ("Lan", "Lan  Anh")
    assert person_key(" Trần  Minh ") == person_key("trần minh")


@pytest.mark.parametrize(
    ("person", "note", "recorded"),
    [
        ("Lan", "đã hiệu chuẩn", ("Lan", "đã hiệu chuẩn")),
        (" Trần \n Bình ", " đã\r\nhiệu\tchuẩn ", ("Trần Bình", "đã hiệu chuẩn")),
        ("Lan", "", ("Lan", "")),
        ("n" * 80, "n" * 1000, ("n" * 80, "n" * 1000)),
        (f" {'n' * 80} ", f" {'n' * 1000} ", ("n" * 80, "n" * 1000)),
    ],
)
def test_a_responsibility_is_recorded_on_one_line_each(person: str, note: str, recorded: tuple[str, str]):
    assert responsible(person, note) == recorded


@pytest.mark.parametrize(
    ("person", "note", "why"),
    [
        ("", "x", "Nobody took the responsibility"),
        (" \n", "x", "Nobody took the responsibility"),
        ("n" * 81, "x", "The name is longer than 80 characters"),
        ("Lan\x1b[2J", "x", "The name .* cannot be shown"),
        ("Lan\u202e", "x", "The name .* cannot be shown"),
        ("Lan", "n" * 1001, "The note is longer than 1000 characters"),
        ("Lan", "x\x07", "The note .* cannot be shown"),
        ("", "x\x07", "The note .* cannot be shown"),
    ],
)
def test_a_responsibility_without_a_name_or_with_signs_that_cannot_be_shown_is_refused(person: str, note: str, why: str):
    with pytest.raises(RefusedError, match=why) as refused:
        responsible(person, note)
    assert refused.value.consequence == "Nothing was changed"
    assert refused.value.remedy


@given(st.text(max_size=100), st.text(max_size=1100))
def test_what_is_recorded_of_a_responsibility_can_be_shown_and_names_somebody(person: str, note: str):
    try:
        recorded = responsible(person, note)
    except RefusedError:
        return
    assert recorded == (" ".join(person.split()), " ".join(note.split()))
    assert all(text.isprintable() for text in recorded)
    assert 0 < len(recorded[0]) <= 80
    assert len(recorded[1]) <= 1000
