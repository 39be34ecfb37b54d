"""Correlations over tasks and the decomposition of ranks, against independent values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
from scipy.stats import pearsonr, rankdata, spearmanr

from sna_eval.study.summary import (
    TaskMeasurements,
    across_tasks,
    decompose_ranks,
    localization,
    paper_factors,
    shapley_shares,
    summarise_task,
    task_measurements,
    task_type,
)

Rows = Callable[..., pa.Table]
Changes = dict[tuple[int, int, float], float]

BASELINES = (0.01, 0.03, 0.02, 0.4, 0.2, 0.3)
CHANGES = (0.004, 0.002, 0.009, 0.006, 0.010, -0.001)


def _tasks(rows: Rows) -> list[TaskMeasurements]:
    """Six tasks with one configuration each."""
    return [
        replace(task_measurements("own", rows({(0, 3, 2.0): change}, baseline=base)), task=f"t{n}")
        for n, (base, change) in enumerate(zip(BASELINES, CHANGES, strict=True))
    ]


def test_both_correlations_are_scipys(rows: Rows) -> None:
    summaries = [summarise_task(task) for task in _tasks(rows)]
    found = {
        (across_task.outcome, across_task.kind): across_task.result
        for across_task in across_tasks(summaries, draws=500)
    }
    assert set(found) == {
        (outcome, kind) for outcome in ("best", "mean") for kind in ("spearman", "pearson")
    }
    percent = np.divide(CHANGES, BASELINES)
    for kind, test in (("spearman", spearmanr), ("pearson", pearsonr)):
        result = found["best", kind]  # type: ignore[index]
        assert result.improvement.coefficient == pytest.approx(test(BASELINES, percent).statistic)
        assert result.improvement.p == pytest.approx(test(BASELINES, percent).pvalue)
        assert result.absolute.coefficient == pytest.approx(test(BASELINES, CHANGES).statistic)
        assert result.null_mean < -0.2  # percentages fall with the baseline by themselves


def test_too_few_tasks_have_no_correlation(rows: Rows) -> None:
    summaries = [summarise_task(task) for task in _tasks(rows)]
    assert across_tasks(summaries[:2], draws=10) == ()
    assert across_tasks([summaries[0]] * 4, draws=10) == ()


def test_localization_by_hand(rows: Rows, changes: Changes) -> None:
    measured = task_measurements("own", rows(changes))
    # in percent: layer means 11.5 and 2.5 around 7; squares 4 * 2 * 4.5**2 of 2656 in all
    values = np.array([8, 12, 12, 14, 40, -10, -20, 0])
    total = ((values - 7) ** 2).sum()
    assert localization(measured) == pytest.approx(8 * 4.5**2 / total)
    only_layer = {key: float(key[0]) for key in changes}
    assert localization(task_measurements("own", rows(only_layer))) == pytest.approx(1)
    flat = dict.fromkeys(changes, 0.0)
    assert localization(task_measurements("own", rows(flat))) == 0


@pytest.mark.parametrize(
    ("task", "kind"),
    [("sna_math_easy", "sna_math"), ("sna_logic_hard", "sna_logic"), ("sna_sst2", "sna_sst2")],
)
def test_task_types(task: str, kind: str) -> None:
    assert task_type(task) == kind


def _random_factors(n_tasks: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    kinds = np.arange(n_tasks) % 3
    return {
        "a": rankdata(rng.normal(size=n_tasks))[:, None],
        "b": rankdata(rng.normal(size=n_tasks))[:, None],
        "c": np.stack([kinds == 1, kinds == 2], axis=1).astype(float),
    }


def test_shares_are_the_mean_over_orders_of_entry() -> None:
    """By statsmodels, going through all six orders one by one."""
    factors = _random_factors(12)
    outcome = rankdata(np.random.default_rng(4).normal(size=12))
    expected = dict.fromkeys(factors, 0.0)
    for order in permutations(factors):
        fit = 0.0
        for number in range(1, 4):
            columns = np.column_stack([factors[name] for name in order[:number]])
            wider = sm.OLS(outcome, sm.add_constant(columns)).fit().rsquared
            expected[order[number - 1]] += (wider - fit) / 6
            fit = wider
    found = shapley_shares(outcome[None], factors, np.arange(12)[None])
    np.testing.assert_allclose(found[0], list(expected.values()), atol=1e-10)


def test_one_factor_that_decides_all() -> None:
    factors = {"a": np.arange(8.0)[:, None]}
    found = decompose_ranks(list(-np.arange(8.0)), factors, draws=200)
    assert found is not None
    assert found.shares[0].share == pytest.approx(1)
    assert found.unexplained == pytest.approx(0, abs=1e-9)
    assert found.shares[0].interval.low == pytest.approx(1)


def test_chance_gives_a_parameter_its_part() -> None:
    """`p / (n - 1)` of a random ranking: the caveat that twelve tasks need."""
    factors = _random_factors(12)
    outcome = list(np.random.default_rng(5).normal(size=12))
    found = decompose_ranks(outcome, factors, draws=2_000)
    assert found is not None
    assert found.n_parameters == 4
    total = sum(share.by_chance for share in found.shares)
    assert total == pytest.approx(4 / 11, abs=0.02)
    assert sum(share.share for share in found.shares) + found.unexplained == pytest.approx(1)
    for share in found.shares:
        assert share.interval.low <= share.share <= share.interval.high


def test_too_few_tasks_are_not_decomposed(rows: Rows) -> None:
    tasks = _tasks(rows)
    means = [summarise_task(task).mean_improvement for task in tasks]
    assert decompose_ranks(means, paper_factors(tasks), draws=10) is None
