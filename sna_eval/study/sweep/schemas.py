"""The columns of a store's tables.

Parquet keeps repeated values once, so the per-item table may name its configuration in every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import pyarrow as pa

ZONES = (1, 2, 3)
MEASURED = "measured"
"""Source of a row that was measured."""
PREDICTED = "predicted"
"""Source of a row that one backward pass predicted."""
SOURCES = {MEASURED, PREDICTED}
_KEY = [
    ("task", pa.string()),
    ("layer", pa.int32()),
    ("n_neurons", pa.int32()),
    ("multiplier", pa.float64()),
]
CONFIGURATIONS = pa.schema(
    [
        *_KEY,
        ("model", pa.string()),
        ("plan_fingerprint", pa.string()),
        ("split", pa.string()),
        ("n_items", pa.int32()),
        ("baseline_prob", pa.float64()),
        ("amplified_prob", pa.float64()),
        ("delta_prob", pa.float64()),
        ("improvement_pct", pa.float64()),
        ("zone", pa.int8()),
        ("select", pa.string()),
        ("found", pa.string()),
        ("direction", pa.string()),
        ("oracle", pa.bool_()),
        ("baseline_acc", pa.float64()),
        ("acc", pa.float64()),
        *(
            (f"{name}_zone{zone}", pa.float64())
            for name in ("baseline_acc", "acc")
            for zone in ZONES
        ),
        *((f"n_zone{zone}", pa.int32()) for zone in ZONES),
        ("source", pa.string()),
        ("predicted_prob", pa.float64()),
        ("drawn", pa.bool_()),
    ]
)
"""One row per configuration. Every item is amplified: what a gate would leave alone is a choice to
make later, from the second table.

- `plan_fingerprint`: of the plan that does exactly this to this task, ungated.
- `improvement_pct`: of the means over items, `(amplified - baseline) / baseline * 100`; null where
    the baseline is 0.
- `zone`: of the task, by its items' mean confidence.
- `found`: how the neurons were found, as a plan file records it; JSON.
- `oracle`: whether the direction depends on the right answer.
- `source`: `measured`, or `predicted` from one backward pass. What was predicted has no rows in
    the other table, and `amplified_prob` and what follows from it are predictions.
- `predicted_prob`: what was predicted in the place of `amplified_prob`; null in a sweep that
    predicts nothing.
- `drawn`: whether chance chose this configuration to be measured.
- `acc` and the others: share of items whose right answer is the likeliest choice, by the items'
    zones; null for tasks without choices, and for zones without items.
"""
ITEMS = pa.schema(
    [
        *_KEY,
        ("direction", pa.string()),
        ("item", pa.int32()),
        ("zone", pa.int8()),
        ("confidence", pa.float64()),
        ("baseline_prob", pa.float64()),
        ("amplified_prob", pa.float64()),
        ("baseline_correct", pa.bool_()),
        ("amplified_correct", pa.bool_()),
    ]
)
"""One row per configuration and item; `item` is its number among the items that were swept: the
document's in its split, unless these were spread over it or drawn from a large one."""
NEURONS = pa.schema(
    [
        ("task", pa.string()),
        ("layer", pa.int32()),
        ("label", pa.string()),
        ("rank", pa.int32()),
        ("neuron", pa.int32()),
        ("score", pa.float64()),
    ]
)
"""Every layer's neurons in order; a configuration takes the first `n_neurons` of each label."""
SCHEMAS = {"configurations": CONFIGURATIONS, "items": ITEMS, "neurons": NEURONS}
"""The three tables of a store."""


class ConfigurationRow(TypedDict):
    """What of a row of `CONFIGURATIONS` says which one it is."""

    task: str
    layer: int
    n_neurons: int
    multiplier: float
    direction: str
    oracle: bool
    found: str


@dataclass(frozen=True, order=True)
class Unit:
    """What is computed and stored as one."""

    task: str
    layer: int


@dataclass(frozen=True, eq=False)
class UnitTables:
    """A unit's rows of every table."""

    unit: Unit
    tables: Mapping[str, pa.Table]
