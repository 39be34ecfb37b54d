"""Choose the development and test items of one task from its pool.

The splits share no prompt and no source: what is laid out from one fact, in whatever wording, lies
on one side. Each task has its own seed, so a change in one pool leaves the other tasks alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from .item import Item

N_DEVELOPMENT = 50
N_TEST = 120
DEVELOPMENT_SHARE = 1 / 3
"""Share of the sources that development items may come from."""

TARGET_SHARE = 0.20
"""Largest share of a split's items that may have one and the same target."""

SYNTAX_TARGET_SHARE = 0.25
"""The same for syntax, where the grammar leaves few tokens to choose from."""


@dataclass(frozen=True)
class Splits:
    """The items of one task, in the order in which they are written."""

    development: list[Item]
    test: list[Item]


def select(task: str, pool: list[Item]) -> Splits:
    """The splits of `task`; always the same for the same pool."""
    rng = Random(f"items of {task}")
    share = SYNTAX_TARGET_SHARE if task == "coding_easy" else TARGET_SHARE
    sources = sorted({source_of(item) for item in pool})
    rng.shuffle(sources)
    for_development = set(sources[: round(len(sources) * DEVELOPMENT_SHARE)])
    shuffled = rng.sample(pool, len(pool))
    development = [item for item in shuffled if source_of(item) in for_development]
    test = [item for item in shuffled if source_of(item) not in for_development]
    return Splits(
        development=_take(task, development, N_DEVELOPMENT, share),
        test=_take(task, test, N_TEST, share),
    )


def source_of(item: Item) -> str:
    """The fact behind an item; its prompt where it names none."""
    return item.source or item.prompt


def _take(task: str, items: list[Item], count: int, share: float) -> list[Item]:
    """The first `count` items of which no target exceeds its share."""
    limit = int(count * share)
    used: Counter[str] = Counter()
    taken: list[Item] = []
    for item in items:
        if len(taken) < count and used[item.target] < limit:
            used[item.target] += 1
            taken.append(item)
    if len(taken) < count:
        raise ValueError(f"{task}: expected {count} items to choose from, got {len(taken)}")
    return taken
