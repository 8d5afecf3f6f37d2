"""Whoever reads what parts are worth sees which design choices were never tested."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import training
from station.screening.manifest import load_model
from tests.support.screening_models import SHIPPED, constant, heat_nodes, model
from training.ablations import CHOICES, PARTS, untested
from training.card import _ablations

FIGURE = {"mean": 0.9, "lo": 0.8, "hi": 0.95, "n": 40}
TESTED = "without plain terms in the heat"


@pytest.fixture(scope="module")
def newest() -> bytes:
    """A file with the initialisers by which the newest network's choices are known, and one part that can be switched off."""
    nodes, weights = heat_nodes(-1.0)
    names = sorted({choice.weight for choice in CHOICES.values()} | {"fused.w"})
    return model(nodes, [*weights, *(constant(name, np.zeros(1)) for name in names)]).SerializeToString()


def rows(lines: list[str]) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return {name: figures for name, *figures in cells}


def measured(*parts: str) -> dict[str, Any]:
    keys = ("auroc_within_kind", "tpr_within_kind")
    return {"parts": list(parts), "mail": {**dict.fromkeys(keys, FIGURE), "baselines": {one: dict.fromkeys(keys, FIGURE) for one in parts}}}


def test_every_module_of_the_network_belongs_to_a_choice():
    tree = ast.parse((Path(training.__file__).parent / "network.py").read_text(encoding="utf-8"))
    made = [target for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets]
    modules = sorted(target.attr for target in made if isinstance(target, ast.Attribute))
    assert modules == sorted(name for choice in CHOICES.values() for name in choice.modules)


def test_each_choice_has_a_measurement_or_is_said_not_to_be_measured(newest: bytes):
    table = rows(_ablations(measured(TESTED), newest))
    assert table[TESTED] == ["0.900 [0.800, 0.950]"] * 2
    for name in {*PARTS, *CHOICES} - {TESTED}:
        assert table[name] == ["not measured"] * 2
    assert len(table) == 2 + len(PARTS) + len(CHOICES)


def test_without_measurement_every_choice_is_named_all_the_same(newest: bytes):
    table = rows(_ablations(None, newest))
    assert all(table[name] == ["not measured"] for name in (*PARTS, *CHOICES))


def test_what_a_model_does_not_have_is_no_choice_of_it():
    _, data = load_model(SHIPPED)
    missing = untested(data, tuple(PARTS))
    assert "encoder, its depth and width" in missing
    assert "means of the hottest cells' logits in the score" in missing
    assert not {"head of classes", "encoder's beginning with weights of photographs", *PARTS} & set(missing)
