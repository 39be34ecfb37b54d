"""Neurons that respond more to the task's prompts than to neutral text.

Source: Akhtar (2026), arXiv:2604.07098, section 3.1.
"""

from __future__ import annotations

from sna_eval.neurons.observed import Observed
from sna_eval.neurons.ranking import UNLABELLED, Ranked, Ranking, Selected, differential, smallest


def against_neutral(observed: Observed, layer: int, top_k: int) -> Selected:
    """The `top_k` largest positive differences."""
    return differential(observed.task[layer], observed.neutral[layer], top_k=top_k)


def _best(observed: Observed, layer: int, top_k: int, seed: int) -> Ranked:
    return Ranked({UNLABELLED: against_neutral(observed, layer, top_k)})


def _last(observed: Observed, layer: int, top_k: int) -> Ranked:
    difference = observed.task[layer] - observed.neutral[layer]
    return Ranked({UNLABELLED: smallest(difference, top_k)})


RANKING = Ranking(
    "differential",
    "task against neutral text",
    _best,
    _last,
)
