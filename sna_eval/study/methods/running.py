"""Measures methods on tasks, one unit after the other, and goes on where a run was stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.harness.model.numerics import numerics
from sna_eval.harness.tasks.kinds import output_type
from sna_eval.harness.tasks.live_tasks import examples_of
from sna_eval.hashing import digest
from sna_eval.measuring.items import development_fingerprint, items_fingerprint
from sna_eval.plan import TaskPlan, match_task, plan_fingerprint, resolve_task, task_fingerprint
from sna_eval.study.methods.evaluating import evaluate
from sna_eval.study.methods.options import MethodsOptions
from sna_eval.study.methods.strength import choose_strength
from sna_eval.study.methods.table import MethodTable, make_table
from sna_eval.study.methods.units import MethodUnit, MethodUnits, model_settings
from sna_eval.study.methods.variants import Variant
from sna_eval.study.versions import versions

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


def measure_methods(
    lm: SNALM,
    tasks: Mapping[str, Any],
    variants: Sequence[Variant],
    options: MethodsOptions | None = None,
    *,
    output: str | Path | None = None,
    model_args: str | Mapping[str, Any] = "",
    quiet: bool = False,
) -> MethodTable:
    """Every variant on every task, behind the gates of `lm.plan`.

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
    measure = _Measurement(lm, options)
    work = [(name, own) for name in tasks for own in variants]
    found = []
    with tqdm(work, desc="Methods", disable=quiet) as bar:
        for name, variant in bar:
            bar.set_postfix_str(f"{name} {variant.label}")
            unit = units.read(variant.label, name, items_hash=hashes[name])
            if unit is None:
                unit = measure.unit(variant, name, tasks[name], bases[name])
                unit = replace(unit, items_hash=hashes[name])
                units.write(unit)
            found.append(replace(unit, oracle=variant.plan(bases[name]).oracle))
    return make_table(found, options, settings=settings)


class _Measurement:
    """Measures units with one model."""

    def __init__(self, lm: SNALM, options: MethodsOptions) -> None:
        self._lm = lm
        self._options = options
        self._bench = replace(lm.bench, batch_size=options.batch_size)

    def unit(self, variant: Variant, name: str, task: Any, base: TaskPlan) -> MethodUnit:
        """One method on one task: search, choice of strength, the gated run, the ungated one."""
        started = time.monotonic()
        plan = variant.plan(base)
        if not plan.resolved:
            plan = resolve_task(plan, self._bench, partial(examples_of, task))
        strength = None
        if variant.steers:
            plan, strength = self._at_best(task, plan)
        gated = evaluate(self._lm, name, task, plan, limit=self._options.limit)
        seconds = time.monotonic() - started
        always = replace(plan, gate=replace(plan.gate, mode="always"))
        everywhere = evaluate(self._lm, name, task, always, limit=self._options.limit)
        return MethodUnit(
            label=variant.label, method=variant.method, task=name, measure=gated.measure,
            before=gated.before, after=gated.after, everywhere=everywhere.after,
            zones=gated.zones, amplified=gated.amplified, strength=strength,
            seconds=round(seconds, 3), fingerprint=task_fingerprint(plan),
            sees_answer=plan.sees_answer, oracle=plan.oracle,
        )  # fmt: skip

    def _at_best(self, task: Any, plan: TaskPlan) -> tuple[TaskPlan, float]:
        """Strengths are multiples of the length of the differences the vector was made from."""
        (entry,) = plan.interventions
        told = None if entry.found is None else entry.found.difference_norm
        norm = 1.0 if told is None else told
        chosen = choose_strength(self._lm, task, plan, self._options.strengths, norm=norm)
        return chosen.plan, chosen.strength


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
    return digest([measured, development_fingerprint(task)])


def _settings(
    lm: SNALM, options: MethodsOptions, model_args: str | Mapping[str, Any]
) -> dict[str, Any]:
    """What must be the same for two units to stand in one table."""
    asked = asdict(options)
    return {
        **model_settings(model_args),
        "model_hash": lm.model_hash,
        **numerics(lm),
        "plan_fingerprint": plan_fingerprint(lm.plan),
        "limit": asked["limit"],
        "strengths": list(asked["strengths"]),
        "seed": asked["seed"],
        "versions": versions(),
    }
