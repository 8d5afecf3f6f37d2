from datetime import UTC, datetime

import pytest

from station.domain.model_use import MODEL_SUBJECT, ModelInUse, before, in_use


def fact(number: int, folder: str, *, back: bool = False) -> ModelInUse:
    return ModelInUse(
        piece_id=MODEL_SUBJECT,
        visit=number,
        at=datetime(2026, 11, 20, tzinfo=UTC),
        person="Lan",
        note="",
        folder=folder,
        manifest_sha256="",
        model_sha256="",
        calibration_sha256="",
        key="",
        rolled_back=back,
    )


def test_the_newest_fact_is_the_model_in_use_and_roll_backs_go_back_one_by_one():
    a, b = fact(1, "a"), fact(2, "b")
    assert in_use([]) is None
    assert in_use([a, b]) is b
    assert before([a]) is None
    assert before([a, b]) is a
    returned = [a, b, fact(3, "a", back=True)]
    assert in_use(returned).folder == "a"
    assert before(returned) is None
    again = [*returned, fact(4, "c")]
    assert before(again) is a


@pytest.mark.parametrize("facts", [[], [fact(1, "a"), fact(2, "", back=True)]])
def test_there_is_nothing_before_the_delivered_model(facts: list[ModelInUse]):
    with pytest.raises(ValueError, match="delivered"):
        before(facts)
