"""What is tried on a part of the items first, against full sweeps and hand-worked estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sna_eval.study.sweep import ScreenOptions, Sweep, SweepStore, run_sweep
from sna_eval.study.sweep.screening import heats, options
from sna_eval.study.sweep.screening.heats import Heats
from tests.study.sweep.test_screening import TASKS, WANTED, rows_of

MakeSweep = Callable[..., Sweep]
HEATED = ScreenOptions(
    verify=0.4, at_least=2, sample=0.1, sample_at_least=2, heat=0.3, finalists=0.5
)


@pytest.fixture(scope="module")
def heated(sweep_of: MakeSweep, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A screened store, and how many cells were tried: tasks of six items have heats of 2."""
    tried: dict[str, int] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "_SMALLEST_HEAT", 2)
        whole = Heats.race

        def race(self: Heats, *given: Any) -> None:
            whole(self, *given)
            tried[self._swept.items.items[0].task] = len(self.tried)

        patch.setattr(Heats, "race", race)
        folder = tmp_path_factory.mktemp("heated")
        store = run_sweep(sweep_of(*TASKS, screen=HEATED, **WANTED), folder, quiet=True)
    return store, tried


def test_what_is_measured_ran_on_all_items(store: SweepStore, heated: Any) -> None:
    """Some of it in two parts: the numbers are a full sweep's."""
    tried, full = rows_of(heated[0]), rows_of(store)
    for name in ("baseline_prob", "amplified_prob", "acc", "zone"):
        pd.testing.assert_series_equal(tried[name], full.loc[tried.index, name], rtol=1e-5)


def test_some_are_tried_and_left(heated: Any) -> None:
    store, tried = heated
    assert set(tried) == set(TASKS)
    measured = rows_of(store).groupby(level="task").size()
    drawn = rows_of(store).groupby(level="task")["drawn"].sum()
    for task, count in tried.items():
        assert 0 < measured[task] - drawn[task] < count


def test_the_better_half_runs_on_the_other_items_of_the_heat() -> None:
    """Eight cells of known gains: all on item 0, four on item 2, the best two on the rest.

    All do worse on item 2, and those that did not run on it are no finalists for that.
    """
    gains = np.array([[3.0, 8.0, 1.0, 6.0], [5.0, 2.0, 7.0, 4.0]])
    lost = np.array([0.0, 0.1, 20.0, 0.3])
    ran: list[tuple[set[float], tuple[int, ...]]] = []
    estimated_on: list[tuple[int, ...]] = []

    def run(cells: Any, items: Sequence[int]) -> Iterator[tuple[tuple[int, int], Any]]:
        ran.append((set(gains[cells]), tuple(items)))
        for place, number in zip(*np.nonzero(cells), strict=True):
            row = np.full(4, np.nan)
            row[list(items)] = gains[place, number] - lost[list(items)]
            yield (int(place), int(number)), row

    def estimate(row: Any, forecast: Any, on: Any) -> float:
        estimated_on.append(tuple(on))
        return float(row[on].mean())

    told: list[float] = []
    racing: Any = SimpleNamespace(
        _rounds=((0,), (2,)),
        _rest=[1, 3],
        _estimated=np.full(gains.shape, np.nan),
        _options=ScreenOptions(finalists=0.25),
        _swept=SimpleNamespace(items=SimpleNamespace(starts=range(5), items=range(4))),
        _run=run,
        _with=lambda *given: Heats._with(racing, *given),
        _estimate=estimate,
        _moved=told.append,
        _share=lambda items: Heats._share(racing, items),
        _tell_left_out=lambda *given: Heats._tell_left_out(racing, *given),
        gains=lambda: np.full(gains.shape, np.nan),
        tried={},
        measured={},
    )
    Heats.race(racing, np.ones(gains.shape, dtype=bool), gains)
    assert ran == [(set(range(1, 9)), (0,)), ({5, 6, 7, 8}, (2,)), ({7, 8}, (1, 3))]
    assert estimated_on == [(0,)] * 8 + [(0, 2)] * 4
    assert set(racing.measured) == {(0, 1), (1, 2)}
    for cell, row in racing.measured.items():
        np.testing.assert_allclose(row, gains[cell] - lost)
    assert len(racing.tried) == 8
    ran_themselves = 8 * 1 / 4 + 4 * 1 / 4 + 2 * 2 / 4
    assert sum(told) == pytest.approx(8 - ran_themselves)


def test_where_a_heat_would_be_half_of_the_items_there_is_none() -> None:
    opened = list(range(0, 50, 2))
    wide = ScreenOptions(heat=0.2)
    assert len(wide.heat_of(opened, 50)) == 10
    assert set(wide.heat_of(opened, 50)) <= set(opened)
    assert len(wide.heat_of(opened[:4], 50)) == 4, "no more than there are"
    assert wide.heat_of(range(16), 16) == ()
    assert len(wide.heat_of(range(17), 17)) == 8
    assert ScreenOptions(heat=1.0).heat_of(range(50), 50) == ()


def test_effort_by_hand() -> None:
    """Of 2,520 configurations 50 are drawn, 126 and at most 50 more tried on 5 of 50 items, half of
    them on 5 more, and a fifth, 35, goes on to the other 40."""
    screen = ScreenOptions(heat=0.2, finalists=0.2)
    assert screen.n_run(2520) == 226
    assert screen.effort(2520, 50) == pytest.approx(50 + 176 * 0.1 + 88 * 0.1 + 35 * 0.8)
    assert ScreenOptions(heat=1.0).effort(2520, 50) == 226
    assert (screen.n_second_round(7), screen.n_second_round(1)) == (4, 1)
    assert (screen.n_finalists(2), screen.n_finalists(0)) == (1, 0)


def test_estimates_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains 1 and 3 on the heat, predicted 0.5 and 1.5: twice as large, but a prediction is worth
    1 at most. Over all items 2 is predicted, over the heat 1: the mean gain 2 becomes 3."""
    foreseen = np.array([0.5, 1.5, 4.0])
    monkeypatch.setattr(heats, "item_gains", lambda items, baseline, row: row)
    monkeypatch.setattr(heats, "counted", lambda baseline: np.arange(3))
    tried: Any = SimpleNamespace(_swept=SimpleNamespace(items=None), baseline=None)
    ran = np.array([0, 1])
    assert Heats._estimate(tried, np.array([1.0, 3.0, 99.0]), foreseen, ran) == pytest.approx(3.0)
    misled = Heats._estimate(tried, np.array([3.0, 1.0, 99.0]), foreseen, ran)
    assert misled == pytest.approx(2.0), "a prediction that misleads counts nothing"


def test_a_grid_too_large_to_keep_gives_the_same(
    heated: Any, sweep_of: MakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What configurations start from is computed anew, layer by layer."""
    monkeypatch.setattr(options, "_SMALLEST_HEAT", 2)
    monkeypatch.setattr("sna_eval.measuring.task_grid.CAPTURED_BYTES", 1)
    sweep = sweep_of("own_open", screen=HEATED, **WANTED)
    store = run_sweep(sweep, tmp_path / "store", quiet=True)
    swept, kept = rows_of(store), rows_of(heated[0]).loc[["own_open"]]
    assert list(swept.index) == list(kept.index)
    np.testing.assert_allclose(swept["amplified_prob"], kept["amplified_prob"], rtol=1e-6)
