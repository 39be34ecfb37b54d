"""What right answers owe to each neuron, to first order: attribution, and the slope of log-odds.

Both come of the backward pass that a screened sweep predicts with (`neurons.first_order`), and look
at the right answers of the items they are given, so these must be development items.

*Attribution* of neuron `i` is `a[t, i] * d log P(target) / d a[t, i]`, summed over the tokens that
count and averaged over labelled prompts: how much the log-probability falls when the neuron is
taken away, or rises when it is doubled. This is the Taylor criterion of Molchanov et al. (2017),
arXiv:1611.06440, with its sign kept: they ask which units matter, we ask which ones help. Which
tokens count is as in `neurons.statistics`.

The *gradient* of neuron `i` is `d L / d m` at `m = 1`, where `m` multiplies its activation at every
token and `L`, averaged over items, is the log-odds of the right answer against the item's other
choices, `log P(right) - log sum P(others)`; of an item without other choices, `log P(right)`. It
treats items as a screened sweep does: position 0 counts, since amplification acts there too, and of
many choices the likeliest stand beside the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention import Batch, Engine, Row, Sites
from sna_eval.neurons.first_order import FirstOrder, NoGradients, first_order
from sna_eval.neurons.statistics import SILENT, Progress, Sinks, settled_sinks

RIVALS = 3
"""Wrong choices of an item that stand beside the right one: the likeliest."""
_ROWS = 64  # whose effects are held at once

Choices = Sequence[Row]
"""An item's choices, each a context with one continuation: the right one first."""


def attribution_scores(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[Row],
    *,
    layers: Sequence[int],
    sinks: Sinks = "drop",
    progress: Progress = SILENT,
) -> dict[int, torch.Tensor]:
    """Mean attribution of every neuron of the given layers.

    **Arguments:**

    - `rows`: prompts, each with its right continuation as the only branch. One that the model reads
        a single token of has nothing but position 0: it is left out beside longer ones, and where
        all are so, position 0 counts.
    - `layers`: block indices.
    - `sinks`: whether position 0 counts.

    **Returns:** `{layer: [d_mlp]}` in float64, on the CPU. No gradient stays on the model.

    **Raises:** `InputError` for a model without gradients, and where they overflow: what is no
    number would rank first.
    """
    if not rows:
        raise ValueError("attribution needs at least one prompt")
    first = 1 if settled_sinks(sinks, [[row.tokens for row in rows]]) == "drop" else 0
    ordered = sorted((row for row in rows if len(row) > first), key=len, reverse=True)
    sums = {layer: torch.zeros(sites.n_units, dtype=torch.float64) for layer in layers}
    for start in range(0, len(ordered), _ROWS):
        portion = ordered[start : start + _ROWS]
        found = _first_order(model, sites, portion, layers, first=first)
        for layer, effects in found.effects.items():
            sums[layer] += effects.double().sum(dim=0)
        progress.read(len(portion))
    return {layer: total / len(ordered) for layer, total in sums.items()}


def gradient_scores(
    model: nn.Module,
    sites: Sites,
    items: Sequence[Choices],
    *,
    layers: Sequence[int],
    progress: Progress = SILENT,
) -> dict[int, torch.Tensor]:
    """Mean slope of the items' log-odds by every neuron's multiplier.

    **Arguments:**

    - `layers`: block indices.

    **Returns:** `{layer: [d_mlp]}` in float64, on the CPU. No gradient stays on the model.

    **Raises:** `InputError` for a model without gradients, and where they overflow.
    """
    if not items:
        raise ValueError("the gradient needs at least one item")
    sums = {layer: torch.zeros(sites.n_units, dtype=torch.float64) for layer in layers}
    for portion in _portions([_likeliest(model, sites, item) for item in items]):
        rows = [row for item in portion for row in item]
        found = _first_order(model, sites, rows, layers)
        counts = [len(item) for item in portion]
        weights = torch.cat([_weights(of_row) for of_row in found.log_likelihoods.split(counts)])
        for layer, slopes in found.weighted(weights.tolist()).items():
            sums[layer] += slopes
        progress.read(len(portion))
    return {layer: total / len(items) for layer, total in sums.items()}


def _first_order(
    model: nn.Module, sites: Sites, rows: Sequence[Row], layers: Sequence[int], *, first: int = 0
) -> FirstOrder:
    try:
        return first_order(model, sites, rows, layers=layers, first=first)
    except NoGradients as error:
        raise InputError(
            "select.method", expected=error.expected, got=error.got,
            hint="load the model unquantized, with dtype=float32 or bfloat16, "
            "or use `differential`",
        ) from error  # fmt: skip


def _weights(log_likelihoods: torch.Tensor) -> torch.Tensor:
    """Derivative of an item's log-odds by its choices' log-likelihoods, `[choice]`."""
    rivals = torch.softmax(log_likelihoods[1:], dim=0)
    return torch.cat([torch.ones(1, dtype=torch.float64), -rivals])


def _likeliest(model: nn.Module, sites: Sites, item: Choices) -> Choices:
    """The right choice and the likeliest others."""
    right, *others = item
    if len(others) <= RIVALS:
        return item
    engine = Engine(model, sites)
    scores = engine.log_likelihoods(Batch(others, engine.device))
    kept = torch.argsort(scores, descending=True, stable=True)[:RIVALS].sort().values.tolist()
    return [right, *(others[place] for place in kept)]


def _portions(items: Sequence[Choices]) -> Iterator[list[Choices]]:
    """Items whole, about as many rows at once as are to be held."""
    portion: list[Choices] = []
    for item in items:
        if portion and sum(map(len, portion)) + len(item) > _ROWS:
            yield portion
            portion = []
        portion.append(item)
    yield portion
