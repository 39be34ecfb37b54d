"""Control: the neurons that the ranking of `sna` puts last.

For `differential` those that respond least to the task compared with neutral text; for
`contrastive` those that tell the two classes apart least; for `attribution` those whose activations
take most from the right answers.
"""

from __future__ import annotations

import torch

from sna_eval.methods.attribution import answer_attribution
from sna_eval.methods.means import task_means
from sna_eval.methods.method import Method
from sna_eval.methods.resolution import Examples, Resolution, Wanted, Workbench
from sna_eval.methods.sna import class_means
from sna_eval.neurons import Selected, neutral_sentences
from sna_eval.neurons.selection import largest


def find(bench: Workbench, examples: Examples, wanted: Wanted) -> Resolution:
    """As many neurons as `sna` would choose at most, from the other end."""
    layer, pooling = wanted.layer, wanted.pooling
    if wanted.selection == "contrastive":
        first, second, means = class_means(bench, examples, layer, wanted.top_k, pooling)
        return Resolution(_least_telling(means[0] - means[1], first, second, wanted.top_k))
    if wanted.selection == "attribution":
        scores = answer_attribution(bench, examples, layer)
    else:
        task, neutral = (
            task_means(bench, texts, layer, pooling)
            for texts in (examples.prompts, neutral_sentences())
        )
        scores = task - neutral
    last = largest(-scores, wanted.top_k, positive_only=False)
    return Resolution({"": Selected(last.neurons, tuple(-score for score in last.scores))})


def _least_telling(
    difference: torch.Tensor, first: str, second: str, top_k: int
) -> dict[str, Selected]:
    """`2 * top_k` neurons of the smallest difference, dealt to the two labels in turn."""
    order = torch.argsort(difference.abs(), stable=True)[: 2 * top_k].tolist()
    return {
        label: Selected(tuple(own), tuple(float(difference[neuron]) for neuron in own))
        for label, own in ((first, order[::2]), (second, order[1::2]))
    }


METHOD = Method("bottom_neurons", find, needs_ranking=True)
