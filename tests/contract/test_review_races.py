"""Approvals that race for the same piece are refused by what the first of them has written."""

from contextlib import closing
from pathlib import Path

from tests.support.approvals import Approvals


def test_nobody_approves_twice_however_they_race(tmp_path: Path):
    with closing(Approvals(tmp_path)) as approvals:
        ends = approvals.race(30)
    assert ends["1 approved, held"] + ends["1 approved, in_review"] >= 15
    assert ends["2 approved, cleared"] > 0
