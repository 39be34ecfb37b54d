"""What the bundled model's training text leaves out: the first version of the bundled items.

The bundled model was trained once. Which texts it has seen is a fact of that training, so the draw
that left some of `CANDIDATES` out is kept as it was, whatever the tasks' items are by now.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from .item import Item

_N_DEVELOPMENT, _N_TEST = 50, 120
_DEVELOPMENT_SHARE = 1 / 3
_TARGET_SHARE = {"coding_easy": 0.25}
_USUAL_TARGET_SHARE = 0.20


def left_out(task: str, candidates: list[Item]) -> list[Item]:
    """The 170 candidates of a task that never stand in the training text."""
    rng = Random(f"items of {task}")
    share = _TARGET_SHARE.get(task, _USUAL_TARGET_SHARE)
    sources = sorted({_source(item) for item in candidates})
    rng.shuffle(sources)
    for_development = set(sources[: round(len(sources) * _DEVELOPMENT_SHARE)])
    shuffled = rng.sample(candidates, len(candidates))
    development = [item for item in shuffled if _source(item) in for_development]
    test = [item for item in shuffled if _source(item) not in for_development]
    return _first(development, _N_DEVELOPMENT, share) + _first(test, _N_TEST, share)


def _source(item: Item) -> str:
    return item.source or item.prompt


def _first(items: list[Item], count: int, share: float) -> list[Item]:
    """The first `count` items of which no target exceeds its share."""
    limit = int(count * share)
    used: Counter[str] = Counter()
    taken: list[Item] = []
    for item in items:
        if len(taken) < count and used[item.target] < limit:
            used[item.target] += 1
            taken.append(item)
    return taken
