"""How values of our metrics are aggregated and which way is better, where a task does not say.

With these names known to lm_eval, `- metric: improvement_pct` in a task's YAML needs no more. They
are known once this module is imported, as `--model sna` does, and under any model where lm_eval
reads entry points. lm_eval has functions for metrics too, called on generated text alone: ours come
from a task's `process_results`, so there is nothing for one to do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import lm_eval.api.metrics  # noqa: F401  (its own names first: they must stay)
from lm_eval.api.registry import register_aggregation, register_metric

from sna_eval.harness.metrics import ZONES, improvement_pct, scored_mean, total

_LOGGER = logging.getLogger(__name__)

AGGREGATIONS = {
    "sna_improvement_pct": improvement_pct,
    "sna_scored_mean": scored_mean,
    "sna_total": total,
}
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
}
"""Aggregation and whether higher is better, by the metric's name."""


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
