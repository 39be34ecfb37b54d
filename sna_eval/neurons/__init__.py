"""Activation statistics and the selection of neurons. Knows `intervention`."""

from sna_eval.neurons.reference import neutral_sentences
from sna_eval.neurons.selection import Selected, contrastive, differential, overlap
from sna_eval.neurons.statistics import Pooling, TokenRow, mean_activations

__all__ = [
    "Pooling",
    "Selected",
    "TokenRow",
    "contrastive",
    "differential",
    "mean_activations",
    "neutral_sentences",
    "overlap",
]
