"""What an error says of several failures."""

import pytest

from station.domain.errors import TOLD_AT_ONCE, SeveralFailuresError


@pytest.mark.parametrize(
    ("each", "told"),
    [
        (["the key is gone"], "the key is gone"),
        (["a", "b", "a"], "a; b"),
        ([str(n) for n in range(TOLD_AT_ONCE)], "; ".join(map(str, range(TOLD_AT_ONCE)))),
        ([str(n) for n in range(TOLD_AT_ONCE + 2)], "; ".join([*map(str, range(TOLD_AT_ONCE)), "2 more"])),
    ],
)
def test_each_failure_is_told_once_and_no_more_than_can_be_read(each: list[str], told: str):
    error = SeveralFailuresError(each)
    assert error.what == told
    assert error.each == tuple(dict.fromkeys(each))
