"""Every unit and ranking through exact and screened sweeps on every default architecture.

What is measured is held against plain hooks. `cna` picks among all layers, which no sweep does; its
ranking is swept here layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sna_eval.plan import PlannedIntervention
from sna_eval.study.sweep import (
    ScreenOptions,
    Sweep,
    SweepOptions,
    SweepStore,
    run_sweep,
)
from tests.conftest import CONFIGS
from tests.intervention.plain_units import amplified
from tests.study.units.cells import RANKINGS, UNITS, right_probs, task_of
from tests.study.units.conftest import LAYERS

SCREEN = ScreenOptions(verify=0.2, at_least=2, sample=0.2, sample_at_least=2)
KEY = ["layer", "n_neurons", "multiplier", "direction"]


def swept(lm: Any, tasks: dict[str, Any], folder: Path, **options: Any) -> SweepStore:
    asked = SweepOptions(
        tasks=tuple(tasks), layers=LAYERS, n_neurons=(1, 2), multipliers=(1.5, 3.0), **options
    )
    return run_sweep(Sweep(asked, lm=lm, tasks=tasks), folder, quiet=True)


def holds(store: SweepStore, lm: Any, tasks: dict[str, Any], unit: Any, at_least: int) -> None:
    """Every measured row, item by item."""
    (task,) = tasks
    items, ranked = store.items().to_pandas(), store.neurons().to_pandas()
    rows = [row for row in store.configurations().to_pylist() if row["source"] == "measured"]
    assert len(rows) >= at_least
    docs = list(tasks[task].validation_docs())
    changes = []
    for row in rows:
        here = np.logical_and.reduce([items[one] == row[one] for one in KEY])
        found = items[here].set_index("item")
        best = ranked[(ranked["layer"] == row["layer"]) & (ranked["rank"] <= row["n_neurons"])]
        neurons = {label: tuple(of_label["neuron"]) for label, of_label in best.groupby("label")}
        assert {len(units) for units in neurons.values()} == {row["n_neurons"]}
        entry = PlannedIntervention(row["layer"], row["multiplier"], unit=unit, neurons=neurons)
        with amplified(lm.model, [entry]):
            expected = right_probs(lm, task, [docs[place] for place in found.index])
        np.testing.assert_allclose(found["amplified_prob"], expected, rtol=1e-5, atol=1e-9)
        assert row["amplified_prob"] == pytest.approx(np.mean(expected), rel=1e-5)
        changes += list(np.log(found["amplified_prob"] / found["baseline_prob"]))
    assert np.abs(changes).max() > 1e-2


def every_cell() -> list[Any]:
    """Screened all of them; exact one of each kind, the others where it may take longer."""
    usual = {*((unit, "differential") for unit in UNITS), ("mlp", "contrastive")}
    return [
        pytest.param(
            unit, select, screen, id=f"{unit}-{select}-{'screened' if screen else 'exact'}",
            marks=() if screen or (unit, select) in usual else pytest.mark.slow,
        )
        for unit in UNITS
        for select in RANKINGS
        for screen in (None, SCREEN)
    ]  # fmt: skip


@pytest.mark.parametrize(("unit", "select", "screen"), every_cell())
@pytest.mark.parametrize("name", CONFIGS)
def test_measured_rows_are_those_of_hooks(
    name: str, unit: Any, select: str, screen: ScreenOptions | None,
    lm_of: Callable[[str], Any], tasks_of: Callable[[str], dict[str, Any]], tmp_path: Path,
) -> None:  # fmt: skip
    lm, tasks = lm_of(name), tasks_of(task_of(select))
    store = swept(lm, tasks, tmp_path, unit=unit, select=select, screen=screen)
    assert store.manifest["tasks"][next(iter(tasks))]["select"] == select
    holds(store, lm, tasks, unit, at_least=8 if screen is None else 4)


@pytest.mark.parametrize(
    "screen",
    [pytest.param(None, id="exact", marks=pytest.mark.slow), pytest.param(SCREEN, id="screened")],
)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_ranking_of_cna_goes_layer_by_layer(
    name: str, screen: ScreenOptions | None, pairs: Path,
    lm_of: Callable[[str], Any], tasks_of: Callable[[str], dict[str, Any]], tmp_path: Path,
) -> None:  # fmt: skip
    lm, tasks = lm_of(name), tasks_of("own_open")
    store = swept(
        lm, tasks, tmp_path, select="absolute", pooling="last", drop_universal=True,
        prompts=str(pairs), screen=screen,
    )  # fmt: skip
    holds(store, lm, tasks, "mlp", at_least=8 if screen is None else 4)
