"""What a grid's configurations would do to every request, to first order.

The first `k` of a layer's ranked neurons amplified by `m` change the log-likelihood of a request by
`(m - 1) * sum of G` over them; see `sna_eval.neurons.first_order`. A likelihood never exceeds 1.

Requests whose likelihood an item's value cannot depend on are not predicted, and keep the
baseline's: those that are no choices, and of many choices all but the likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sna_eval.intervention import Row
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import TaskItems
from sna_eval.measuring.starts import LabelNeurons, LabelWeights
from sna_eval.measuring.values import Floats
from sna_eval.neurons.first_order import first_slopes

RIVALS = 3
"""Wrong choices of an item that are predicted beside the right one: the likeliest."""


@dataclass(frozen=True, eq=False)
class Effects:
    """First-order effects on the requests of one task's items."""

    requests: tuple[int, ...]
    """Numbers of the requests, counted through all items."""
    items: tuple[int, ...]
    """The item of each."""
    by_layer: Mapping[int, torch.Tensor]
    """`{layer: [request, d_mlp]}`, float32."""


def predicted_requests(items: TaskItems, baseline: Floats) -> tuple[tuple[int, int], ...]:
    """`(item, request)` of every request to be predicted, in order.

    **Arguments:**

    - `baseline`: log-likelihoods, `[request]`.
    """
    chosen = []
    for number, (item, gold) in enumerate(zip(items.items, items.gold, strict=True)):
        start = items.starts[number]
        rivals = [choice for choice in item.choices if choice != gold]
        rivals.sort(key=lambda choice: -baseline[start + choice])
        chosen += [(number, start + choice) for choice in sorted([gold, *rivals[:RIVALS]])]
    return tuple(chosen)


def request_row(items: TaskItems, item: int, request: int, *, max_length: int) -> Row:
    """A request as a row of its own."""
    asked = items.items[item].requests[request - items.starts[item]]
    room = max(1, max_length + 1 - len(asked.continuation))
    return Row(asked.context[-room:], (asked.continuation,))


def predicted(
    effects: Effects,
    layer: int,
    neurons: LabelNeurons,
    weights: LabelWeights,
    configurations: Sequence[Configuration],
    baseline: Floats,
) -> Floats:
    """Predicted log-likelihoods of a layer's configurations, `[configuration, request]`.

    **Arguments:**

    - `neurons`: the layer's ranked neurons by label.
    - `weights`: which labels' neurons a direction amplifies in which items,
        `{direction: [item, label]}`.
    - `baseline`: log-likelihoods, `[request]`.
    """
    counts = sorted({one.n_neurons for one in configurations})
    table = effects.by_layer[layer]
    slopes = [first_slopes(table, order, counts).numpy() for order in neurons.values()]
    found = np.tile(baseline, (len(configurations), 1))
    requests, places = list(effects.requests), torch.tensor(effects.items)
    acting = {name: weight[places].double().numpy() for name, weight in weights.items()}
    for number, configuration in enumerate(configurations):
        count, weight = counts.index(configuration.n_neurons), acting[configuration.direction]
        slope = sum(part[count] * weight[:, label] for label, part in enumerate(slopes))
        found[number, requests] += (configuration.multiplier - 1.0) * slope
    return np.asarray(np.minimum(found, 0.0))
