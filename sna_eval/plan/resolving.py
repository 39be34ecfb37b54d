"""From `select:` to neuron indices, scores and a record of how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sna_eval.cache import read_entry, write_entry
from sna_eval.errors import InputError
from sna_eval.hashing import digest, prompt_fingerprint
from sna_eval.intervention import Sites
from sna_eval.intervention.fingerprint import config_fingerprint, model_fingerprint
from sna_eval.methods import Examples, Resolution, Wanted, Workbench
from sna_eval.neurons import Selected, neutral_sentences
from sna_eval.plan.fingerprint import answers_fingerprint
from sna_eval.plan.schema import Plan, PlannedIntervention, TaskPlan
from sna_eval.plan.vectors import parameters_from_lists, parameters_to_lists


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
        if entry.how.chooses_neurons or not 0 <= entry.layer < sites.n_layers:
            sites.check_layer(entry.layer, field=f"{where}.layer")
        for neurons in (entry.neurons or {}).values():
            sites.check_neurons(neurons, field=f"{where}.neurons")
        if entry.resolved:
            _check_parameters(entry, sites, where)


def _check_parameters(entry: PlannedIntervention, sites: Sites, where: str) -> None:
    try:
        for own in entry.built():
            own.check(sites)
    except InputError as error:
        raise InputError(
            f"{where}.{error.field}", expected=error.expected, got=error.got, hint=error.hint
        ) from error


def resolve_task(task: TaskPlan, bench: Workbench, examples: Examples) -> TaskPlan:
    """The same plan with what every entry's method finds: neurons or parameters."""
    interventions = tuple(
        entry if entry.resolved else _resolve(entry, bench, examples)
        for entry in task.interventions
    )
    return replace(task, interventions=interventions)


def _resolve(
    entry: PlannedIntervention, bench: Workbench, examples: Examples
) -> PlannedIntervention:
    found = _record(entry, bench, examples)
    tokens = [list(bench.encode(prompt)) for prompt in examples.prompts]
    read = {
        "layer": entry.layer,
        "tokens": tokens,
        "window": bench.max_length,
        "dtype": str(next(bench.model.parameters()).dtype),
        "config": config_fingerprint(bench.model),
        "shown": [(own.context, own.described) for own in examples.questions],
    }
    name = digest({**read, "delimiter": examples.delimiter, **found})
    resolution = _from_cache(bench.same(lambda: read_entry(name)))
    if resolution is None:
        resolution = entry.how.find(bench, examples, _wanted(entry))
        write_entry(name, _to_cache(resolution))
    found = {**found, **resolution.remarks}
    layer = entry.layer if resolution.layer is None else resolution.layer
    if not entry.how.chooses_neurons:
        return replace(entry, layer=layer, parameters=dict(resolution.parameters), found=found)
    return replace(
        entry,
        layer=layer,
        select=None,
        neurons={label: chosen.neurons for label, chosen in resolution.selected.items()},
        scores={label: chosen.scores for label, chosen in resolution.selected.items()},
        found=found,
    )


def _wanted(entry: PlannedIntervention) -> Wanted:
    options = entry.how.settle(entry.options)
    if entry.select is None:
        return Wanted(entry.layer, options)
    own = entry.select
    return Wanted(entry.layer, options, own.method, own.top_k, own.pooling, own.seed or 0)


def _record(entry: PlannedIntervention, bench: Workbench, examples: Examples) -> dict[str, Any]:
    """All that the result depends on beside the layer."""
    prompts = [*examples.prompts, *examples.label_names, *map(str, examples.labels or ())]
    asked = {} if entry.select is None else entry.select.to_dict()
    if entry.method != "sna":
        asked |= {"by": entry.method, "options": entry.how.settle(entry.options)}
    if not entry.how.chooses_neurons:
        prompts += [text for own in examples.questions for text in (*own.choices, str(own.right))]
    if entry.select is not None and entry.select.method == "attribution":
        asked["answer_hash"] = answers_fingerprint(examples)
    return {
        **asked,
        "model_hash": model_fingerprint(bench.model),
        "prompt_hash": prompt_fingerprint(prompts),
        "reference_hash": prompt_fingerprint(neutral_sentences()),
        "n_prompts": len(examples.prompts),
    }


def _to_cache(resolution: Resolution) -> dict[str, Any]:
    return {
        "selected": {label: asdict(chosen) for label, chosen in resolution.selected.items()},
        "remarks": dict(resolution.remarks),
        "parameters": parameters_to_lists(resolution.parameters),
        "layer": resolution.layer,
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
        parameters = parameters_from_lists(entry.get("parameters") or {})
        return Resolution(selected, dict(entry["remarks"]), parameters, entry.get("layer"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
