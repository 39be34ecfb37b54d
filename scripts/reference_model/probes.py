"""What a model can do: mean P(target) per task, sentiment accuracy, and the zones of both.

Zones and margins follow the project's definitions: P(target) below 0.07, between, above 0.10; the
margin `|p1 - p2| / (p1 + p2)` below 0.30, between, above 0.60. Only measures; nothing here is
trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from task_items import Item

from .scoring import target_log_probs
from .sources import Review

PROBABILITY_BOUNDS = (0.07, 0.10)
MARGIN_BOUNDS = (0.30, 0.60)
LABELS = (" negative", " positive")


@dataclass(frozen=True)
class TaskProbe:
    """P(target) over the items of one task."""

    items: int
    mean: float
    """Mean P(target)."""
    zone: int
    """Zone of the mean."""
    shares: tuple[float, float, float]
    """Share of the items in zones 1, 2 and 3."""


@dataclass(frozen=True)
class ReviewProbe:
    """Zero-shot sentiment over labelled reviews."""

    items: int
    accuracy: float
    shares: tuple[float, float, float]
    """Share of the reviews whose margin lies in zones 1, 2 and 3."""
    zone_accuracy: tuple[float, float, float]
    """Accuracy within each zone; NaN where it is empty."""


def zone_of(value: float, bounds: tuple[float, float]) -> int:
    """1 below, 2 within, 3 above the bounds."""
    low, high = bounds
    return 1 if value < low else 3 if value > high else 2


def probe_task(model: GPT2LMHeadModel, tokenizer: Tokenizer, items: list[Item]) -> TaskProbe:
    """Mean P(target) and the items' zones."""
    scores = target_log_probs(model, tokenizer, [(item.prompt, item.target) for item in items])
    probabilities = [math.exp(score) for score in scores]
    mean = sum(probabilities) / len(probabilities)
    zones = [zone_of(p, PROBABILITY_BOUNDS) for p in probabilities]
    return TaskProbe(len(items), mean, zone_of(mean, PROBABILITY_BOUNDS), _shares(zones))


def probe_reviews(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, reviews: list[Review]
) -> ReviewProbe:
    """Accuracy and margin zones of the choice between the two labels."""
    prompts = [f"Review: {review.sentence} Sentiment:" for review in reviews]
    negative, positive = (
        target_log_probs(model, tokenizer, [(prompt, label) for prompt in prompts])
        for label in LABELS
    )
    right = [(p > n) == r.positive for n, p, r in zip(negative, positive, reviews, strict=True)]
    margins = [abs(math.tanh((p - n) / 2)) for n, p in zip(negative, positive, strict=True)]
    zones = [zone_of(margin, MARGIN_BOUNDS) for margin in margins]
    by_zone = [[r for r, z in zip(right, zones, strict=True) if z == zone] for zone in (1, 2, 3)]
    accuracies = tuple(sum(hits) / len(hits) if hits else math.nan for hits in by_zone)
    return ReviewProbe(len(reviews), sum(right) / len(right), _shares(zones), accuracies)


def _shares(zones: list[int]) -> tuple[float, float, float]:
    first, second, third = (zones.count(zone) / len(zones) for zone in (1, 2, 3))
    return first, second, third
