"""Random rankings as the null of each task's own intervention: searched as it was, pushing as far.

Each draw ranks the neurons of every layer at random, searches the whole grid on the task's
development items, is scaled until it moves the next token as far as the plan does, and takes its
gain on the same items (`sna_eval.study.nulls`). A draw that borrowed the plan's layer, count and
multiplier would be no null: these were searched, and random neurons at one strength push less.

What is compared is the specific gain in log-odds. With `n` draws
`p = (1 + #{random gain >= own gain}) / (1 + n)`, one-sided, never 0 (Phipson and Smyth 2010): 99
draws cannot give less than 0.01, and to survive Holm's correction over 12 tasks at 5 % a task needs
at least 239.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sna_eval.errors import InputError
from sna_eval.intervention import Intervention
from sna_eval.measuring.items import Split
from sna_eval.measuring.subjects import Together
from sna_eval.plan import TaskPlan
from sna_eval.study.nulls import NullOptions, SearchedNull, plan_null
from sna_eval.study.nulls.plan_search import across_layers, ranking_of, unit_of
from sna_eval.study.statistics import benjamini_hochberg, holm

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class TaskNull:
    """What random rankings did to one task."""

    random_changes: tuple[float, ...]
    """Change of mean P(target) by each."""
    gain: float
    """Mean specific gain in log-odds, by the plan's neurons."""
    random_gains: tuple[float, ...]
    """By each random ranking."""
    out_of_reach: int
    """Random rankings that no multiplier makes push as far as the plan."""


@dataclass(frozen=True)
class RandomNull:
    """A task's own intervention among random ones like it."""

    task: str
    change: float
    """Of mean P(target), by the plan's neurons."""
    random_changes: tuple[float, ...]
    """By each draw of random neurons."""
    p: float
    """Of `gain` among `random_gains`; of `change` where draws were not searched."""
    p_holm: float
    """Corrected over tasks, after Holm."""
    p_bh: float
    """Corrected over tasks, after Benjamini and Hochberg."""
    gain: float | None = None
    """Specific gain in log-odds, by the plan's neurons."""
    random_gains: tuple[float, ...] = ()
    """By each draw."""
    out_of_reach: int = 0
    """Draws that could not be made to push as far as the plan."""
    searched: bool = False
    """Whether each draw was searched; before, draws borrowed the plan's layer, count and
    multiplier."""

    @property
    def random_mean(self) -> float:
        """Mean change of mean P(target) by the draws."""
        return float(np.mean(self.random_changes))


def task_null(
    lm: SNALM,
    name: str,
    task: Any,
    plan: TaskPlan,
    together: Together,
    *,
    draws: int,
    seed: int,
    split: Split,
    limit: int | None,
    output: Path | None = None,
    quiet: bool = True,
) -> TaskNull:
    """Searches random rankings beside a task's own interventions, ungated.

    **Arguments:**

    - `output`: folder that finished draws are kept in.

    **Raises:** `InputError` where an intervention is not one on chosen neurons.
    """
    if not all(isinstance(one, Intervention) for one in together):
        raise InputError(
            "random_draws", expected="0 for a method that chooses no neurons", got=draws
        )
    options = NullOptions(
        select=ranking_of(plan),
        unit=unit_of(plan),
        draws=draws,
        seed=seed,
        split=split,
        limit=limit,
        spread=False,
    )
    found = plan_null(
        lm, name, task, together, options, across=across_layers(plan), output=output, quiet=quiet
    )
    return TaskNull(
        random_changes=prob_changes(found),
        gain=found.claim.gain,
        random_gains=tuple(null.gain for null in found.nulls),
        out_of_reach=found.out_of_reach,
    )


def prob_changes(found: SearchedNull) -> tuple[float, ...]:
    """Change of mean P(target), gate held open, by each random ranking."""
    before = found.items.baseline.prob.mean()
    return tuple(float(null.after.prob.mean() - before) for null in found.nulls)


def random_null(found: Sequence[tuple[str, float, Sequence[float]]]) -> tuple[RandomNull, ...]:
    """The null of every task by changes of mean P(target), corrected over tasks.

    **Arguments:**

    - `found`: each task with its own change and the random ones.
    """
    p_values = [_p(change, randoms) for _, change, randoms in found]
    return tuple(
        RandomNull(task, change, tuple(randoms), *ps)
        for (task, change, randoms), ps in zip(found, _corrected(p_values), strict=True)
    )


def searched_nulls(found: Sequence[tuple[str, float, TaskNull]]) -> tuple[RandomNull, ...]:
    """The null of every task by specific gains, corrected over tasks.

    **Arguments:**

    - `found`: each task with its own change of mean P(target), and its null.
    """
    p_values = [_p(null.gain, null.random_gains) for _, _, null in found]
    return tuple(
        RandomNull(
            task, change, null.random_changes, *ps, null.gain, null.random_gains,
            null.out_of_reach, searched=True,
        )
        for (task, change, null), ps in zip(found, _corrected(p_values), strict=True)
    )  # fmt: skip


def _p(value: float, randoms: Sequence[float]) -> float:
    return (1 + sum(drawn >= value for drawn in randoms)) / (1 + len(randoms))


def _corrected(p_values: Sequence[float]) -> list[tuple[float, float, float]]:
    """Each with its two corrections."""
    return list(zip(p_values, holm(p_values), benjamini_hochberg(p_values), strict=True))
