"""From a row of a store back to the plan that does exactly what the row says."""

from __future__ import annotations

import json

from sna_eval.errors import reading
from sna_eval.gating import Gate, ungated
from sna_eval.measuring.grid import Configuration
from sna_eval.neurons import Selected
from sna_eval.plan import (
    UNLABELLED,
    ModelSpec,
    Plan,
    PlannedIntervention,
    Provenance,
    TaskPlan,
)
from sna_eval.plan.files import parse_gate
from sna_eval.study.sweep.schemas import ConfigurationRow, Unit
from sna_eval.study.sweep.store import SweepStore


def row_intervention(store: SweepStore, row: ConfigurationRow) -> PlannedIntervention:
    """What a row of the configurations did.

    **Arguments:**

    - `row`: `task`, `layer`, `n_neurons`, `multiplier`, `direction` and `found` of the row.
    """
    chosen = _neurons(store, Unit(row["task"], row["layer"]), row["n_neurons"])
    with reading("store", expected="how neurons were found, in JSON", got=row["found"]):
        found = Provenance.of(dict(json.loads(row["found"])))
    return Configuration.of_row(row).planned(chosen, found)


def configuration_row(
    store: SweepStore, task: str, configuration: Configuration
) -> ConfigurationRow | None:
    """The row of one configuration; `None` where it was not swept."""
    unit = Unit(task, configuration.layer)
    if unit not in store.units:
        return None
    rows = store.unit_table("configurations", unit).to_pylist()
    return next((row for row in rows if Configuration.of_row(row) == configuration), None)


def row_plan(store: SweepStore, row: ConfigurationRow) -> Plan:
    """The plan that reproduces a row, ungated; its fingerprint is the row's `plan_fingerprint`."""
    gate = ungated(task_gate(store, row["task"]))
    return Plan({row["task"]: TaskPlan(gate, (row_intervention(store, row),))})


def task_gate(store: SweepStore, task: str) -> Gate:
    """The gate that says which zone a task's items are in."""
    return parse_gate(store.manifest["tasks"][task]["gate"], f"manifest.tasks.{task}.gate", Gate())


def model_spec(store: SweepStore) -> ModelSpec:
    """The model that a store was made with."""
    named = store.manifest
    return ModelSpec(named["model"], named["n_layers"], named["d_mlp"])


def _neurons(store: SweepStore, unit: Unit, count: int) -> dict[str, Selected]:
    """The first `count` neurons of each label; the unlabelled set where there are none at all."""
    rows: dict[str, list[tuple[int, float]]] = {}
    for row in store.unit_table("neurons", unit).to_pylist():
        if row["rank"] <= count:
            rows.setdefault(row["label"], []).append((row["neuron"], row["score"]))
    return {
        label: Selected(tuple(n for n, _ in ranked), tuple(s for _, s in ranked))
        for label, ranked in (rows or {UNLABELLED: []}).items()
    }
