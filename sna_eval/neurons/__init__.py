"""Activation statistics and the selection of neurons. Knows `intervention`."""

from sna_eval.neurons.attribution import attribution, attribution_scores
from sna_eval.neurons.bench import Workbench
from sna_eval.neurons.control import matched_random
from sna_eval.neurons.examples import Examples, Question
from sna_eval.neurons.reference import neutral_sentences
from sna_eval.neurons.selection import Selected, contrastive, differential, overlap
from sna_eval.neurons.statistics import Pooling, TokenRow, mean_activations

__all__ = [
    "Examples",
    "Pooling",
    "Question",
    "Selected",
    "TokenRow",
    "Workbench",
    "attribution",
    "attribution_scores",
    "contrastive",
    "differential",
    "matched_random",
    "mean_activations",
    "neutral_sentences",
    "overlap",
]
