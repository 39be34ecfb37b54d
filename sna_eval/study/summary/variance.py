"""What share of the ranking of tasks goes with the baseline, with localization, with task type.

Akhtar (2026), section 4.5, gives 58 %, 28 % and 14 %: the first is a squared rank correlation, the
others are called estimates and have no formula. Here all three come from one: regress the ranks
of the tasks' improvements on the three factors, and give each factor the mean, over all orders in
which the factors may enter, of what it adds to `R^2`. (Lindeman, Merenda and Gold 1980,
Introduction to bivariate and multivariate analysis; the Shapley value of `R^2`: Groemping 2007, The
American Statistician 61, 139-147.) The shares add up to `R^2`; the rest is unexplained.

- baseline: its rank.
- localization: the rank of the share of a task's variance that lies between layers, over the
  configurations of its grid (eta squared). 1: only the layer matters; 0: any layer will do.
- task type: the task's name without its level, such as `sna_math`; one indicator a type.

**What twelve tasks bear:** five parameters on twelve points fit noise well. A factor with `p`
parameters explains `p / (n - 1)` of a random ranking on average, 27 % for four types among twelve
tasks. Each share comes with that figure, and with a bootstrap interval over tasks, which is wide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from sna_eval.study.statistics import Interval
from sna_eval.study.summary.measurements import Floats, TaskMeasurements

Places = NDArray[np.int64]
Drawn = TypeVar("Drawn", np.float64, np.int64)

_LEVEL = re.compile(r"[_-](easy|medium|hard)$")
_CHUNK = 500  # draws at once


@dataclass(frozen=True)
class Share:
    """One factor's share of the variance of ranks."""

    factor: str
    share: float
    interval: Interval
    """Percentile bootstrap over tasks."""
    by_chance: float
    """Its mean share in rankings dealt out at random."""


@dataclass(frozen=True)
class Decomposition:
    """Shares of all factors."""

    shares: tuple[Share, ...]
    unexplained: float
    n_tasks: int
    n_parameters: int
    """Of the regression, beside its intercept."""


def decompose_ranks(
    improvement: Sequence[float],
    factors: Mapping[str, Floats],
    *,
    confidence: float = 0.95,
    draws: int = 2_000,
    seed: int = 0,
) -> Decomposition | None:
    """Splits `R^2` of the ranks of `improvement`; `None` where tasks are too few to fit.

    **Arguments:**

    - `improvement`: `[task]`.
    - `factors`: each factor's columns, `[task, column]`; see `paper_factors`.
    - `draws`: bootstrap samples, and random rankings for what chance gives.
    """
    n_tasks = len(improvement)
    n_parameters = sum(columns.shape[1] for columns in factors.values())
    if n_tasks < n_parameters + 3 or len(set(improvement)) < 2:
        return None
    ranks = rankdata(improvement)
    everyone = np.arange(n_tasks)[None]
    observed = shapley_shares(ranks[everyone], factors, everyone)[0]
    rng = np.random.default_rng(seed)
    drawn = _many(ranks, factors, rng.integers(n_tasks, size=(draws, n_tasks)))
    dealt = rng.permuted(np.tile(ranks, (draws, 1)), axis=1)
    chance = np.concatenate([_all_tasks(block, factors) for block in _blocks(dealt)])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    shares = tuple(
        Share(
            name,
            float(observed[number]),
            Interval(float(low[number]), float(high[number])),
            float(chance[:, number].mean()),
        )
        for number, name in enumerate(factors)
    )
    return Decomposition(shares, float(1 - observed.sum()), n_tasks, n_parameters)


def shapley_shares(outcome: Floats, factors: Mapping[str, Floats], tasks: Places) -> Floats:
    """Each factor's share of `R^2`, for many samples of tasks at once.

    **Arguments:**

    - `outcome`: `[draw, task]`.
    - `factors`: `{name: [task, column]}`.
    - `tasks`: which tasks a draw holds, whole numbers, `[draw, task]`.

    **Returns:** `[draw, factor]`; NaN for a draw whose outcome does not vary.
    """
    count = len(factors)
    columns = [values[tasks] for values in factors.values()]
    fits = {
        subset: _r_squared(outcome, [columns[number] for number in subset])
        for size in range(count + 1)
        for subset in combinations(range(count), size)
    }
    shares = np.zeros((len(outcome), count))
    for subset, fit in fits.items():
        for factor in set(range(count)) - set(subset):
            orders = factorial(len(subset)) * factorial(count - len(subset) - 1) / factorial(count)
            shares[:, factor] += orders * (fits[tuple(sorted((*subset, factor)))] - fit)
    return shares


def localization(measured: TaskMeasurements) -> float:
    """Share of the variance of changes that lies between layers, in [0, 1]; 0 without any."""
    total = measured.change.var()
    between = measured.change.mean(axis=(0, 2, 3)).var()
    return float(between / total) if total > 0 else 0.0


def task_type(task: str) -> str:
    """A task's name without its level."""
    return _LEVEL.sub("", task)


def paper_factors(measurements: Sequence[TaskMeasurements]) -> dict[str, Floats]:
    """The three factors of the paper, `{name: [task, column]}`."""
    types = [task_type(measurement.task) for measurement in measurements]
    names = sorted(set(types))[1:]
    return {
        "baseline": rankdata([measurement.baseline for measurement in measurements])[:, None],
        "localization": rankdata([localization(measurement) for measurement in measurements])[
            :, None
        ],
        "task type": np.array([[float(kind == name) for name in names] for kind in types]),
    }


def _r_squared(outcome: Floats, columns: Sequence[Floats]) -> Floats:
    """`R^2` of least squares with an intercept: `[draw]`, from columns `[draw, task, column]`."""
    centred = outcome - outcome.mean(axis=1, keepdims=True)
    total = (centred**2).sum(axis=1)
    if not columns:
        return np.where(total > 0, 0.0, np.nan)
    design = np.concatenate(columns, axis=2)
    design = design - design.mean(axis=1, keepdims=True)
    fitted = design @ (np.linalg.pinv(design, rcond=1e-10) @ centred[..., None])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (fitted[..., 0] ** 2).sum(axis=1) / total, np.nan)


def _many(ranks: Floats, factors: Mapping[str, Floats], tasks: Places) -> Floats:
    return np.concatenate(
        [shapley_shares(ranks[block], factors, block) for block in _blocks(tasks)]
    )


def _all_tasks(outcome: Floats, factors: Mapping[str, Floats]) -> Floats:
    tasks = np.broadcast_to(np.arange(outcome.shape[1]), outcome.shape)
    return shapley_shares(outcome, factors, tasks)


def _blocks(draws: NDArray[Drawn]) -> Iterator[NDArray[Drawn]]:
    for start in range(0, len(draws), _CHUNK):
        yield draws[start : start + _CHUNK]
