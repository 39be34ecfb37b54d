"""Tells lm_eval the names of our metrics: how they are aggregated and which way is better.

With these names known, `- metric: improvement_pct` in a task's YAML needs no more. They are known
once this module is imported: by `--model sna`, by every command before it loads a task, by a YAML
that names one of the functions in `sna_eval.harness.metrics`, and under any model where lm_eval
reads entry points. lm_eval has functions for metrics too, called on generated text alone: ours come
from a task's `process_results`, so there is nothing for one to do.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import lm_eval.api.metrics  # noqa: F401  (its own names first: they must stay)
from lm_eval.api.registry import register_aggregation, register_metric

from sna_eval.harness.aggregations import AGGREGATIONS, METRICS

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
