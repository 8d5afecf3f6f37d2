"""A goal about every class is met only when every class of the library was measured, and missed as soon as one class misses it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from firmware_sims.mail_catalogue import CLASSES
from training.card_goals import goals_table

LOWEST_FOUND = "mail, the class found least: at 5 %"
LEFT_OUT = "mail, the class told least without training on it: AUROC"
HALF = CLASSES[:6]


def measured(mean: float | None) -> dict[str, Any]:
    return {"mean": mean, "lo": mean, "hi": mean, "n": 0 if mean is None else 60}


def report(*, found: Mapping[str, float | None] | None = None, left_out: Sequence[tuple[str, float | None]] = ()) -> dict[str, Any]:
    by_class = {name: {"tpr_within_kind": measured(mean)} for name, mean in (found or {}).items()}
    return {
        "mail": {"groups": {}, "by_class": by_class},
        "left_out": [{"left_out": name, "auroc_within_kind": measured(mean)} for name, mean in left_out],
    }


def row(title: str, found: Mapping[str, Any]) -> tuple[str, str]:
    """What the table says of one goal: the figure, and whether it is met."""
    line = next(line for line in goals_table(found) if line.startswith(f"| {title} |"))
    _, _, _, figure, met, _ = line.split("|")
    return figure.strip(), met.strip()


def test_every_class_measured_meets_the_goals():
    found = report(found=dict.fromkeys(CLASSES, 0.8), left_out=[(name, 0.95) for name in CLASSES])
    assert row(LOWEST_FOUND, found) == ("0.800 [0.800, 0.800]", "yes")
    assert row(LEFT_OUT, found) == ("0.950 [0.950, 0.950]", "yes")


@pytest.mark.parametrize("names", [CLASSES[:1], HALF, CLASSES[1:]])
def test_what_was_measured_of_some_classes_alone_meets_nothing(names: tuple[str, ...]):
    found = report(found=dict.fromkeys(names, 0.8), left_out=[(name, 0.95) for name in names])
    assert row(LOWEST_FOUND, found) == (f"0.800 [0.800, 0.800], {len(names)} of 12 measured", "not measured")
    assert row(LEFT_OUT, found) == (f"0.950 [0.950, 0.950], {len(names)} of 12 measured", "not measured")


def test_a_class_that_misses_the_goal_is_a_miss_whatever_else_is_missing():
    found = report(found=dict.fromkeys(HALF, 0.8) | {HALF[2]: 0.74}, left_out=[(HALF[0], 0.95), (HALF[1], 0.89)])
    assert row(LOWEST_FOUND, found) == ("0.740 [0.740, 0.740], 6 of 12 measured", "**no**")
    assert row(LEFT_OUT, found) == ("0.890 [0.890, 0.890], 2 of 12 measured", "**no**")


def test_a_class_without_a_figure_was_not_measured():
    found = report(found=dict.fromkeys(CLASSES, 0.8) | {CLASSES[3]: None}, left_out=[(CLASSES[0], None)])
    assert row(LOWEST_FOUND, found) == ("0.800 [0.800, 0.800], 11 of 12 measured", "not measured")
    assert row(LEFT_OUT, found) == ("–, 0 of 12 measured", "not measured")


def test_a_class_measured_twice_counts_once_and_one_of_no_library_not_at_all():
    twice = [(CLASSES[0], 0.95), (CLASSES[0], 0.5), *((name, 0.95) for name in CLASSES[1:-1]), ("anvil", 0.95)]
    assert row(LEFT_OUT, report(left_out=twice)) == ("0.500 [0.500, 0.500], 11 of 12 measured", "**no**")
    assert row(LEFT_OUT, report(left_out=[twice[0], *twice[2:]])) == ("0.950 [0.950, 0.950], 11 of 12 measured", "not measured")
