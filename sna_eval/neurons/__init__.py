"""Activation statistics, and the search for neurons. Knows `intervention`."""

from sna_eval.neurons.attribution import attribution_scores
from sna_eval.neurons.bench import Examples, Question, Workbench, spread_over
from sna_eval.neurons.control import matched_random, stand_ins
from sna_eval.neurons.observed import neutral_sentences
from sna_eval.neurons.ranking import (
    UNLABELLED,
    Ranked,
    Ranking,
    Selected,
    contrastive,
    differential,
    overlap,
)
from sna_eval.neurons.rankings import RANKINGS
from sna_eval.neurons.search import MAX_PROMPTS, Search, SearchConfig
from sna_eval.neurons.statistics import Pooling, Progress, Sinks, TokenRow, mean_activations
from sna_eval.neurons.universal import SHARE

__all__ = [
    "MAX_PROMPTS",
    "RANKINGS",
    "SHARE",
    "UNLABELLED",
    "Examples",
    "Pooling",
    "Progress",
    "Question",
    "Ranked",
    "Ranking",
    "Search",
    "SearchConfig",
    "Selected",
    "Sinks",
    "TokenRow",
    "Workbench",
    "attribution_scores",
    "contrastive",
    "differential",
    "matched_random",
    "mean_activations",
    "neutral_sentences",
    "overlap",
    "spread_over",
    "stand_ins",
]
