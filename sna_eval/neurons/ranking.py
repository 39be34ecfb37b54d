"""A ranking of neurons, one file in `neurons/rankings` that nothing else lists; chosen neurons.

Differential selection follows Akhtar (2026), arXiv:2604.07098, section 3.1; contrastive selection
follows its section 6.1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sna_eval.neurons.bench import Examples
from sna_eval.neurons.observed import Observed

UNLABELLED = ""
"""The one label of neurons that belong to no class."""


@dataclass(frozen=True)
class Selected:
    """Chosen neurons, best first, and the score each was chosen by."""

    neurons: tuple[int, ...]
    scores: tuple[float, ...]

    def first(self, count: int) -> Selected:
        """The `count` best of them."""
        return Selected(self.neurons[:count], self.scores[:count])

    def without(self, left_out: Collection[int]) -> Selected:
        """The others, in the same order."""
        kept = [
            pair for pair in zip(self.neurons, self.scores, strict=True) if pair[0] not in left_out
        ]
        return Selected(tuple(neuron for neuron, _ in kept), tuple(score for _, score in kept))


def differential(task: torch.Tensor, reference: torch.Tensor, *, top_k: int) -> Selected:
    """The `top_k` largest positive differences `mean(task) - mean(reference)`.

    **Arguments:**

    - `task`, `reference`: mean activations, `[d_mlp]`.
    - `top_k`: how many at most; fewer where fewer differences are positive.
    """
    return largest(task - reference, top_k, positive_only=True)


def contrastive(
    first: torch.Tensor, second: torch.Tensor, *, top_k: int
) -> tuple[Selected, Selected]:
    """Neurons of either class: the `top_k` largest and the `top_k` smallest of `first - second`.

    The two sets are disjoint by construction.

    **Arguments:**

    - `first`, `second`: mean activations over each class, `[d_mlp]`; `top_k` at most half of them.

    **Returns:** the first class' neurons and the second's, scores as differences in favour of the
    class.
    """
    if 2 * top_k > first.numel():
        raise ValueError(f"two disjoint sets of {top_k} do not fit into {first.numel()} neurons")
    difference = first - second
    return (
        largest(difference, top_k, positive_only=False),
        largest(-difference, top_k, positive_only=False),
    )


def overlap(first: Selected, second: Selected) -> float:
    """Share of neurons that two selections of like size have in common, 0 to 1."""
    size = max(len(first.neurons), len(second.neurons))
    return len(set(first.neurons) & set(second.neurons)) / size if size else 0.0


def largest(scores: torch.Tensor, top_k: int, *, positive_only: bool) -> Selected:
    """The largest scores; ties go to the lower index, so the choice is reproducible."""
    order = torch.argsort(scores, descending=True, stable=True)[:top_k].tolist()
    kept = [index for index in order if not positive_only or scores[index] > 0]
    return Selected(tuple(kept), tuple(float(scores[index]) for index in kept))


def smallest(scores: torch.Tensor, top_k: int) -> Selected:
    """The smallest scores, lowest first."""
    last = largest(-scores, top_k, positive_only=False)
    return Selected(last.neurons, tuple(-score for score in last.scores))


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
        kept = {
            label: selected.without(left_out).first(count)
            for label, selected in self.selected.items()
        }
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
