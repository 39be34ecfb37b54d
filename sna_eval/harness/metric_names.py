"""Our metrics: how items become one number, which way is better, and lm_eval told of their names.

With these names known, `- metric: improvement_pct` in a task's YAML needs no more. They are known
once this module is imported: by `--model sna`, by every command before it loads a task, by a YAML
that names one of the functions in `sna_eval.harness.metrics`, and under any model where lm_eval
reads entry points. lm_eval has functions for metrics too, called on generated text alone: ours come
from a task's `process_results`, so there is nothing for one to do.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import lm_eval.api.metrics  # noqa: F401  (its own names first: they must stay)
from lm_eval.api.registry import register_aggregation, register_metric

ZONES = (1, 2, 3)


class Improvement(float):
    """One item's improvement in percent; remembers both probabilities for the mean over items."""

    __slots__ = ("after", "before")
    after: float
    before: float

    def __new__(cls, after: float, before: float) -> Improvement:
        value = super().__new__(cls, (after - before) / before * 100 if before else 0.0)
        value.after, value.before = after, before
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return (Improvement, (self.after, self.before))


def improvement_pct(items: Sequence[Any]) -> float:
    """`(P_post - P_base) / P_base * 100` of the means over items (Akhtar 2026, section 3.4)."""
    before = sum(item.before for item in items)
    after = sum(item.after for item in items)
    return (after - before) / before * 100 if before else math.nan


def scored_mean(items: Sequence[float | None]) -> float:
    """Mean over the items that have a value; NaN where none has."""
    values = [value for value in items if value is not None]
    return sum(values) / len(values) if values else math.nan


def total(items: Sequence[float]) -> float:
    """Sum over items."""
    return float(sum(items))


AGGREGATIONS = {
    "sna_improvement_pct": improvement_pct,
    "sna_scored_mean": scored_mean,
    "sna_total": total,
}
"""By the name that lm_eval knows them by; `mean` is its own."""
METRICS: dict[str, tuple[str, bool]] = {
    "prob": ("mean", True),
    "baseline_prob": ("mean", True),
    "delta_prob": ("mean", True),
    "improvement_pct": ("sna_improvement_pct", True),
    "baseline_acc": ("mean", True),
    "amplified_fraction": ("mean", False),
    **{f"acc_zone{zone}": ("sna_scored_mean", True) for zone in ZONES},
    **{f"baseline_acc_zone{zone}": ("sna_scored_mean", True) for zone in ZONES},
    **{f"n_zone{zone}": ("sna_total", False) for zone in ZONES},
    "flips_zone3": ("sna_total", False),
    "kl_from_baseline": ("sna_scored_mean", False),
}
"""Aggregation and whether higher is better, by the metric's name."""
COMPARISONS = frozenset(
    {
        "delta_prob", "improvement_pct", "flips_zone3", "kl_from_baseline", "amplified_fraction",
        *(f"n_zone{zone}" for zone in ZONES), "zone", "confidence", "decision", "oracle",
    }
)  # fmt: skip
"""Metrics that hold one model against the other, or tell of the gate: they have no baseline."""


_LOGGER = logging.getLogger(__name__)


def values(items: Sequence[Any]) -> Sequence[Any]:
    """The metrics' function: what `process_results` gave."""
    return items


def _register() -> None:
    for name, function in AGGREGATIONS.items():
        register_aggregation(name)(function)
    for name, (aggregation, higher_is_better) in METRICS.items():
        try:
            register_metric(
                metric=name, aggregation=aggregation, higher_is_better=higher_is_better
            )(values)
        except ValueError as error:  # another plugin's: tasks of ours say all of it themselves
            _LOGGER.debug("metric %s: %s", name, error)


_register()
