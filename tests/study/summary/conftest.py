"""Rows of a store, made by hand: no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pytest

from sna_eval.study.sweep import CONFIGURATIONS

Rows = Callable[..., pa.Table]


@pytest.fixture(scope="session")
def rows() -> Rows:
    """A task's rows from its changes: `{(layer, count, multiplier): change}`."""

    def make(
        changes: Mapping[tuple[int, int, float], float],
        *,
        baseline: float = 0.05,
        zone: int = 1,
        direction: str = "both",
        **further: Any,
    ) -> pa.Table:
        empty = dict.fromkeys(CONFIGURATIONS.names)
        listed = [
            {
                **empty,
                "task": "own",
                "layer": layer,
                "n_neurons": count,
                "multiplier": multiplier,
                "n_items": 4,
                "baseline_prob": baseline,
                "delta_prob": change,
                "zone": zone,
                "direction": direction,
                "oracle": direction == "gold",
                **further,
            }
            for (layer, count, multiplier), change in changes.items()
        ]
        return pa.Table.from_pylist(listed, schema=CONFIGURATIONS)

    return make


@pytest.fixture
def changes() -> dict[tuple[int, int, float], float]:
    """Two layers, two counts, two multipliers; layer 0 has the best mean, layer 3 the best single.

    In percent of a baseline of 0.05: layer 0 has 8, 12, 12, 14; layer 3 has 40, -10, -20, 0.
    """
    return {
        (0, 3, 1.5): 0.004,
        (0, 3, 2.0): 0.006,
        (0, 5, 1.5): 0.006,
        (0, 5, 2.0): 0.007,
        (3, 3, 1.5): 0.020,
        (3, 3, 2.0): -0.005,
        (3, 5, 1.5): -0.010,
        (3, 5, 2.0): 0.0,
    }
