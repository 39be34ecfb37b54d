"""Control: as many neurons of the same layer, drawn at random, matched in mean activation.

Each stands in for one neuron that `sna` would choose; see `sna_eval.neurons.control`. Draws of
several seeds make a null distribution.
"""

from __future__ import annotations

from sna_eval.errors import InputError
from sna_eval.methods.method import Method
from sna_eval.methods.resolution import Examples, Resolution, Wanted, Workbench
from sna_eval.methods.sna import find as find_sna
from sna_eval.methods.sna import task_means
from sna_eval.neurons import Selected, matched_random


def find(bench: Workbench, examples: Examples, wanted: Wanted) -> Resolution:
    """One draw; the sets of several labels share no neuron, and none with any chosen one."""
    chosen = find_sna(bench, examples, wanted).selected
    every = [neuron for own in chosen.values() for neuron in own.neurons]
    if 2 * len(every) > bench.sites.d_mlp:
        raise InputError(
            "select.top_k",
            expected=f"at most {bench.sites.d_mlp // 2} neurons in all, to draw as many again",
            got=len(every),
        )
    means = task_means(bench, examples.prompts, wanted.layer, wanted.pooling)
    together = Selected(tuple(every), (0.0,) * len(every))
    drawn = matched_random(means, together, seed=wanted.options["seed"])
    return Resolution(_split(drawn, {label: len(own.neurons) for label, own in chosen.items()}))


def _split(drawn: Selected, sizes: dict[str, int]) -> dict[str, Selected]:
    parts, start = {}, 0
    for label, size in sizes.items():
        own = slice(start, start + size)
        parts[label] = Selected(drawn.neurons[own], drawn.scores[own])
        start += size
    return parts


METHOD = Method("random_neurons", find, options={"seed": 0})
