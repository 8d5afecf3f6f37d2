from dataclasses import replace
from datetime import UTC, datetime

import pytest

from station.domain.model_use import MODEL_SUBJECT, ModelInUse, earlier, in_use


def fact(number: int, folder: str, *, back: bool = False) -> ModelInUse:
    return ModelInUse(
        piece_id=MODEL_SUBJECT,
        visit=number,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        person="Lan",
        note="",
        folder=folder,
        manifest_sha256=folder,
        model_sha256="",
        calibration_sha256="",
        key="",
        rolled_back=back,
    )


def test_the_newest_fact_is_the_model_in_use_and_roll_backs_go_back_one_by_one():
    a, b, c = fact(1, "a"), fact(2, "b"), fact(4, "c")
    assert in_use([]) is None
    assert in_use([a, b]) is b
    assert earlier([a]) == (None,)
    assert earlier([a, b]) == (a, None)
    returned = [a, b, fact(3, "a", back=True)]
    assert in_use(returned).folder == "a"
    assert earlier(returned) == (None,)
    assert earlier([*returned, c]) == (a, None)
    # signed off a second time: one step back is the one between
    assert earlier([a, b, replace(a, visit=3)]) == (b, a, None)


def test_what_a_roll_back_passed_over_is_out_of_the_row():
    a, b, c, d = (fact(number, name) for number, name in enumerate("abcd", start=1))
    assert earlier([a, b, c, fact(4, "a", back=True)]) == (None,)
    assert earlier([a, b, c, fact(4, "a", back=True), d]) == (a, None)
    assert earlier([a, b, c, fact(4, "", back=True), d]) == (None,)


@pytest.mark.parametrize("facts", [[], [fact(1, "a"), fact(2, "", back=True)]])
def test_there_is_nothing_before_the_delivered_model(facts: list[ModelInUse]):
    assert earlier(facts) == ()
