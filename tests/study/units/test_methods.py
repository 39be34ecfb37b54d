"""The table of methods beside a plan of every unit and ranking, on every default architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.plan import Plan
from sna_eval.study.methods import MethodsOptions, Variant, measure_methods
from sna_eval.study.methods.task_methods import TaskMethods
from tests.conftest import CONFIGS
from tests.intervention.plain_units import amplified, log_probs, mean_push
from tests.study.units.cells import CELLS, RANKINGS, UNITS, asked, plan_of, task_of

QUICK = MethodsOptions(random_draws=1, draws=20, tried=1, limit=3)
ROWS = (Variant("sna", "sna"), Variant("random_neurons", "random_neurons"))


def by_hand(lm: Any, task: str, docs: list[dict[str, Any]]) -> float:
    """What a row says of a task: the mean probability of answers, of labels the accuracy."""
    values = []
    for doc in docs:
        context, choices, right = asked(task, doc)
        said = log_probs(lm, [(context, choice) for choice in choices])
        values.append(np.exp(said[0]) if len(said) == 1 else float(np.argmax(said) == right))
    return float(np.mean(values))


def every_cell() -> list[Any]:
    """Of every architecture each unit by one ranking, another one at the next, and `cna`; the
    others where it may take longer."""
    cells = []
    for number, name in enumerate(CONFIGS):
        usual = {f"{unit}-{RANKINGS[(number + n) % 5]}" for n, unit in enumerate(UNITS)}
        cells += [
            pytest.param(
                name, cell, id=f"{name}-{cell}",
                marks=() if cell in {*usual, "mlp-cna"} else pytest.mark.slow,
            )
            for cell in CELLS
        ]  # fmt: skip
    return cells


@pytest.mark.parametrize(("name", "cell"), every_cell())
def test_the_plans_row_is_that_of_hooks(
    name: str, cell: str, pairs: Path,
    lm_of: Callable[[str], Any], tasks_of: Callable[[str], dict[str, Any]],
) -> None:  # fmt: skip
    lm, task, plan = lm_of(name), task_of(cell), plan_of(cell, pairs)
    tasks = tasks_of(task)
    with lm.under(Plan({task: plan})):
        table = measure_methods(lm, tasks, ROWS, QUICK, quiet=True)
        measure = TaskMethods(lm, task, tasks[task], plan, QUICK, None, quiet=True)
    row, control = table.rows
    assert (row.method, control.method) == ("sna", "random_neurons")
    entries = measure.base.interventions
    assert {entry.unit for entry in entries} == {cell.split("-")[0]}
    assert len({entry.layer for entry in entries}) > 1 or not cell.endswith("cna")
    docs = list(tasks[task].eval_docs)[:3]
    assert row.baseline == pytest.approx(by_hand(lm, task, docs), rel=1e-5)
    with amplified(lm.model, entries):
        assert row.amplified == pytest.approx(by_hand(lm, task, docs), rel=1e-5)
    choosing = measure.search.choosing.answers.items.items
    contexts = [item.requests[0].context for item in choosing]
    assert row.kl == pytest.approx(mean_push(lm, contexts, entries), rel=1e-4)
    assert row.kl > 1e-4
    assert np.isfinite([control.amplified, control.kl, row.specific, row.p_random]).all()
