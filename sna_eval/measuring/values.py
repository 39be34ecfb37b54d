"""From log-likelihoods of requests to what is stored of an item: probability and correctness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sna_eval.measuring.items import TaskItems

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ItemValues:
    """Values of every item, once or once per configuration."""

    prob: Floats
    """Probability of the right answer, `[..., item]`."""
    correct: NDArray[np.bool_] | None
    """Whether the right answer is the likeliest choice, `[..., item]`; `None` without choices."""


def item_values(items: TaskItems, log_likelihoods: Floats) -> ItemValues:
    """Probability and correctness.

    **Arguments:**

    - `log_likelihoods`: of all requests, `[..., request]`.
    """
    log_likelihoods = log_likelihoods[..., items.first_equal]
    gold = [start + right for start, right in zip(items.starts, items.gold, strict=False)]
    prob = np.exp(log_likelihoods[..., gold])
    if not items.has_choices:
        return ItemValues(prob, None)
    correct = [
        _likeliest(log_likelihoods, start, item.choices) == right
        for item, start, right in zip(items.items, items.starts, items.gold, strict=False)
    ]
    return ItemValues(prob, np.stack(correct, axis=-1))


def keep_baseline_where_not_finite(items: TaskItems, amplified: Floats, baseline: Floats) -> Floats:
    """Items that an intervention drove to infinity keep their baseline, as in an evaluation.

    **Arguments:**

    - `amplified`: `[configuration, request]`. `baseline`: `[request]`.
    """
    kept = amplified.copy()
    for start, stop in zip(items.starts, items.starts[1:], strict=False):
        lost = ~np.isfinite(amplified[:, start:stop]).all(axis=1)
        kept[lost, start:stop] = baseline[start:stop]
    return kept


def _likeliest(log_likelihoods: Floats, start: int, choices: tuple[int, ...]) -> NDArray[np.int64]:
    """Number, within the item, of the likeliest choice; the first of several, `[...]`."""
    offered = log_likelihoods[..., [start + choice for choice in choices]]
    return np.asarray(choices)[offered.argmax(axis=-1)]
