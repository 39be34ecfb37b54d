"""Which part of a ranking a row of the table is searched in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sna_eval.gating import Gate
from sna_eval.plan import PlannedIntervention, TaskPlan
from sna_eval.study.methods.variants import (
    OTHER_LAYER,
    SEARCHED,
    other_layers,
    ranking_of_row,
)


def test_other_layers_are_those_that_the_plan_leaves_alone() -> None:
    entries = tuple(PlannedIntervention(layer, 2.0, neurons={"": (1,)}) for layer in (3, 1))
    base = TaskPlan(Gate(), entries)
    assert other_layers(base, range(5)) == [0, 2, 4]
    assert other_layers(base, [1, 3]) == []


def test_each_row_has_its_part_of_the_ranking() -> None:
    profile: Any = {layer: {"": object()} for layer in range(4)}
    last: Any = object()
    rankings: Any = SimpleNamespace(last=lambda: last)
    assert ranking_of_row(SEARCHED, rankings, profile, [0, 2]) is profile
    assert ranking_of_row("bottom_neurons", rankings, profile, [0, 2]) is last
    others = ranking_of_row(OTHER_LAYER, rankings, profile, [0, 2])
    assert others == {layer: profile[layer] for layer in (0, 2)}
