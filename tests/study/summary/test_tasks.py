"""One task's figures, against values worked by hand, and against pandas on a real store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sna_eval.errors import InputError
from sna_eval.measuring.grid import Configuration
from sna_eval.study.summary import (
    layer_map,
    read_measurements,
    summarise,
    summarise_task,
    task_measurements,
    zone_means,
)
from sna_eval.study.sweep import SweepStore, run_sweep

Rows = Callable[..., pa.Table]
Changes = dict[tuple[int, int, float], float]


def test_a_task_worked_by_hand(rows: Rows, changes: Changes) -> None:
    summed = summarise_task(task_measurements("own", rows(changes)))
    assert summed.configurations == 8
    assert summed.best == Configuration(3, 3, 1.5)
    assert summed.best_improvement == pytest.approx(40)
    assert summed.best_change == pytest.approx(0.020)
    assert summed.mean_improvement == pytest.approx((8 + 12 + 12 + 14 + 40 - 10 - 20 + 0) / 8)
    assert summed.success_rate == 5 / 8  # no change is no success
    assert summed.golden_zone == 4
    assert (summed.best_layer, summed.best_single_layer) == (0, 3)
    assert summed.best_layer_improvement == pytest.approx(11.5)


def test_the_order_of_rows_does_not_matter(rows: Rows, changes: Changes) -> None:
    turned = dict(reversed(changes.items()))
    straight, other = (task_measurements("own", rows(one)) for one in (changes, turned))
    np.testing.assert_array_equal(straight.change, other.change)
    assert straight.layers == other.layers == (0, 3)


def test_a_baseline_of_zero_has_no_percentages(rows: Rows, changes: Changes) -> None:
    summed = summarise_task(task_measurements("own", rows(changes, baseline=0.0)))
    assert np.isnan(summed.best_improvement)
    assert np.isnan(summed.mean_improvement)
    assert summed.golden_zone == 0
    assert (summed.best.layer, summed.success_rate) == (3, 5 / 8)


def test_oracle_rows_are_left_out_unless_asked_for(rows: Rows, changes: Changes) -> None:
    gold = dict.fromkeys(changes, 1.0)
    table = pa.concat_tables([rows(changes), rows(gold, direction="gold")])
    assert task_measurements("own", table).directions == ("both",)
    assert task_measurements("own", table, allow_oracle=True).directions == ("both", "gold")
    with pytest.raises(InputError, match=r"tasks\.own: expected a configuration that does not"):
        task_measurements("own", rows(gold, direction="gold"))


def test_layer_map_and_zones_by_hand(rows: Rows, changes: Changes) -> None:
    first = task_measurements("own", rows(changes))
    twice = {(layer + 1, n, m): 2 * change for (layer, n, m), change in changes.items()}
    second = replace(task_measurements("own", rows(twice, zone=3)), task="other")
    found = layer_map([first, second])
    assert (found.tasks, found.layers) == (("own", "other"), (0, 1, 3, 4))
    nan = np.nan
    np.testing.assert_allclose(
        found.improvement, [[11.5, nan, 2.5, nan], [nan, 23.0, nan, 5.0]], atol=1e-9
    )
    zones = zone_means([summarise_task(one) for one in (first, first, second)])
    assert [len(zone.tasks) for zone in zones] == [2, 0, 1]
    assert zones[0].mean_improvement == pytest.approx(7)
    assert zones[2].mean_improvement == pytest.approx(14)
    assert zones[2].largest_improvement == pytest.approx(80)
    assert np.isnan(zones[1].best_improvement)


def test_a_real_store_against_pandas(store: SweepStore) -> None:
    frame = store.configurations().to_pandas()
    summary = summarise(store, draws=200)
    by_task = frame.groupby("task")["improvement_pct"]
    for task in summary.tasks:
        assert task.best_improvement == pytest.approx(by_task.max()[task.task])
        assert task.mean_improvement == pytest.approx(by_task.mean()[task.task])
        assert task.golden_zone == (by_task.get_group(task.task) > 10).sum()
        assert task.success_rate == pytest.approx((by_task.get_group(task.task) > 0).mean())
    pivot = frame.pivot_table(index="task", columns="layer", values="improvement_pct")
    np.testing.assert_allclose(
        summary.layers.improvement, pivot.loc[list(summary.layers.tasks)].to_numpy()
    )
    curve = next(curve for curve in summary.curves if curve.task == "own_labels")
    same = frame[
        (frame["task"] == "own_labels")
        & (frame["layer"] == curve.layer)
        & (frame["n_neurons"] == curve.n_neurons)
    ].sort_values("multiplier")
    before, after = (same[f"{name}_zone{curve.zone}"] for name in ("baseline_acc", "acc"))
    np.testing.assert_allclose(curve.points, (after - before) * 100)
    assert curve.multipliers == tuple(same["multiplier"])


def test_an_unfinished_sweep_is_refused(sweep_of: Callable[..., Any], tmp_path: Any) -> None:
    store = run_sweep(sweep_of("own_open", layers=(0, 1)), tmp_path, quiet=True)
    (tmp_path / "configurations" / "own_open" / "layer-001.parquet").unlink()
    with pytest.raises(InputError, match="store: expected a complete sweep, got '1 of 2 units"):
        read_measurements(store)
