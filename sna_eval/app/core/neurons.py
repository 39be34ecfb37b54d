"""What the chosen neurons are: how strongly they fire here, and which tokens they write for.

Of an attention head, that is the norm of its output, and no tokens: it writes in many directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sna_eval.app.core.workspace import Workspace
from sna_eval.intervention import base_model
from sna_eval.intervention.stream import output_columns
from sna_eval.plan import PlannedIntervention

PROMOTED = 5
SHOWN = 40
"""Neurons that are described; the rest of a large set stands in the plan file."""


@dataclass(frozen=True)
class NeuronReport:
    """One chosen neuron."""

    label: str
    """The label it belongs to; empty where there are none."""
    neuron: int
    score: float
    """What it was chosen by."""
    last: float
    """Its activation at the prompt's last token, unmodified; a head's norm."""
    mean: float
    """Over the prompt's tokens."""
    promotes: tuple[str, ...]
    """The tokens whose logits it raises most when it fires positively; none for a head."""


def chosen_neurons(entry: PlannedIntervention) -> tuple[tuple[str, int, float], ...]:
    """Label, index and score of the neurons that are described, best first."""
    sets, scores = entry.neurons or {}, entry.scores or {}
    each = max(1, SHOWN // max(1, len(sets)))
    return tuple(
        (label, neuron, score)
        for label, neurons in sets.items()
        for neuron, score in list(zip(neurons, scores[label], strict=True))[:each]
    )


def describe(
    workspace: Workspace, entry: PlannedIntervention, activations: torch.Tensor
) -> tuple[NeuronReport, ...]:
    """Reports on the neurons of `chosen_neurons`.

    **Arguments:**

    - `activations`: theirs at the prompt's tokens, `[position, neuron]`.
    """
    chosen = chosen_neurons(entry)
    tokens: list[tuple[str, ...]] = [() for _ in chosen]
    if entry.unit == "mlp":
        tokens = promoted_tokens(workspace, entry.layer, [neuron for _, neuron, _ in chosen])
    return tuple(
        NeuronReport(
            label,
            neuron,
            score,
            float(activations[-1, place]),
            float(activations[:, place].mean()),
            tokens[place],
        )
        for place, (label, neuron, score) in enumerate(chosen)
    )


@torch.no_grad()
def promoted_tokens(
    workspace: Workspace, layer: int, neurons: Sequence[int]
) -> list[tuple[str, ...]]:
    """The tokens that each neuron's output column promotes, through the unembedding.

    The largest entries of `W_U @ w_i`, after Geva et al. (2022), arXiv:2203.14680, section 3. As
    there, blocks above and the last norm are left out: a hint at what a neuron is for, no effect.
    """
    head = base_model(workspace.lm.model).get_output_embeddings()  # type: ignore[operator]
    if head is None or not neurons:
        return [() for _ in neurons]
    columns = output_columns(workspace.sites, layer, neurons)
    weights: torch.Tensor = head.weight
    scores = columns.to(weights.device, torch.float32) @ weights.float().T
    best = scores.topk(min(PROMOTED, scores.shape[-1])).indices.tolist()
    return [tuple(workspace.lm.tok_decode([token]) for token in row) for row in best]
