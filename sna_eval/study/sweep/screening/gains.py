"""What a screen looks for: the mean gain over the items whose gate opens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sna_eval.measuring.baselines import ItemsBaseline
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.values import Floats, item_values

_TIE_BREAK = 1e-6  # of a nat: orders configurations that get equally many items right


def counted(baseline: ItemsBaseline) -> NDArray[np.int64]:
    """Places of the items whose gate opens; of all where none does."""
    opened = np.array([decision.amplified for decision in baseline.decisions])
    return np.flatnonzero(opened if opened.any() else np.ones_like(opened))


def gains(items: TaskItems, baseline: ItemsBaseline, log_likelihoods: Floats) -> Floats:
    """Mean gain over the items that count: `[configuration]`; see `item_gains`."""
    every = item_gains(items, baseline, log_likelihoods)
    return np.asarray(every[..., counted(baseline)].mean(axis=-1))


def item_gains(items: TaskItems, baseline: ItemsBaseline, log_likelihoods: Floats) -> Floats:
    """Gain of every item, `[configuration, item]`.

    Of the probability of the right answer, or of accuracy where items have choices, ties told apart
    by the right answer's likelihood.

    **Arguments:**

    - `log_likelihoods`: `[configuration, request]`.
    """
    before = item_values(items, baseline.log_likelihoods)
    after = item_values(items, log_likelihoods)
    if before.correct is None or after.correct is None:
        return np.asarray(after.prob - before.prob)
    changed = after.correct.astype(float) - before.correct.astype(float)
    lifted = np.log(np.maximum(after.prob, 1e-300)) - np.log(np.maximum(before.prob, 1e-300))
    return np.asarray(changed + _TIE_BREAK * lifted)
