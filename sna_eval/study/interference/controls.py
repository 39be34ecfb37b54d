"""Random neurons as the null of each task's own intervention.

As many neurons of the same layer, matched in mean activation on the task's prompts, scaled by the
same multiplier; what that does to the task is what scaling any neurons does. With `n` draws
`p = (1 + #{random change >= own change}) / (1 + n)`, one-sided, never 0 (Phipson and Smyth 2010),
so that 20 draws cannot give less than 0.048; to survive Holm's correction over 12 tasks at 5 %, a
task needs at least 239 draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sna_eval.errors import InputError
from sna_eval.harness.tasks.live_tasks import examples_of
from sna_eval.hashing import digest
from sna_eval.intervention import Intervention
from sna_eval.measuring.scores import Together
from sna_eval.neurons import Search, SearchConfig, Selected, matched_random
from sna_eval.study.statistics import benjamini_hochberg, holm

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class RandomNull:
    """A task's own intervention among random ones like it."""

    task: str
    change: float
    """Of mean P(target), by the plan's neurons."""
    random_changes: tuple[float, ...]
    """By each draw of random neurons."""
    p: float
    p_holm: float
    """Corrected over tasks, after Holm."""
    p_bh: float
    """Corrected over tasks, after Benjamini and Hochberg."""

    @property
    def random_mean(self) -> float:
        return float(np.mean(self.random_changes))


def random_sets(
    lm: SNALM, task: Any, together: Together, *, draws: int, seed: int
) -> list[list[Intervention]]:
    """Random stand-ins for a task's interventions, one list a draw.

    **Raises:** `InputError` where a layer is too narrow for as many neurons again, and where an
    intervention is not one on chosen neurons.
    """
    if not draws:
        return []
    chosen = [own for own in together if isinstance(own, Intervention)]
    if len(chosen) < len(together):
        raise InputError(
            "random_draws", expected="0 for a method that chooses no neurons", got=draws
        )
    for own in chosen:
        sites = lm.sites.of(own.unit)
        if 2 * len(own.neurons) > sites.n_units:
            raise InputError(
                "random_draws",
                expected=f"0 for an intervention on {len(own.neurons)} of {sites.n_units} "
                f"{sites.units}",
                got=draws,
                hint=f"no matched random {sites.units} are left to draw",
            )
    examples = examples_of(task, SearchConfig().max_prompts)
    push = {
        unit: Search(
            lm.bench, examples, SearchConfig(unit=unit),
            [own.layer for own in chosen if own.unit == unit],
        ).observed.push
        for unit in {own.unit for own in chosen}
    }  # fmt: skip

    def stand_in(own: Intervention, number: int, draw: int) -> Intervention:
        chosen = Selected(own.neurons, (0.0,) * len(own.neurons))
        own_seed = int(digest([seed, task.config.task, number, draw]), 16)
        drawn = matched_random(push[own.unit][own.layer], chosen, seed=own_seed)
        return replace(own, neurons=drawn.neurons)

    return [
        [stand_in(own, number, draw) for number, own in enumerate(chosen)] for draw in range(draws)
    ]


def random_null(found: Sequence[tuple[str, float, Sequence[float]]]) -> tuple[RandomNull, ...]:
    """The null of every task, corrected over tasks.

    **Arguments:**

    - `found`: each task with its own change and the random ones.
    """
    p_values = [
        (1 + sum(drawn >= change for drawn in randoms)) / (1 + len(randoms))
        for _, change, randoms in found
    ]
    corrected = zip(p_values, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(
        RandomNull(task, change, tuple(randoms), *own)
        for (task, change, randoms), own in zip(found, corrected, strict=True)
    )
