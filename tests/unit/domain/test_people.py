import pytest

from station.domain.people import ONE_PERSON_REASONS, distinct_people, people_needed, person_key
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
