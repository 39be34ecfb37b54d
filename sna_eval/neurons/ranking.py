"""What a ranking of neurons is: one file in `neurons/rankings`, which nothing else lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sna_eval.neurons.examples import Examples
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.selection import Selected

UNLABELLED = ""
"""The one label of neurons that belong to no class."""


@dataclass(frozen=True)
class Ranked:
    """One layer's neurons by label, best first; the one label `""` where there are no classes."""

    selected: Mapping[str, Selected]
    about: Callable[[int], dict[str, Any]] = field(default=lambda count: {}, compare=False)
    """What a record should say beside the first `count` neurons."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label for label in self.selected if label != UNLABELLED)

    def first(self, count: int) -> dict[str, Selected]:
        """The `count` best of each label."""
        return {label: ranked.first(count) for label, ranked in self.selected.items()}

    def without(self, left_out: Collection[int], count: int) -> Ranked:
        """The `count` best of each label that are not left out."""
        kept = {label: own.without(left_out).first(count) for label, own in self.selected.items()}
        return Ranked(kept, self.about)


Rank = Callable[[Observed, int, int], Ranked]
"""From what was observed, a layer and a count to that layer's neurons."""


@dataclass(frozen=True)
class Ranking:
    """One way of putting a layer's neurons in order."""

    name: str
    words: str
    """What it takes, for messages and documentation."""
    best: Callable[[Observed, int, int, int], Ranked]
    """From what was observed, a layer, a count and a seed to the neurons of that layer."""
    last: Rank | None = None
    """The other end of the order; `None` for neurons that are in none."""
    check: Callable[[Examples, int, int], None] = lambda examples, top_k, d_mlp: None
    """Refuses, by `InputError`, examples that it cannot rank on and counts beyond what a layer has;
    the last number is the neurons of a layer."""
    record: Callable[[Examples], dict[str, Any]] = lambda examples: {}
    """What a record of its search says beside the settings and the prompts' hash."""
    settings: tuple[str, ...] = ("reference", "pooling")
    """Those of the settings `reference`, `pooling` and `seed` that change its result."""
    by_class: bool = False
    """Whether it sets one class of prompts beside another."""
    ends: int = 1
    """Disjoint sets that it makes of a layer's neurons: so many times `top_k` are needed."""

    @property
    def orders(self) -> bool:
        """Whether it puts neurons in an order, that others can stand beside; a draw does not."""
        return self.last is not None
