"""From `select:` to neuron indices, scores and a record of how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sna_eval.errors import InputError
from sna_eval.intervention import Sites
from sna_eval.methods import Examples, Resolution, Workbench, find_contrastive, find_differential
from sna_eval.neurons import Selected, neutral_sentences
from sna_eval.plan.cache import read_entry, write_entry
from sna_eval.plan.fingerprint import digest, model_fingerprint, prompt_fingerprint
from sna_eval.plan.schema import Plan, PlannedIntervention, Selection, TaskPlan

_FINDERS = {"differential": find_differential, "contrastive": find_contrastive}


def check_model(plan: Plan, sites: Sites) -> None:
    """Raises `InputError` if the plan was made for a model of other dimensions."""
    for name, expected, own in (
        ("n_layers", plan.model.n_layers, sites.n_layers),
        ("d_mlp", plan.model.d_mlp, sites.d_mlp),
    ):
        if expected is not None and expected != own:
            raise InputError(
                f"model.{name}",
                expected=f"{own}, as the loaded model has",
                got=expected,
                hint=f"this plan was made for {plan.model.name or 'another model'}; load that one",
            )
    for name, task in plan.tasks.items():
        check_task(task, sites, field=f"tasks.{name}")


def check_task(task: TaskPlan, sites: Sites, *, field: str) -> None:
    """Raises `InputError` if a layer or neuron does not exist in the model."""
    for number, entry in enumerate(task.interventions):
        where = f"{field}.interventions[{number}]"
        sites.check_layer(entry.layer, field=f"{where}.layer")
        for neurons in (entry.neurons or {}).values():
            sites.check_neurons(neurons, field=f"{where}.neurons")


def resolve_task(task: TaskPlan, bench: Workbench, examples: Examples) -> TaskPlan:
    """The same plan with every `select` replaced by the neurons it finds."""
    interventions = tuple(
        entry if entry.select is None else _resolve(entry, entry.select, bench, examples)
        for entry in task.interventions
    )
    return replace(task, interventions=interventions)


def _resolve(
    entry: PlannedIntervention, selection: Selection, bench: Workbench, examples: Examples
) -> PlannedIntervention:
    found = {
        **asdict(selection),
        "model_hash": model_fingerprint(bench.model),
        "prompt_hash": prompt_fingerprint(
            [*examples.prompts, *examples.label_names, *map(str, examples.labels or ())]
        ),
        "reference_hash": prompt_fingerprint(neutral_sentences()),
        "n_prompts": len(examples.prompts),
    }
    name = digest({"layer": entry.layer, **found})
    resolution = _from_cache(read_entry(name))
    if resolution is None:
        finder = _FINDERS[selection.method]
        resolution = finder(
            bench, examples, layer=entry.layer, top_k=selection.top_k, pooling=selection.pooling
        )
        write_entry(name, _to_cache(resolution))
    return replace(
        entry,
        select=None,
        neurons={label: chosen.neurons for label, chosen in resolution.selected.items()},
        scores={label: chosen.scores for label, chosen in resolution.selected.items()},
        found={**found, **resolution.remarks},
    )


def _to_cache(resolution: Resolution) -> dict[str, Any]:
    return {
        "selected": {label: asdict(chosen) for label, chosen in resolution.selected.items()},
        "remarks": dict(resolution.remarks),
    }


def _from_cache(entry: Mapping[str, Any] | None) -> Resolution | None:
    if entry is None:
        return None
    try:
        selected = {
            str(label): Selected(
                tuple(int(index) for index in chosen["neurons"]),
                tuple(float(score) for score in chosen["scores"]),
            )
            for label, chosen in entry["selected"].items()
        }
        return Resolution(selected, dict(entry["remarks"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
