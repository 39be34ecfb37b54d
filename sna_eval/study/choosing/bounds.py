"""Lower confidence bounds of the mean effects of a grid's configurations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from sna_eval.clusters import Ints
from sna_eval.errors import InputError
from sna_eval.study.statistics import clustered_stderr, max_t_bounds

Floats = NDArray[np.float64]


def lower_bounds(
    effects: Floats,
    *,
    clusters: Ints | None = None,
    among: int | None = None,
    confidence: float = 0.95,
) -> Floats:
    """One-sided lower bounds of the means that hold for all configurations together.

    Whichever is taken, its bound is one: see `sna_eval.study.statistics.max_t`.

    **Arguments:**

    - `effects`: amplified minus baseline, `[configuration, item]`, of at least two clusters.
    - `clusters`: items that go together, `[item]`; `None`: each stands for itself.
    - `among`: how many configurations these were picked from; `None`: they are all.
    - `confidence`: share of samples in which every bound lies below its true mean.

    **Returns:** `[configuration]`.
    """
    n_clusters = effects.shape[-1] if clusters is None else len(np.unique(clusters))
    if n_clusters < 2:
        raise InputError(
            "by", expected="two items or more, of different answers, for a lower bound",
            got=n_clusters, hint="use by=mean",
        )  # fmt: skip
    if not 0.5 <= confidence < 1:
        raise InputError("confidence", expected="0.5 or more and below 1", got=confidence)
    return max_t_bounds(effects, clusters=clusters, among=among, confidence=confidence).bounds


def single_bounds(effects: Floats, clusters: Ints, confidence: float) -> Floats:
    """Bounds of each configuration by itself, `mean - t stderr`, `[configuration]`.

    Good to choose by, as they pass over gains that rest on few items; of the best, no bound.
    """
    freedom = len(np.unique(clusters)) - 1
    spread = clustered_stderr(effects, clusters)
    return np.asarray(effects.mean(axis=-1) - student.ppf(confidence, freedom) * spread)
