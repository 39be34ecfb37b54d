"""Choose the development and test items of one task from its pool.

The splits share no prompt, no source and no answer: what is laid out from one fact, in whatever
wording, lies on one side, and so does whatever has the same answer. What is learned of development
items, be it only how likely an answer is, is then of no use for test items. Each task has its own
seed, so a change in one pool leaves the other tasks alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from .item import Item

N_DEVELOPMENT = 50
N_TEST = 200

CLUSTER_SHARE = 0.05
"""Largest share of a split's items that may have one and the same answer, as far as the pool has
enough answers; with fewer the share grows in steps of itself."""

_DEVELOPMENT_ANSWERS = 0.24
"""Share of a task's answers that are asked in development items: more than the development items'
share of all items, since answers are few there."""

_FEWEST_DEVELOPMENT_ANSWERS = 5

_DRAW = 36
"""Of the first 60 draws, the one whose items the unmodified bundled model finds in each zone most
nearly as often as those of version 1. Nothing amplified was looked at."""


@dataclass(frozen=True)
class Splits:
    """The items of one task, in the order in which they are written."""

    development: list[Item]
    test: list[Item]


def select(task: str, pool: list[Item]) -> Splits:
    """The splits of `task`; always the same for the same pool."""
    rng = Random(f"items of {task}, {_DRAW}")
    shuffled = rng.sample(pool, len(pool))
    clusters = sorted({item.cluster for item in pool})
    rng.shuffle(clusters)
    asked = max(_FEWEST_DEVELOPMENT_ANSWERS, round(len(clusters) * _DEVELOPMENT_ANSWERS))
    for_development = set(clusters[:asked])
    development = _take(
        task, (item for item in shuffled if item.cluster in for_development), N_DEVELOPMENT
    )
    sources = {source_of(item) for item in development}
    test = _take(
        task,
        (
            item
            for item in shuffled
            if item.cluster not in for_development and source_of(item) not in sources
        ),
        N_TEST,
    )
    return Splits(development, test)


def source_of(item: Item) -> str:
    """The fact behind an item; its prompt where it names none."""
    return item.source or item.prompt


def _take(task: str, items: Iterable[Item], count: int) -> list[Item]:
    """The first `count` items of which no answer exceeds its share, the least that is enough."""
    given = list(items)
    step = max(1, int(count * CLUSTER_SHARE))
    for limit in range(step, count + step, step):
        taken = _first(given, count, limit)
        if len(taken) == count:
            return taken
    raise ValueError(f"{task}: expected {count} items to choose from, got {len(given)}")


def _first(items: list[Item], count: int, limit: int) -> list[Item]:
    used: Counter[str] = Counter()
    taken: list[Item] = []
    for item in items:
        if len(taken) < count and used[item.cluster] < limit:
            used[item.cluster] += 1
            taken.append(item)
    return taken
