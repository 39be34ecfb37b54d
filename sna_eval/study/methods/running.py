"""Measures methods on tasks, one unit after the other, and goes on where a run was stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.harness.loading import ModelArguments
from sna_eval.harness.model.kept import numerics
from sna_eval.harness.scoring.ledger import GENERATED
from sna_eval.harness.tasks.questions import output_type
from sna_eval.plan import TaskPlan, match_task, plan_fingerprint
from sna_eval.study.bars import IN_PARTS
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.table import MethodTable, make_table
from sna_eval.study.methods.task_methods import TaskMethods
from sna_eval.study.methods.text_methods import TextMethods
from sna_eval.study.methods.text_scores import WrittenTexts, check_texts
from sna_eval.study.methods.units import KeptUnits, MethodUnit, MethodUnits, model_settings
from sna_eval.study.methods.variants import Variant
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

    `other_layer` has no row where a plan leaves no layer alone that has such units, and of a task
    that generates text a method has none that needs right answers.

    **Arguments:**

    - `lm`: an `SNALM` whose plan has an intervention for every task.
    - `tasks`: lm_eval tasks by name, scored by log-likelihood or generated and scored by a metric.
    - `output`: folder that units are kept in; a run that was stopped goes on there.
    - `model_args`: what `lm` was loaded with, for the record.

    **Raises:** `InputError` where the plan leaves a task alone, where a task scores rolling texts,
    or generated ones by what cannot be set side by side, and where the folder holds units of
    another model, plan or way of measuring, or of other items.
    """
    options = options or MethodsOptions()
    bases = {name: _base(lm, name) for name in tasks}
    for name, task in tasks.items():
        _check_kind(lm, name, task, bases[name])
    settings = _settings(lm, options, model_args)
    units, written = MethodUnits(output, settings), WrittenTexts(output, settings)
    with tqdm(desc="Methods", disable=quiet, delay=_AT_ONCE, bar_format=IN_PARTS) as bar:

        def measured(name: str) -> TaskMethods | TextMethods:
            task, base, say = tasks[name], bases[name], partial(_say, bar, name)
            if output_type(task) == GENERATED:
                return TextMethods(
                    lm, name, task, base, options, quiet=quiet, say=say, keep=written.get
                )
            return TaskMethods(lm, name, task, base, options, output, quiet=quiet, say=say)

        measures = {name: measured(name) for name in tasks}
        kept = {name: KeptUnits(units, name, one.items_hash) for name, one in measures.items()}
        work = [(name, v, one.steps(v)) for name, one in measures.items() for v in variants]
        bar.reset(total=sum(steps for *_, steps in work))
        found: list[MethodUnit] = []
        done = 0
        for name, variant, steps in work:
            _say(bar, name, variant.label)
            oracle = bases[name].oracle and variant.keeps_direction
            of_variant = measures[name].units(variant, kept[name])
            found += [replace(unit, oracle=oracle) for unit in of_variant]
            done += steps
            bar.update(done - bar.n)
    return make_table(found, options, settings=settings)


_AT_ONCE = 1e-6  # seconds: a bar is shown once its length is known


def _say(bar: tqdm[Any], name: str, what: str, done: float = 0) -> None:
    bar.set_postfix_str(f"{name} {what}")
    bar.update(min(done, (bar.total or 0) - bar.n))


def _base(lm: SNALM, name: str) -> TaskPlan:
    plan = match_task(lm.plan, name)
    if plan is None or not plan.interventions or plan.gate.mode == "never":
        raise InputError(
            "plan", expected=f"an intervention for task {name}", got=", ".join(lm.plan.tasks),
            hint="methods are set beside a plan's own intervention",
        )  # fmt: skip
    return plan


def _check_kind(lm: SNALM, name: str, task: Any, base: TaskPlan) -> None:
    kind = output_type(task)
    if kind == GENERATED:
        check_texts(lm, name, task, base)
    elif kind not in ("loglikelihood", "multiple_choice"):
        raise InputError(
            "tasks", expected="tasks that score answers by log-likelihood, or generate text",
            got=f"{name}: {kind}",
            hint="rolling texts are evaluated by `lm_eval --model sna`",
        )  # fmt: skip


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
