"""Screened sweeps against full ones, and what is measured against hand-worked grids."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from sna_eval.errors import InputError
from sna_eval.measuring.grid import Grid
from sna_eval.reporting.report import write_report
from sna_eval.study.choosing import SelectOptions, select
from sna_eval.study.summary import summarise
from sna_eval.study.sweep import (
    ScreenOptions,
    Sweep,
    SweepStore,
    run_sweep,
    screen_text,
    store_agreements,
)
from sna_eval.study.sweep.screening.agreement import (
    Agreement,
    _interval,
    agreements,
    held_text,
    not_held,
)
from sna_eval.study.sweep.screening.heats import Heats
from sna_eval.study.sweep.screening.shortlist import around, denser, drawn, promising
from tests.study.sweep.processes import content

TASKS = ("own_open", "own_labels", "own_choices")
KEY = ["task", "layer", "n_neurons", "multiplier", "direction"]
SCREEN = ScreenOptions(verify=0.1, at_least=2, sample=0.1, sample_at_least=2)
WANTED: dict[str, Any] = {"layers": (0, 1, 2), "multipliers": (1.5, 3.0)}
"""As the fixture `store` has it."""
MakeSweep = Callable[..., Sweep]


@pytest.fixture(scope="module")
def screened(sweep_of: MakeSweep, tmp_path_factory: pytest.TempPathFactory) -> SweepStore:
    """The grid of the fixture `store`, screened."""
    folder = tmp_path_factory.mktemp("screened")
    return run_sweep(sweep_of(*TASKS, screen=SCREEN, **WANTED), folder, quiet=True)


def rows_of(store: SweepStore, *, predicted: bool = False) -> pd.DataFrame:
    table = store.configurations(predicted=predicted).to_pandas()
    return table.set_index(KEY).sort_index()


def test_what_is_measured_is_what_a_full_sweep_measures(
    store: SweepStore, screened: SweepStore
) -> None:
    screened_rows, full = rows_of(screened), rows_of(store)
    assert 0 < len(screened_rows) < len(full)
    for name in ("baseline_prob", "amplified_prob", "acc", "plan_fingerprint", "found", "zone"):
        pd.testing.assert_series_equal(
            screened_rows[name], full.loc[screened_rows.index, name], rtol=1e-5
        )


def test_a_screen_tells_of_every_configuration_once(sweep_of: MakeSweep) -> None:
    """Of those that do not come through a heat as well."""
    grid = sweep_of("own_choices", **WANTED).task_grid("own_choices")
    told: list[float] = []
    heats = Heats(grid, SCREEN, moved=told.append)
    assert sum(told) == pytest.approx(1)
    heats._rounds, heats._rest = ((0,), (2,)), [1, *range(3, len(grid.items.items))]
    forecast = [
        np.tile(heats.baseline.log_likelihoods, (grid.grid.per_layer, 1)) for _ in grid.grid.layers
    ]
    first, second = np.zeros((2, *heats.taken.shape), dtype=bool)
    first[0, :3], second[1:, 2:] = True, True
    heats.measure(first)
    assert sum(told) == pytest.approx(1 + 3)
    before = len(told)
    heats.race(second, forecast)
    assert sum(told) == pytest.approx(1 + 3 + second.sum())
    assert 0 < len(heats.measured) - 3 < second.sum()
    assert len(told) - before > 3


@pytest.mark.parametrize("method", ["random", "attribution"])
def test_other_rankings_are_screened_alike(
    sweep_of: MakeSweep, tmp_path: Path, method: str
) -> None:
    """Placebos too: neurons, predictions and what is measured of them are a full sweep's."""
    screened = run_sweep(
        sweep_of("own_choices", select=method, screen=SCREEN, **WANTED), tmp_path / "a", quiet=True
    )
    full = run_sweep(sweep_of("own_choices", select=method, **WANTED), tmp_path / "b", quiet=True)
    assert screened.neurons() == full.neurons()
    measured, exact = rows_of(screened), rows_of(full)
    assert 0 < len(measured) < len(exact) == len(rows_of(screened, predicted=True))
    for name in ("amplified_prob", "acc", "plan_fingerprint", "found"):
        pd.testing.assert_series_equal(measured[name], exact.loc[measured.index, name], rtol=1e-5)
    assert store_agreements(screened)["own_choices"]


def test_the_model_is_left_as_it_was(sweep_of: MakeSweep, lm: Any, tmp_path: Path) -> None:
    """No gradients, no hooks, no forward in a module's place, and the same logits to the bit."""
    tokens = torch.arange(12).view(2, 6)
    before = lm.model(tokens).logits
    run_sweep(sweep_of("own_choices", screen=SCREEN, **WANTED), tmp_path / "store", quiet=True)
    assert all(parameter.grad is None for parameter in lm.model.parameters())
    for module in lm.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert torch.equal(lm.model(tokens).logits, before)


def test_every_configuration_stands_in_the_files_once(
    store: SweepStore, screened: SweepStore
) -> None:
    on_disk = pd.read_parquet(screened.path / "configurations")
    assert sorted(map(tuple, on_disk[KEY].to_numpy())) == sorted(rows_of(store).index)
    assert set(on_disk["source"]) == {"measured", "predicted"}
    assert on_disk["predicted_prob"].notna().all()
    foreseen = on_disk[on_disk["source"] == "predicted"]
    assert (foreseen["amplified_prob"] == foreseen["predicted_prob"]).all()
    assert not foreseen["drawn"].any()


def test_items_are_those_of_measured_configurations(screened: SweepStore) -> None:
    items = screened.items().to_pandas()
    assert set(map(tuple, items[KEY].to_numpy())) == set(rows_of(screened).index)
    means = items.groupby(KEY)["amplified_prob"].mean()
    expected = rows_of(screened)["amplified_prob"]
    np.testing.assert_allclose(means.reindex(expected.index), expected, rtol=1e-12)


def test_choices_are_made_among_measured_configurations(screened: SweepStore) -> None:
    """Though a predicted one may promise more; for luck the whole grid counts."""
    for choice in select(screened, SelectOptions(gate="always")).choices:
        row = choice.row
        assert tuple(row[name] for name in KEY) in set(rows_of(screened).index)
        grid = pd.read_parquet(screened.path / "configurations")
        assert choice.among == (grid["task"] == choice.task).sum()


@pytest.mark.parametrize(
    "method", ["differential", "contrastive", "random", "attribution", "gradient"]
)
def test_small_steps_are_predicted_exactly(
    sweep_of: MakeSweep, tmp_path: Path, method: str
) -> None:
    """What is left of a step of 2 % is of second order, whatever ranked the neurons."""
    task = "own_labels" if method == "contrastive" else "own_choices"
    everything = ScreenOptions(verify=1.0, sample=1.0)
    directions = ("both", "bright", "predicted") if method == "contrastive" else ("both",)
    sweep = sweep_of(
        task, select=method, multipliers=(1.02, 0.98), screen=everything, directions=directions
    )
    rows = rows_of(run_sweep(sweep, tmp_path / "store", quiet=True))
    assert set(rows["source"]) == {"measured"}
    effect = rows["amplified_prob"] / rows["baseline_prob"] - 1
    predicted = rows["predicted_prob"] / rows["baseline_prob"] - 1
    assert effect.abs().max() > 1e-4, "far above float32's rounding"
    np.testing.assert_allclose(predicted, effect, atol=0.05 * effect.abs().max())


def test_resumed_it_ends_with_the_same_bytes(
    screened: SweepStore, sweep_of: MakeSweep, tmp_path: Path
) -> None:
    for name, data in content(screened.path).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for unit in ("own_open/layer-001", "own_choices/layer-000", "own_choices/layer-002"):
        (tmp_path / "configurations" / f"{unit}.parquet").unlink()
    run_sweep(sweep_of(*TASKS, screen=SCREEN, **WANTED), tmp_path, quiet=True)
    assert content(tmp_path) == content(screened.path)


def test_another_screen_is_another_sweep(screened: SweepStore, sweep_of: MakeSweep) -> None:
    other = ScreenOptions(verify=0.2, at_least=2, sample=0.1, sample_at_least=2)
    for screen in (None, other):
        with pytest.raises(InputError, match=r"output\.screen"):
            run_sweep(sweep_of(*TASKS, screen=screen, **WANTED), screened.path, quiet=True)


def test_stores_of_before_hold_what_was_measured(store: SweepStore, tmp_path: Path) -> None:
    for name, data in content(store.path).items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    for file in (tmp_path / "configurations").rglob("*.parquet"):
        table = pq.read_table(file).drop_columns(["source", "predicted_prob", "drawn"])
        pq.write_table(table, file, write_page_checksum=True)
    rows = SweepStore.load(tmp_path).configurations()
    assert rows.num_rows == store.configurations().num_rows
    assert set(rows.column("source").to_pylist()) == {"measured"}


def test_the_text_says_what_held(screened: SweepStore) -> None:
    text = screen_text(screened)
    n, size = len(rows_of(screened)), len(rows_of(screened, predicted=True))
    assert f"measured {n} of {size}; the rest is predicted" in text
    assert all(f"\n{task}: predictions " in text for task in TASKS)
    for found in store_agreements(screened).values():
        assert len({one.n for one in found}) == 1, "equally many of every multiplier"


def test_means_rest_on_what_chance_chose(screened: SweepStore) -> None:
    summary = summarise(screened, draws=50)
    rows = screened.configurations().to_pandas()
    for task in summary.tasks:
        mine = rows[rows["task"] == task.task]
        sample = mine[mine["drawn"]]
        assert (task.configurations, task.counted) == (len(mine), len(sample))
        assert task.mean_change == pytest.approx(sample["delta_prob"].mean())
        assert task.best_change == pytest.approx(mine["delta_prob"].max())
        assert task.success_rate == pytest.approx((sample["delta_prob"] > 0).mean())
    assert summary.factors is None
    by_layer = rows[rows["drawn"] & (rows["task"] == "own_open")].groupby("layer")
    expected = by_layer["improvement_pct"].mean().reindex(summary.layers.layers)
    np.testing.assert_allclose(summary.layers.improvement[0], expected)


def test_the_report_says_where_predictions_hold(screened: SweepStore, tmp_path: Path) -> None:
    text = unescape(write_report(screened, tmp_path / "page.html", draws=50).page.read_text())
    assert "Predicted and measured" in text
    assert "--screen gradient --verify 0.1" in text
    found = store_agreements(screened)["own_open"]
    assert all(f"<td>x{one.multiplier:g}</td>" in text for one in found)


def test_a_full_sweep_has_no_such_section(store: SweepStore, tmp_path: Path) -> None:
    page = write_report(store, tmp_path / "page.html", draws=50).page.read_text()
    assert "Predicted and measured" not in page


# Which cells are measured

GRID = Grid(layers=(0, 1, 2), n_neurons=(5, 10), multipliers=(1.5, 2.0))
"""Three layers of four configurations: 5 x1.5, 5 x2, 10 x1.5, 10 x2."""
PROMISE = np.array([[1.0, 9.0, 2.0, 8.0], [0.5, 7.0, 3.0, 6.0], [0.1, 0.2, 0.3, 0.4]])


def cells(*places: tuple[int, int]) -> Any:
    found = np.zeros((3, 4), dtype=bool)
    for place in places:
        found[place] = True
    return found


def test_the_sample_is_spread_over_multipliers() -> None:
    sample = drawn(GRID, 4, task="a", seed=0)
    assert sample[:, [0, 2]].sum() == sample[:, [1, 3]].sum() == 2
    assert (sample == drawn(GRID, 4, task="a", seed=0)).all()
    others = [drawn(GRID, 4, task=task, seed=seed) for task, seed in (("b", 0), ("a", 1), ("a", 2))]
    assert any((sample != other).any() for other in others)
    assert drawn(GRID, 12, task="a", seed=0).all()
    uneven = drawn(GRID, 3, task="a", seed=0)
    assert (uneven[:, [0, 2]].sum(), uneven[:, [1, 3]].sum()) == (2, 1)
    assert drawn(GRID, 1, task="a", seed=0).sum() == 1


def test_the_promising_come_from_every_layer_and_multiplier() -> None:
    """Of six, one a layer and the best three of the rest; of eight, also one a multiplier."""
    six = promising(GRID, PROMISE, 6, taken=cells((0, 1)))
    assert (six == cells((0, 3), (1, 1), (2, 3), (1, 3), (1, 2), (0, 2))).all()
    eight = promising(GRID, PROMISE, 8, taken=cells((0, 1)))
    assert (eight == (six | cells((0, 0), (1, 0)))).all()
    harmful = np.array([*PROMISE[:2], [-0.1, -5.0, -0.2, -6.0]])
    six = promising(GRID, harmful, 6, taken=cells((0, 1)))
    assert six[2].tolist() == [False, True, False, False], "the strongest step, though it may harm"
    weak = np.where(np.arange(4) % 2 == 0, PROMISE - 10, PROMISE)
    eight = promising(GRID, weak, 8, taken=cells((0, 1)))
    assert eight[:, [0, 2]].sum() >= 1, "x1.5 is predicted to do harm, and one of it is tried"


def test_denser_stays_at_its_multipliers() -> None:
    chosen = denser(GRID, PROMISE, (1.5,), 2, taken=cells((1, 2)))
    assert (chosen == cells((0, 2), (0, 0))).all()
    assert (denser(GRID, PROMISE, (1.5, 2.0), 1, taken=cells()) == cells((0, 1))).all()
    assert not denser(GRID, PROMISE, (), 2, taken=cells()).any()


def test_around_takes_neighbours_of_the_best_measured() -> None:
    measured = np.full((3, 4), np.nan)
    measured[1, 3], measured[0, 0] = 5.0, 1.0
    chosen = around(GRID, measured, 9, best=1, taken=cells((1, 3), (0, 0)))
    assert (chosen == cells((1, 2), (1, 1), (2, 3), (0, 3))).all()
    assert around(GRID, measured, 2, best=1, taken=cells((1, 3))).sum() == 2


def test_neighbours_keep_their_direction() -> None:
    grid = Grid(layers=(0,), n_neurons=(5,), multipliers=(1.5, 2.0), directions=("both", "gold"))
    measured = np.array([[np.nan, 1.0, np.nan, np.nan]])
    taken = np.array([[False, True, False, False]])
    chosen = around(grid, measured, 9, best=1, taken=taken)
    assert chosen.tolist() == [[True, False, False, False]]


def test_agreement_by_hand() -> None:
    """Per step 1, 2, 3, -1 against 2, 1, 3, -2 at x2, and 10, 20, 30 against 0.5, 1.5, 2.5 at x1.5:
    ranks 2 3 4 1 5 6 7 and 5 3 7 1 2 4 6, so 1 - 6 * 32 / (7 * 48)."""
    multipliers = np.array([2.0] * 4 + [1.5] * 3)
    measured = np.array([1.0, 2.0, 3.0, -1.0, 5.0, 10.0, 15.0])
    predicted = np.array([2.0, 1.0, 3.0, -2.0, 0.25, 0.75, 1.25])
    small, large = agreements(multipliers, measured, predicted)
    assert (small.multiplier, small.n, small.same_sign) == (1.5, 3, 1.0)
    assert (large.multiplier, large.n, large.same_sign) == (2.0, 4, 1.0)
    assert (small.pooled, large.pooled) == (7, 7), "each borrows the other's"
    assert small.rank_correlation == pytest.approx(3 / 7)
    assert large.rank_correlation == pytest.approx(3 / 7)
    (few,) = agreements(np.array([3.0, 3.0]), np.array([1.0, 2.0]), np.array([1.0, -2.0]))
    assert (few.rank_correlation, few.interval, few.held) == (None, None, None)
    assert few.same_sign == 0.5
    assert not_held([few]) == ()


def test_neighbours_are_borrowed_until_there_are_enough() -> None:
    """Of twelve multipliers with four each, four go together; none at 1, with no step."""
    multipliers = np.repeat(np.linspace(1.0, 2.1, 12), 4)
    effects = np.random.default_rng(0).normal(size=48)
    found = agreements(multipliers, effects, effects)
    assert [one.pooled for one in found] == [0] + [16] * 11
    assert found[0].held is None
    assert all(one.held for one in found[1:])


def test_interval_by_hand() -> None:
    """Bonett and Wright: r = 0.6 of n = 16 has the error sqrt(1.18 / 13) = 0.3013 on Fisher's
    scale, where it is 0.6931; 1.6449 of these either way are 0.1976 and 1.1887."""
    low, high = _interval(0.6, 16)
    assert (low, high) == (pytest.approx(0.1951, abs=1e-4), pytest.approx(0.8302, abs=1e-4))
    assert Agreement(2.0, 4, 1.0, 16, 0.6, (low, high)).held is None
    assert Agreement(2.0, 4, 1.0, 50, 0.6, _interval(0.6, 50)).held is False
    assert Agreement(2.0, 4, 1.0, 16, 1.0, _interval(1.0, 16)).held is True
    assert not_held([Agreement(2.0, 4, 1.0, 50, 0.6, _interval(0.6, 50))]) == (2.0,)


def test_how_often_it_errs_and_how_often_it_finds_out() -> None:
    """Sixteen configurations of normal effects: true rank correlations of 0.8 and of 0.3."""
    generator = np.random.default_rng(0)

    def failed(rank_correlation: float, draws: int = 400) -> float:
        r = 2 * np.sin(np.pi * rank_correlation / 6)  # of normals, by their Spearman's
        told = 0
        for _ in range(draws):
            measured, noise = generator.normal(size=(2, 16))
            predicted = r * measured + np.sqrt(1 - r**2) * noise
            told += agreements(np.full(16, 2.0), measured, predicted)[0].held is False
        return told / draws

    assert failed(0.8) < 0.08
    assert failed(0.3) > 0.75


def test_what_is_said_of_each_multiplier() -> None:
    held, failed = (
        Agreement(1.1, 4, 1.0, 16, 1.0, (0.9, 1.0)),
        Agreement(2.0, 4, 0.5, 16, 0.1, (-0.3, 0.5)),
    )
    unknown = Agreement(1.5, 1, 1.0, 3, None, None)
    assert held_text([held, held]) == "hold"
    assert held_text([held, unknown, failed]) == (
        "do not hold at x2 (rank correlation 0.10, -0.30 to 0.50); "
        "may or may not hold at x1.5 (3 measured); hold at x1.1"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"verify": -0.1}, "verify: expected a share from 0 to 1"),
        ({"sample": 1.5}, "sample: expected a share from 0 to 1"),
        ({"at_least": 0}, "at_least: expected 1 or more"),
        ({"sample_at_least": 0}, "sample_at_least: expected 1 or more"),
        ({"heat": 1.2}, "heat: expected a share from 0 to 1"),
        ({"finalists": -1.0}, "finalists: expected a share from 0 to 1"),
    ],
)
def test_refuses_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ScreenOptions(**settings)


def test_sizes() -> None:
    options = ScreenOptions()
    assert (options.n_best(2520), options.n_sample(2520)) == (126, 50)
    assert (options.n_best(100), options.n_sample(100)) == (40, 40)
    assert (options.n_best(30), options.n_sample(30)) == (30, 30)


@pytest.mark.parametrize("count", [1, 2, 8, 200])
def test_within_a_number(count: int) -> None:
    options = ScreenOptions.within(count)
    most = options.n_best(2520) + 2 * options.n_sample(2520)
    assert most == max(3, count)
