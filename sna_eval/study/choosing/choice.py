"""The best configuration of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sna_eval.errors import InputError
from sna_eval.measuring.grid import Configuration
from sna_eval.study.choosing.bounds import single_bounds
from sna_eval.study.choosing.effects import Measure, TaskEffects
from sna_eval.study.sweep.schemas import ConfigurationRow

Criterion = Literal["lower_bound", "mean"]
"""`lower_bound` of the mean effect over items (default), each configuration by itself, or the
`mean`. What is reported of the chosen one is a bound that holds for the best of all."""
_TIE = 1e-9  # of the largest criterion: far above rounding of means, far below what differs


@dataclass(frozen=True)
class ChosenConfiguration:
    """The configuration chosen for a task, and what it was chosen by."""

    task: str
    row: ConfigurationRow
    """The configuration, by the names of `effects.CONFIGURATION`."""
    measure: Measure
    gain: float
    """Mean effect over items."""
    lower_bound: float | None
    """Its lower confidence bound, which holds for the best of all of them; `None` where the items
    are one, or all of one answer."""
    n_items: int
    n_clusters: int
    """Answers that the items share, or what else they go together by."""
    among: int
    """How many configurations it is the best of, predicted ones of a screened sweep included."""
    ranked_apart: bool = False
    """Whether neurons were ranked on other items than it was chosen on."""

    @property
    def configuration(self) -> Configuration:
        return Configuration.of_row(self.row)

    @property
    def oracle(self) -> bool:
        """Whether its direction follows the right answer."""
        return bool(self.row["oracle"])


def choose(
    effects: TaskEffects,
    *,
    by: Criterion = "lower_bound",
    confidence: float = 0.95,
    allow_oracle: bool = False,
    fitted_gate: bool = False,
) -> ChosenConfiguration:
    """The configuration with the largest criterion; of equals the gentlest.

    Gentle is: fewer neurons, then a multiplier nearer to 1, then a lower layer.

    **Arguments:**

    - `by`: the criterion.
    - `confidence`: of the bound, one-sided.
    - `allow_oracle`: whether directions that depend on the right answer may be chosen.
    - `fitted_gate`: whether the gate's boundaries were found on the same items.
    """
    if by not in get_args(Criterion):
        raise InputError("by", expected=f"one of {', '.join(get_args(Criterion))}", got=by)
    usable = effects.usable(allow_oracle=allow_oracle)
    if not usable:
        raise InputError(
            f"tasks.{effects.task}",
            expected="a configuration that does not know the right answer",
            got="only `gold`",
            hint="sweep other directions too, or add --allow_oracle",
        )
    allowed = effects.effects[usable]
    means = allowed.mean(axis=-1)
    bounds = None
    if by == "lower_bound" or effects.n_clusters > 1:
        bounds = effects.lower_bounds(
            confidence=confidence, allow_oracle=allow_oracle, fitted_gate=fitted_gate
        )
    scores = means if by == "mean" else single_bounds(allowed, effects.clusters, confidence)
    ties = np.flatnonzero(scores >= scores.max() - _TIE * np.abs(scores).max())
    best = min(ties.tolist(), key=lambda place: _strength(effects.rows[usable[place]]))
    return ChosenConfiguration(
        task=effects.task,
        row=effects.rows[usable[best]],
        measure=effects.measure,
        gain=float(means[best]),
        lower_bound=None if bounds is None else float(bounds[best]),
        n_items=allowed.shape[-1],
        n_clusters=effects.n_clusters,
        among=round(effects.among * len(usable) / len(effects.rows)),
        ranked_apart=effects.ranked_apart,
    )


def _strength(row: ConfigurationRow) -> tuple[int, float, int]:
    return row["n_neurons"], abs(row["multiplier"] - 1.0), row["layer"]
