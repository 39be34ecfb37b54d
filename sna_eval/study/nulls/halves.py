"""Development items in two halves: one ranks neurons, one chooses.

They share no right answer, unless answers are classes that every item chooses from.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def halves(clusters: Sequence[Hashable], *, seed: int = 0) -> tuple[list[int], list[int]]:
    """Places of either half, in order.

    Clusters stay together, the largest first, each to the smaller half; where there is but one,
    places are dealt out in turn, and the halves share it.

    **Arguments:**

    - `clusters`: of each place.
    """
    members: dict[Hashable, list[int]] = {}
    for place, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(place)
    if len(members) < 2:
        return list(range(0, len(clusters), 2)), list(range(1, len(clusters), 2))
    order = np.random.default_rng(seed).permutation(len(members))
    shuffled = [list(members.values())[place] for place in order]
    first: list[int] = []
    second: list[int] = []
    for places in sorted(shuffled, key=len, reverse=True):
        (first if len(first) <= len(second) else second).extend(places)
    return sorted(first), sorted(second)


def stratified_halves(classes: Sequence[Hashable], *, seed: int = 0) -> tuple[list[int], list[int]]:
    """Places of either half, in order: of every class as many in one as in the other, but for one.

    **Arguments:**

    - `classes`: of each place.
    """
    members: dict[Hashable, list[int]] = {}
    for place in np.random.default_rng(seed).permutation(len(classes)):
        members.setdefault(classes[place], []).append(int(place))
    first: list[int] = []
    second: list[int] = []
    for class_ in dict.fromkeys(classes):
        smaller, larger = sorted((first, second), key=len)
        smaller.extend(members[class_][::2])
        larger.extend(members[class_][1::2])
    return sorted(first), sorted(second)
