"""Metrics of the bundled tasks, for use in any task's YAML.

They read the evidence that `sna` answers carry. Under another model there is none, and baseline and
amplified values coincide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval.api.registry import get_aggregation

from sna_eval.gating import SIGNALS, ChoicesSignal, Gate
from sna_eval.harness.metric_names import (  # and lm_eval knows them: a task may name metrics
    METRICS,
    ZONES,
    Improvement,
    improvement_pct,
    scored_mean,
    total,
)
from sna_eval.harness.plugin.running import task_in_hand
from sna_eval.harness.tasks.questions import unconditional_requests
from sna_eval.harness.values import evidence_of

__all__ = [
    "classification_results",
    "generation_results",
    "improvement_pct",
    "scored_mean",
    "total",
]


def generation_results(
    doc: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """`process_results` of tasks with one continuation: probabilities of the target."""
    ((value, is_greedy),) = results
    evidence = evidence_of(value)
    after = math.exp(value)
    before = math.exp(evidence.baseline) if evidence else after
    gate = Gate()
    values = {
        "prob": after,
        "baseline_prob": before,
        "delta_prob": after - before,
        "improvement_pct": Improvement(after, before),
        "acc": float(is_greedy),
        "baseline_acc": float(evidence.baseline_is_greedy if evidence else is_greedy),
        "amplified_fraction": float(evidence.amplified) if evidence else 0.0,
        "zone": float(evidence.zone if evidence else gate.zone(before)),
        "confidence": evidence.confidence if evidence else before,
        "decision": float(evidence.amplified) if evidence else 0.0,
        "oracle": float(evidence.oracle) if evidence else 0.0,
    }
    return _declared(values)


def classification_results(
    doc: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """`process_results` of multiple-choice tasks whose right choice is `doc["label"]`.

    Accuracy by zone is `None` for items of other zones, which the mean leaves out.
    """
    gold = int(doc["label"])
    after = [value for value, _ in results][: _choices(doc, len(results))]
    evidence = [evidence_of(value) for value in after]
    before = [
        known.baseline if known else value for known, value in zip(evidence, after, strict=True)
    ]
    first = evidence[0]
    usual = SIGNALS.first(ChoicesSignal)
    alone = 1.0 if len(before) == 1 else None  # a single choice is as sure as can be
    confidence = first.confidence if first else alone or usual.measure(before)
    zone = first.zone if first else Gate.by(usual).zone(confidence)
    chosen, chosen_before = _argmax(after), _argmax(before)
    acc, baseline_acc = float(chosen == gold), float(chosen_before == gold)
    by_zone: dict[str, Any] = {}
    for number in ZONES:
        inside = zone == number
        by_zone[f"acc_zone{number}"] = acc if inside else None
        by_zone[f"baseline_acc_zone{number}"] = baseline_acc if inside else None
        by_zone[f"n_zone{number}"] = float(inside)
    values = {
        "acc": acc,
        "baseline_acc": baseline_acc,
        **by_zone,
        "flips_zone3": float(zone == 3 and chosen != chosen_before),
        "amplified_fraction": float(first.amplified) if first else 0.0,
        "zone": float(zone),
        "confidence": confidence,
        "decision": float(first.amplified) if first else 0.0,
        "oracle": float(first.oracle) if first else 0.0,
    }
    return _declared(values)


def _declared(values: dict[str, Any]) -> dict[str, Any]:
    """The same values, after the task has learned how those are aggregated that it does not list.

    lm_eval takes the mean of what `metric_list` does not name. Of a percentage that is another
    number than the percentage of the means, and of accuracies by zone there is none.
    """
    task = task_in_hand()
    if task is not None:
        ours = {name: METRICS[name] for name in values.keys() & METRICS.keys()}
        better = {name: higher for name, (_, higher) in ours.items()}
        by = {name: get_aggregation(aggregation) for name, (aggregation, _) in ours.items()}
        _teach(task, "aggregation", "_aggregation_list", by)
        _teach(task, "higher_is_better", "_higher_is_better", better)
    return values


def _teach(task: Any, method: str, table: str, known: dict[str, Any]) -> None:
    """Makes one of a task's tables hold what is known, beside what it says itself.

    **Arguments:**

    - `table`: where tasks from YAML keep it; classes may have a method of their own.
    """
    missing = known.keys() - getattr(task, method)().keys()
    if not missing:
        return
    added = {name: known[name] for name in missing}
    getattr(task, table, {}).update(added)
    said = getattr(task, method)
    if missing - said().keys():
        setattr(task, method, lambda: {**added, **said()})


def _choices(doc: dict[str, Any], count: int) -> int:
    """How many of a document's answers are to its choices; mutual information asks for more."""
    task = task_in_hand()
    return count if task is None else count - unconditional_requests(task, doc, count)


def _argmax(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda number: values[number])
