"""Random neurons in the place of chosen ones; see `sna_eval.neurons.control`.

What a plan's `select: {method: random}` means and what the control `random_neurons` does are this
one draw: of equal seeds, they are equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from sna_eval.errors import InputError
from sna_eval.methods.means import task_means
from sna_eval.methods.resolution import Examples, Workbench
from sna_eval.neurons import Pooling, Selected, matched_random


def stand_ins(
    bench: Workbench,
    examples: Examples,
    chosen: Mapping[str, Selected],
    *,
    layer: int,
    pooling: Pooling,
    seed: int,
) -> dict[str, Selected]:
    """One draw: a neuron for each chosen one, matched in mean activation on the task's prompts.

    The sets of several labels share no neuron, and none with any chosen one.

    **Raises:** `InputError` where the layer has not as many neurons again.
    """
    every = [neuron for own in chosen.values() for neuron in own.neurons]
    if 2 * len(every) > bench.sites.d_mlp:
        raise InputError(
            "select.top_k",
            expected=f"at most {bench.sites.d_mlp // 2} neurons in all, to draw as many again",
            got=len(every),
        )
    means = task_means(bench, examples.prompts, layer, pooling)
    together = Selected(tuple(every), (0.0,) * len(every))
    drawn = matched_random(means, together, seed=seed)
    return _split(drawn, {label: len(own.neurons) for label, own in chosen.items()})


def _split(drawn: Selected, sizes: Mapping[str, int]) -> dict[str, Selected]:
    parts, start = {}, 0
    for label, size in sizes.items():
        own = slice(start, start + size)
        parts[label] = Selected(drawn.neurons[own], drawn.scores[own])
        start += size
    return parts
