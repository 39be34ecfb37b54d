"""Random rankings beside the neurons of all layers together, and the row of `cna`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sna_eval.gating import Gate
from sna_eval.intervention import Intervention
from sna_eval.neurons.universal import Universal, counted
from sna_eval.plan import Plan, PlannedIntervention, Selection, TaskPlan, plain_interventions
from sna_eval.study.methods import MethodsOptions, measure_methods, parse_variants
from sna_eval.study.methods.options import SHARES
from sna_eval.study.methods.task_methods import TaskMethods
from sna_eval.study.nulls import NullOptions, plan_null
from sna_eval.study.nulls.plan_search import PlanSearch, across_layers

NAME = "own_open"
ACROSS = TaskPlan(
    Gate(mode="always"),
    (PlannedIntervention(0, 3.0, select=Selection(across_layers=True, share=0.03)),),
)
OPTIONS = NullOptions(draws=2, measured=2, others=2)


@pytest.fixture
def resolved(lm: Any, load: Callable[..., Any]) -> TaskPlan:
    with lm.under(Plan({NAME: ACROSS})):
        lm.plans.for_tasks(load(NAME))
        found: TaskPlan = lm.plans.resolved[NAME]
        return found


def test_random_rankings_are_of_the_same_layers(
    lm: Any, load: Callable[..., Any], resolved: TaskPlan, tmp_path: Path
) -> None:
    """As many neurons in each, none of the plan's, at one multiplier that pushes as far."""
    assert across_layers(resolved)
    assert not across_layers(ACROSS)
    together = plain_interventions(resolved)
    task = load(NAME)[NAME]
    asked = (lm, NAME, task, together, OPTIONS)
    found = plan_null(*asked, across=True, output=tmp_path / "kept", quiet=True)
    by_layer = {f"layer {one.layer}": one.neurons for one in together}
    assert len(by_layer) > 1
    assert found.claim.neurons == by_layer
    for null in found.nulls:
        assert {layer: len(n) for layer, n in null.neurons.items()} == {
            layer: len(n) for layer, n in by_layer.items()
        }
        assert not any(set(null.neurons[layer]) & set(by_layer[layer]) for layer in by_layer)
        assert null.searched_multiplier == 3.0
        if null.push_reached:
            assert null.kl == pytest.approx(found.claim.kl, rel=0.06)
    assert found.nulls[0].neurons != found.nulls[1].neurons
    assert plan_null(*asked, across=True, output=tmp_path / "kept", quiet=True) == found


def test_what_a_draw_gains_is_measured_as_everything_is(
    lm: Any, load: Callable[..., Any], resolved: TaskPlan
) -> None:
    together = plain_interventions(resolved)
    search = PlanSearch(lm, NAME, load(NAME)[NAME], OPTIONS, together, across=True)
    (null,) = search.nulls([7])
    again = tuple(
        Intervention(int(layer.split()[1]), neurons, null.multiplier)
        for layer, neurons in null.neurons.items()
    )
    (tested,) = search.test.measure_of([again])
    assert null.gain == pytest.approx(float(tested.specific.mean()), rel=1e-6)
    pushes = [search.choosing.pushes_of([drawn.together for drawn in search.drawn(7)]).gains]
    assert null.development_gain == pytest.approx(float(max(pushes[0])), rel=1e-6)


def test_the_row_of_cna(lm: Any, load: Callable[..., Any]) -> None:
    """Two shares and two multipliers are tried; none of its neurons is universal. The multiplier is
    then one that pushes as far as the plan: `tests/study/methods/test_table.py`."""
    base = replace(ACROSS, interventions=(PlannedIntervention(1, 3.0, select=Selection(top_k=4)),))
    options = MethodsOptions(random_draws=1, draws=50, tried=4)
    (variant,) = (variant for variant in parse_variants(["cna"], seed=0) if variant.label == "cna")
    tasks = load(NAME)
    with lm.under(Plan({NAME: base})):
        measured = TaskMethods(lm, NAME, tasks[NAME], base, options, None, quiet=True)
        plan = measured.plan_of(variant)
        table = measure_methods(lm, tasks, [variant, *parse_variants([], seed=0)], options,
                                quiet=True)  # fmt: skip
    (row,) = (row for row in table.rows if row.method == "cna")
    assert (row.tried, row.strength) == (4, None)
    n_all = lm.sites.d_mlp * lm.sites.n_layers
    count = sum(len(entry.neurons[""]) for entry in plan.interventions)
    assert count in {counted(share, n_all) for share in SHARES}
    assert len({entry.multiplier for entry in plan.interventions}) == 1
    share = plan.interventions[0].found.share
    left_out = Universal(share).found(lm.bench)
    assert not any(set(left_out.get(o.layer, ())) & set(o.neurons[""]) for o in plan.interventions)
