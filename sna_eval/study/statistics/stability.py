"""Would other development items have chosen the same neurons?

Neurons are ranked on resampled items and the first of each ranking compared. The index is 1 where
all sets are the same and 0 on average for sets drawn at random:

    1 - mean_n s_n^2 / (k/d (1 - k/d)),  s_n^2 = R / (R - 1) share_n (1 - share_n)

for `R` sets of `k` among `d` neurons, `share_n` how many of the sets hold neuron `n` (Nogueira,
Sechidis and Brown 2018, Journal of Machine Learning Research 18, 174). 0.4 and below counts as poor
there, above 0.75 as excellent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def stability(sets: Sequence[Sequence[int]], n_neurons: int) -> float:
    """The index of sets of neurons of one layer; NaN for fewer than two sets, or of all neurons."""
    held = np.zeros((len(sets), n_neurons))
    for row, chosen in zip(held, sets, strict=True):
        row[list(chosen)] = 1.0
    expected = float(held.mean())
    if len(sets) < 2 or expected in (0.0, 1.0):
        return math.nan
    return float(1 - held.var(axis=0, ddof=1).mean() / (expected * (1 - expected)))


def resampled_places(clusters: ArrayLike, *, draws: int = 10, seed: int = 0) -> list[list[int]]:
    """Places of items, a list a draw: whole clusters, drawn as often as there are clusters.

    **Arguments:**

    - `clusters`: items that are drawn together, `[item]`.
    """
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    generator = np.random.default_rng(seed)
    return [
        [int(place) for code in np.sort(drawn) for place in members[code]]
        for drawn in generator.integers(len(members), size=(draws, len(members)))
    ]
