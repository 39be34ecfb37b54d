"""Metrics of the bundled tasks, for use in any task's YAML.

They read the evidence that `sna` answers carry. Under another model there is none, and baseline and
amplified values coincide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sna_eval.gating import ChoicesSignal, Gate, usual_signal
from sna_eval.harness.values import evidence_of

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


def generation_results(
    doc: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """`process_results` of tasks with one continuation: probabilities of the target."""
    ((value, is_greedy),) = results
    evidence = evidence_of(value)
    after = math.exp(value)
    before = math.exp(evidence.baseline) if evidence else after
    gate = Gate()
    return {
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


def classification_results(
    doc: dict[str, Any], results: Sequence[tuple[float, bool]]
) -> dict[str, Any]:
    """`process_results` of multiple-choice tasks whose right choice is `doc["label"]`.

    Accuracy by zone is `None` for items of other zones, which the mean leaves out.
    """
    gold = int(doc["label"])
    values = [value for value, _ in results]
    evidence = [evidence_of(value) for value in values]
    before = [own.baseline if own else value for own, value in zip(evidence, values, strict=True)]
    first = evidence[0]
    usual = usual_signal(ChoicesSignal)
    confidence = first.confidence if first else usual.measure(before)
    zone = first.zone if first else Gate.by(usual).zone(confidence)
    chosen, chosen_before = _argmax(values), _argmax(before)
    acc, baseline_acc = float(chosen == gold), float(chosen_before == gold)
    by_zone: dict[str, Any] = {}
    for number in ZONES:
        inside = zone == number
        by_zone[f"acc_zone{number}"] = acc if inside else None
        by_zone[f"baseline_acc_zone{number}"] = baseline_acc if inside else None
        by_zone[f"n_zone{number}"] = float(inside)
    return {
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


def _argmax(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda number: values[number])
