"""Response curves of tasks with choices: accuracy by zone as the multiplier grows.

As figure 2 of Akhtar (2026) for SST-2: change of accuracy in percentage points among the items of
each zone, at every multiplier, for one layer and count. Zones are the unmodified model's, so an
item stays in its zone whatever the multiplier does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sna_eval.study.sweep.schemas import ZONES


@dataclass(frozen=True)
class ResponseCurve:
    """One zone's curve."""

    task: str
    zone: int
    n_items: int
    direction: str
    oracle: bool
    layer: int
    n_neurons: int
    baseline_acc: float
    multipliers: tuple[float, ...]
    points: tuple[float, ...]
    """Change of accuracy in percentage points, one for each multiplier."""


def response_curves(task: str, table: pa.Table) -> tuple[ResponseCurve, ...]:
    """The curves of every direction and zone, at the layer and count of its best accuracy.

    **Arguments:**

    - `table`: rows of a store's `configurations` of one task; empty results without choices.
    """
    rows = [row for row in table.to_pylist() if row["acc"] is not None]
    directions = dict.fromkeys(row["direction"] for row in rows)
    return tuple(
        curve
        for direction in directions
        for curve in _curves(task, [row for row in rows if row["direction"] == direction])
    )


def accuracy_changes(table: pa.Table, zone: int) -> tuple[float, ...]:
    """Change of accuracy in a zone by every configuration, in percentage points.

    Without directions that know the right answer; nothing for a zone without items.
    """
    before, after = f"baseline_acc_zone{zone}", f"acc_zone{zone}"
    return tuple(
        (row[after] - row[before]) * 100
        for row in table.to_pylist()
        if row[after] is not None and not row["oracle"]
    )


def _curves(task: str, rows: list[dict[str, Any]]) -> Iterator[ResponseCurve]:
    best = max(rows, key=lambda row: row["acc"])
    same = ("layer", "n_neurons")
    line = sorted(
        (row for row in rows if all(row[key] == best[key] for key in same)),
        key=lambda row: row["multiplier"],
    )
    for zone in ZONES:
        before = best[f"baseline_acc_zone{zone}"]
        if before is None:
            continue
        yield ResponseCurve(
            task, zone, best[f"n_zone{zone}"], best["direction"], best["oracle"],
            best["layer"], best["n_neurons"], before,
            tuple(row["multiplier"] for row in line),
            tuple((row[f"acc_zone{zone}"] - before) * 100 for row in line),
        )  # fmt: skip
