from pathlib import Path

from station.domain.lifecycle_diagram import page
from station.domain.piece import TRANSITIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "piece-lifecycle.md"


def test_the_page_says_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_step_is_drawn_once():
    for state, targets in TRANSITIONS.items():
        for target in targets:
            assert page().count(f"    {state.value} --> {target.value}\n") == 1
