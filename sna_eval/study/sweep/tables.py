"""How a layer's result fills the tables of a store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sna_eval.gating import ungated
from sna_eval.measuring.task_grid import LayerResult
from sna_eval.measuring.values import Floats, ItemValues, item_values
from sna_eval.plan import Plan, Provenance, TaskPlan, plan_fingerprint
from sna_eval.study.sweep.schemas import (
    CONFIGURATIONS,
    ITEMS,
    MEASURED,
    NEURONS,
    PREDICTED,
    ZONES,
    Unit,
    UnitTables,
)
from sna_eval.study.sweep.swept_task import SweptTask


def unit_tables(
    subject: SweptTask, result: LayerResult, *, model: str, found: Mapping[int, Provenance]
) -> UnitTables:
    """The tables of one task and layer.

    **Arguments:**

    - `found`: for each count how the neurons were found, as plans record it.
    """
    values = _Values.of(subject, result)
    rows = [
        _configuration_row(subject, result, number, values, found) | {"model": model}
        for number in values.rows
    ]
    tables = {
        "configurations": pa.Table.from_pylist(rows, schema=CONFIGURATIONS),
        "items": _items_table(subject, result, values),
        "neurons": pa.Table.from_pylist(_neuron_rows(subject, result), schema=NEURONS),
    }
    return UnitTables(Unit(subject.name, result.layer), tables)


@dataclass(frozen=True, eq=False)
class _Values:
    """What configurations of a layer do to every item, measured or predicted."""

    before: ItemValues
    measured: ItemValues
    """`[measured, item]`."""
    place: Mapping[int, int]
    """Where a measured configuration stands among them, by its number in the grid."""
    predicted: ItemValues | None
    """`[configuration, item]`."""

    @classmethod
    def of(cls, subject: SweptTask, result: LayerResult) -> _Values:
        def values(log_likelihoods: Floats) -> ItemValues:
            return item_values(subject.items, log_likelihoods)

        return cls(
            values(result.baseline.log_likelihoods),
            values(result.log_likelihoods),
            {number: place for place, number in enumerate(result.numbers)},
            None if result.predicted is None else values(result.predicted),
        )

    @property
    def rows(self) -> list[int]:
        """Numbers of the configurations that anything is known of, in the grid's order."""
        return (
            sorted(self.place) if self.predicted is None else list(range(len(self.predicted.prob)))
        )

    def after(self, number: int) -> ItemValues:
        """What a configuration does to every item, `[item]`: measured, or else predicted."""
        table = self.measured if number in self.place else self.predicted
        assert table is not None
        row = self.place.get(number, number)
        return ItemValues(table.prob[row], None if table.correct is None else table.correct[row])


def _configuration_row(
    subject: SweptTask,
    result: LayerResult,
    number: int,
    values: _Values,
    found: Mapping[int, Provenance],
) -> dict[str, Any]:
    configuration = subject.grid.at(result.layer)[number]
    entry = configuration.planned(
        result.ranking.first(configuration.n_neurons), found[configuration.n_neurons]
    )
    plan = Plan({subject.name: TaskPlan(ungated(subject.gate), (entry,))})
    after, forecast = values.after(number), values.predicted
    base, amplified = float(values.before.prob.mean()), float(after.prob.mean())
    confidence = float(np.mean([d.confidence for d in result.baseline.decisions]))
    return {
        "task": subject.name,
        "layer": result.layer,
        "n_neurons": configuration.n_neurons,
        "multiplier": configuration.multiplier,
        "plan_fingerprint": plan_fingerprint(plan),
        "split": subject.split,
        "n_items": len(subject.items.items),
        "baseline_prob": base,
        "amplified_prob": amplified,
        "delta_prob": amplified - base,
        "improvement_pct": (amplified - base) / base * 100 if base else None,
        "zone": subject.gate.zone(confidence),
        "select": subject.method,
        "found": json.dumps(found[configuration.n_neurons].to_dict()),
        "direction": configuration.direction,
        "oracle": configuration.oracle,
        "source": MEASURED if number in values.place else PREDICTED,
        "predicted_prob": None if forecast is None else float(forecast.prob[number].mean()),
        "drawn": number in result.drawn,
        **_accuracies(result, values.before, after),
    }


def _accuracies(result: LayerResult, before: ItemValues, after: ItemValues) -> dict[str, Any]:
    """Accuracy in all and by zone; nothing for tasks without choices."""
    zones = np.array([decision.zone for decision in result.baseline.decisions])
    counts = {f"n_zone{zone}": int((zones == zone).sum()) for zone in ZONES}
    if before.correct is None or after.correct is None:
        return counts
    values: dict[str, Any] = dict(counts)
    for name, correct in (("baseline_acc", before.correct), ("acc", after.correct)):
        values[name] = float(correct.mean())
        for zone in ZONES:
            inside = correct[zones == zone]
            values[f"{name}_zone{zone}"] = float(inside.mean()) if inside.size else None
    return values


def _items_table(subject: SweptTask, result: LayerResult, values: _Values) -> pa.Table:
    """What was measured of every item."""
    every = subject.grid.at(result.layer)
    configurations = [every[number] for number in result.numbers]
    before, after = values.before, values.measured
    n_items, times = len(subject.items.items), len(configurations)
    if not times:
        return ITEMS.empty_table()

    def per_configuration(values: list[Any]) -> Any:
        return np.repeat(np.array(values), n_items)

    def per_item(values: Floats | list[Any]) -> Any:
        return np.tile(np.asarray(values), times)

    decisions = result.baseline.decisions
    columns: dict[str, Any] = {
        "task": per_configuration([subject.name] * times),
        "layer": per_configuration([result.layer] * times),
        "n_neurons": per_configuration([one.n_neurons for one in configurations]),
        "multiplier": per_configuration([one.multiplier for one in configurations]),
        "direction": per_configuration([one.direction for one in configurations]),
        "item": per_item([item.instance.doc_id for item in subject.items.items]),
        "zone": per_item([decision.zone for decision in decisions]),
        "confidence": per_item([decision.confidence for decision in decisions]),
        "baseline_prob": per_item(before.prob),
        "amplified_prob": after.prob.reshape(-1),
        "baseline_correct": None,
        "amplified_correct": None,
    }
    if before.correct is not None and after.correct is not None:
        columns["baseline_correct"] = np.tile(before.correct, times)
        columns["amplified_correct"] = after.correct.reshape(-1)
    empty = pa.nulls(n_items * times, pa.bool_())
    arrays = [
        pa.array(columns[field.name], type=field.type) if columns[field.name] is not None else empty
        for field in ITEMS
    ]
    return pa.Table.from_arrays(arrays, schema=ITEMS)


def _neuron_rows(subject: SweptTask, result: LayerResult) -> list[dict[str, Any]]:
    return [
        {
            "task": subject.name,
            "layer": result.layer,
            "label": label,
            "rank": rank,
            "neuron": neuron,
            "score": score,
        }
        for label, ranked in result.ranking.first(subject.grid.largest_count).items()
        for rank, (neuron, score) in enumerate(zip(ranked.neurons, ranked.scores, strict=True), 1)
    ]
