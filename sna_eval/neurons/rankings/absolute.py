"""Neurons that tell the task's prompts from neutral text most, whether by more or by less.

The score is `|mean(task) - mean(neutral)|`. Of pairs of prompts, at their last tokens and over all
layers together, this is the ranking of contrastive neuron attribution (Herring et al. 2026,
arXiv:2605.12290): see `sna_eval.methods.cna`.
"""

from __future__ import annotations

from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import UNLABELLED, Ranked, Ranking, largest, smallest


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    distance = (observed.task[layer] - observed.neutral[layer]).abs()
    return Ranked({UNLABELLED: largest(distance, top_k, positive_only=True)})


def _last(observed: Observed, layer: int, top_k: int) -> Ranked:
    distance = (observed.task[layer] - observed.neutral[layer]).abs()
    return Ranked({UNLABELLED: smallest(distance, top_k)})


RANKING = Ranking(
    "absolute",
    "task against neutral text, by more or by less",
    _best,
    _last,
)
