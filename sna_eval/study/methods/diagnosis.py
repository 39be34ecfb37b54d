"""Which of a plan's neurons, heads or features carry its effect, and which only move confidence.

Measured on the development items whose gate opens, so that a plan may be cut to what is found.
Gates that read the next token's distribution are not asked: behind them all development items
count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Intervention, Unit
from sna_eval.intervention.sites import UNITS
from sna_eval.measuring.items import answered_rows
from sna_eval.measuring.subjects import Subject, log_likelihoods, task_subject
from sna_eval.measuring.values import item_values, opened
from sna_eval.neurons.activation_patching import NeuronEffect, Patching, Place, patch_neurons
from sna_eval.neurons.entropy_neurons import WritingStatistics, writing_statistics
from sna_eval.plan import (
    PlannedIntervention,
    Provenance,
    TaskPlan,
    plain_interventions,
    task_fingerprint,
)

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found about one task's plan."""

    task: str
    fingerprint: str
    n_items: int
    """Development items that were patched, as the module says."""
    patching: Patching
    writing: Mapping[Place, WritingStatistics]
    """By layer and unit."""
    cut: TaskPlan
    """The plan with the neurons that carry the effect."""
    cut_effect: float
    """What the cut plan gains on the same items."""

    def entropy_neurons(self) -> tuple[NeuronEffect, ...]:
        """The plan's neurons that write into the near-null space."""
        return tuple(
            effect
            for effect in self.patching.neurons
            if self.writing_of(effect).among([effect.neuron])
        )

    def writing_of(self, effect: NeuronEffect) -> WritingStatistics:
        """Where the neurons write that a neuron is one of."""
        return self.writing[effect.layer, effect.unit]

    def as_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "plan_fingerprint": self.fingerprint,
            "n_items": self.n_items,
            "baseline": self.patching.baseline,
            "amplified": self.patching.amplified,
            "neurons": [
                {**asdict(effect), **self._written(effect)} for effect in self.patching.neurons
            ],
            "entropy_neurons_of_layer": {
                (str(layer) if unit == "mlp" else f"{layer}, {UNITS[unit]}"): list(
                    written.entropy_neurons()
                )
                for (layer, unit), written in self.writing.items()
            },
            "cut_effect": self.cut_effect,
        }

    def _written(self, effect: NeuronEffect) -> dict[str, Any]:
        writing = self.writing_of(effect)
        return {
            "norm": float(writing.norms[effect.neuron]),
            "null_share": float(writing.null_share[effect.neuron]),
            "logit_variance": float(writing.logit_variance[effect.neuron]),
            "entropy_neuron": bool(writing.among([effect.neuron])),
        }


def diagnose(lm: SNALM, name: str, task: Any, *, keep: float, quiet: bool = False) -> Diagnosis:
    """Patches every neuron, head or feature of a task's plan, and cuts the plan.

    **Arguments:**

    - `lm`: an `SNALM` with a plan for the task.
    - `keep`: share of the effect that the cut plan's neurons carry alone, added up.
    - `quiet`: whether no progress is shown.

    **Raises:** `InputError` where the plan does something else than multiply neurons, or opens for
    no development item.
    """
    if not 0 < keep <= 1:
        raise InputError("keep", expected="a share above 0 and up to 1", got=keep)
    if lm.sites.n_experts or lm.sites.found_by != "TransformerLens":
        raise InputError(
            "pretrained", expected="a model whose neurons TransformerLens patches one by one",
            got=f"{lm.sites.architecture}, "
            + ("a mixture of experts" if lm.sites.n_experts else "which it does not know"),
        )  # fmt: skip
    plan = lm.plans.for_task(task)
    interventions = _neuron_factors(plan, name)
    assert plan is not None, "it has neurons"
    subject = task_subject(name, task, lm, split="development")
    assert subject.items is not None
    scores = log_likelihoods(lm.engine, subject, [], quiet=quiet)
    inside = opened(subject.items, plan.gate, scores[0])
    if not inside.any():
        raise InputError(
            f"tasks.{name}.gate", expected="a gate that opens for a development item", got="none",
            hint="nothing is amplified, so no neuron carries anything",
        )  # fmt: skip
    every = answered_rows(subject.items, max_length=lm.max_length)
    rows = [row for row, one in zip(every, inside, strict=True) if one]
    runs = 2 + 2 * sum(len(entry.neurons) for entry in interventions)
    with tqdm(total=runs, desc=f"Patching {name}", disable=quiet) as bar:
        patching = patch_neurons(
            lm.model, lm.tokenizer, rows, interventions, sites=lm.sites, progress=bar.update
        )
    carriers = patching.carrying(keep)
    cut = _cut(plan, {(effect.layer, effect.unit, effect.neuron) for effect in carriers})
    return Diagnosis(
        task=name,
        fingerprint=task_fingerprint(plan),
        n_items=len(rows),
        patching=patching,
        writing={
            (layer, unit): writing_statistics(lm.model, lm.sites.of(unit), layer)
            for layer, unit in sorted({(entry.layer, entry.unit) for entry in interventions})
        },
        cut=cut,
        cut_effect=_effect(lm, subject, plain_interventions(cut), inside, quiet=quiet),
    )


def _neuron_factors(plan: TaskPlan | None, name: str) -> list[Intervention]:
    """The plan's interventions, each neuron once."""
    given = plain_interventions(plan) if plan is not None else ()
    found = [
        entry for entry in given if isinstance(entry, Intervention) and not entry.changes_nothing
    ]
    if not found or len(found) < len(given):
        raise InputError(
            f"tasks.{name}", expected="a plan that multiplies chosen neurons, and nothing else",
            got="none" if not given else type(given[0]).__name__,
        )  # fmt: skip
    places = [(entry.layer, entry.unit, neuron) for entry in found for neuron in entry.neurons]
    if len(set(places)) < len(places) or any(entry.positions != "all" for entry in found):
        raise InputError(
            f"tasks.{name}.interventions", expected="each neuron once, at all positions",
            got="a neuron twice, or other positions",
        )  # fmt: skip
    return found


def _cut(plan: TaskPlan, kept: Collection[tuple[int, Unit, int]]) -> TaskPlan:
    """The plan without the neurons that are not among `kept`, and without entries left empty."""
    entries = (_cut_entry(entry, kept) for entry in plan.interventions)
    return replace(
        plan, interventions=tuple(entry for entry in entries if any((entry.neurons or {}).values()))
    )


def _cut_entry(
    entry: PlannedIntervention, kept: Collection[tuple[int, Unit, int]]
) -> PlannedIntervention:
    neurons, scores = entry.neurons or {}, entry.scores
    stay = {
        label: [n for n, neuron in enumerate(sets) if (entry.layer, entry.unit, neuron) in kept]
        for label, sets in neurons.items()
    }
    before = sum(map(len, neurons.values()))
    return replace(
        entry,
        neurons={
            label: tuple(neurons[label][n] for n in numbers) for label, numbers in stay.items()
        },
        scores=None
        if scores is None
        else {label: tuple(scores[label][n] for n in numbers) for label, numbers in stay.items()},
        found=(entry.found or Provenance()).saying(cut_from=before),
    )


def _effect(
    lm: SNALM, subject: Subject, interventions: tuple[Affine, ...], inside: Any, *, quiet: bool
) -> float:
    """Change of mean P(target) among the items concerned."""
    assert subject.items is not None
    scores = log_likelihoods(lm.engine, subject, [interventions], quiet=quiet)
    before, after = item_values(subject.items, scores).prob
    return float(np.mean((after - before)[inside]))
