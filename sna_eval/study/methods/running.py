"""Measures methods on tasks, one unit after the other, and goes on where a run was stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.harness.loading import ModelArguments
from sna_eval.harness.model.kept import numerics
from sna_eval.harness.tasks.questions import output_type
from sna_eval.measuring.items import development_fingerprint, items_fingerprint
from sna_eval.plan import TaskPlan, match_task, plan_fingerprint
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.table import MethodTable, make_table
from sna_eval.study.methods.task_methods import TaskMethods
from sna_eval.study.methods.units import MethodUnit, MethodUnits, model_settings
from sna_eval.study.methods.variants import RANDOM, Variant
from sna_eval.study.same_settings import versions

if TYPE_CHECKING:
    from lm_eval.api.task import Task

    from sna_eval.harness.lm import SNALM


def measure_methods(
    lm: SNALM,
    tasks: Mapping[str, Task],
    variants: Sequence[Variant],
    options: MethodsOptions | None = None,
    *,
    output: str | Path | None = None,
    model_args: ModelArguments = "",
    quiet: bool = False,
) -> MethodTable:
    """Every variant on every task, behind the gates of `lm.plan`.

    `other_layer` has no row where a plan leaves no layer alone that has such units.

    **Arguments:**

    - `lm`: an `SNALM` whose plan has an intervention for every task.
    - `tasks`: lm_eval tasks by name, scored by log-likelihood.
    - `output`: folder that units are kept in; a run that was stopped goes on there.
    - `model_args`: what `lm` was loaded with, for the record.

    **Raises:** `InputError` where the plan leaves a task alone or a task generates text, and where
    the folder holds units of another model, plan or way of measuring, or of other items.
    """
    options = options or MethodsOptions()
    bases = {name: _base(lm, name) for name in tasks}
    for name, task in tasks.items():
        _check_scored(name, task)
    hashes = {name: _items_hash(lm, task, options.limit) for name, task in tasks.items()}
    settings = _settings(lm, options, model_args)
    units = MethodUnits(output, settings)
    measures = {
        name: TaskMethods(lm, name, task, bases[name], options, output, quiet=quiet)
        for name, task in tasks.items()
    }
    work = [(name, variant) for name in tasks for variant in variants]
    found: list[MethodUnit] = []
    with tqdm(work, desc="Methods", disable=quiet) as bar:
        for name, variant in bar:
            bar.set_postfix_str(f"{name} {variant.label}")
            if variant.label == RANDOM:
                found += measures[name].random_units()
                continue
            if not measures[name].has(variant):
                continue
            unit = units.read(variant.label, name, items_hash=hashes[name])
            if unit is None:
                unit = replace(measures[name].unit(variant), items_hash=hashes[name])
                units.write(unit)
            found.append(replace(unit, oracle=bases[name].oracle and variant.keeps_direction))
    return make_table(found, options, settings=settings)


def _base(lm: SNALM, name: str) -> TaskPlan:
    plan = match_task(lm.plan, name)
    if plan is None or not plan.interventions or plan.gate.mode == "never":
        raise InputError(
            "plan", expected=f"an intervention for task {name}", got=", ".join(lm.plan.tasks),
            hint="methods are set beside a plan's own intervention",
        )  # fmt: skip
    return plan


def _check_scored(name: str, task: Any) -> None:
    if output_type(task) not in ("loglikelihood", "multiple_choice"):
        raise InputError(
            "tasks", expected="tasks whose answers are scored by log-likelihood",
            got=f"{name}: {output_type(task)}",
            hint="generated and rolling texts are evaluated by `lm_eval --model sna`",
        )  # fmt: skip


def _items_hash(lm: SNALM, task: Any, limit: int | None) -> str:
    """Of the items that are measured, and of those that are searched on."""
    measured = items_fingerprint(task, lm, split="test", limit=limit)
    return digest([measured, development_fingerprint(task, lm)])


def _settings(lm: SNALM, options: MethodsOptions, model_args: ModelArguments) -> dict[str, Any]:
    """What must be the same for two units to stand in one table."""
    asked = asdict(options)
    return {
        **model_settings(model_args),
        "model_hash": lm.model_hash,
        **numerics(lm),
        "plan_fingerprint": plan_fingerprint(lm.plan),
        "limit": asked["limit"],
        "strengths": list(asked["strengths"]),
        "tried": asked["tried"],
        "nulls": "searched",
        "seed": asked["seed"],
        "versions": versions(),
    }
