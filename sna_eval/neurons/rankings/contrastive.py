"""Neurons of each of two classes of prompts, disjoint by construction.

Source: Akhtar (2026), arXiv:2604.07098, section 6.1. A record holds `one_vs_neutral_overlap`: what
two separate selections, each class against neutral text, would share.
"""

from __future__ import annotations

from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.neurons.bench import Examples
from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import Ranked, Ranking, Selected, contrastive, differential, overlap


def _check(examples: Examples, top_k: int, d_mlp: int) -> None:
    names = examples.label_names
    if examples.labels is None or len(names) != 2 or len(set(names)) != 2:
        raise InputError(
            "select.method",
            expected="a task with exactly two labels for `contrastive`",
            got=f"{len(names)} labels",
            hint="use `differential`",
        )
    for label in (0, 1):
        if not examples.of_label(label):
            raise InputError(
                "select.prompts",
                expected=f"development items of both labels, {names[0]!r} and {names[1]!r}",
                got=f"none with {names[label]!r}",
                hint="add items to the development split",
            )
    if 2 * top_k > d_mlp:
        raise InputError(
            "select.top_k",
            expected=f"at most {d_mlp // 2}, half of the layer's neurons",
            got=top_k,
        )


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    first, second = _class_means(observed, layer)
    neutral = observed.neutral[layer]

    def about(count: int) -> dict[str, Any]:
        apart = (differential(label_means, neutral, top_k=count) for label_means in (first, second))
        return {"one_vs_neutral_overlap": round(overlap(*apart), 4)}

    selected = contrastive(first, second, top_k=top_k)
    return Ranked(dict(zip(observed.examples.label_names, selected, strict=True)), about)


def _last(observed: Observed, layer: int, top_k: int) -> Ranked:
    """`2 * top_k` neurons of the smallest difference, dealt to the two labels in turn."""
    first, second = _class_means(observed, layer)
    difference = first - second
    order = torch.argsort(difference.abs(), stable=True)[: 2 * top_k].tolist()
    dealt = [
        Selected(tuple(ranked), tuple(float(difference[neuron]) for neuron in ranked))
        for ranked in (order[::2], order[1::2])
    ]
    return Ranked(dict(zip(observed.examples.label_names, dealt, strict=True)))


def _class_means(observed: Observed, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    return observed.of_class(0)[layer], observed.of_class(1)[layer]


RANKING = Ranking(
    "contrastive",
    "one class against the other",
    _best,
    _last,
    check=_check,
    settings=("pooling",),
    by_class=True,
    ends=2,
)
