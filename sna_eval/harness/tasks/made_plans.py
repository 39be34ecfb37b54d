"""Task plans that are made when a task is met, and kept in one plan file.

The file lies beside the results where lm_eval writes any, else under `made-plans` in the cache
folder. Given as `plan=` it repeats the run without making anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import torch

from sna_eval.cache import cache_dir
from sna_eval.errors import InputError, writing
from sna_eval.gating import SIGNALS, Gate
from sna_eval.harness.plugin.running import output_folder
from sna_eval.harness.tasks.live_tasks import LiveTasks, development_docs, no_development_items
from sna_eval.harness.tasks.plan_makers import (
    PlanMakerOptions,
    announce,
    load_gate_check,
    load_maker,
)
from sna_eval.harness.tasks.searched_plans import SearchedPlans
from sna_eval.methods import Workbench
from sna_eval.plan import ModelSpec, Plan, TaskPlan, save_plan


class MadePlans(SearchedPlans):
    """Asks a maker for each task's plan; `plan` holds those made so far."""

    def __init__(self, lm: Any, options: PlanMakerOptions, bench: Workbench) -> None:
        super().__init__(Plan({}), bench, lm.ranks)
        if self._ranks.sharded:
            raise InputError(
                "plan", expected=f"a model that one process holds, for plan={options.maker}",
                got=f"one held by {self._ranks.size}",
                hint="make the plan with parallelize=True in one process, and give its file",
            )  # fmt: skip
        self._lm, self._maker_options = lm, options

    def unsearched(self, name: str) -> TaskPlan | None:
        """The gate that is asked for where the plan is still to be made; `None` for none."""
        made = self._resolved.get(name)
        signal = self._maker_options.gate.get("gate")
        if made is not None or not isinstance(signal, str) or signal not in SIGNALS:
            return made
        return TaskPlan(Gate.by(SIGNALS[signal]), ())

    def prepare(self, instances: Sequence[Any]) -> None:
        """Makes the plans of all requests' tasks, once it is known that all of them can be made."""
        self.check(instances)
        new = self._new(instances)
        for instance in new.values():
            self.for_instance(instance)
        if new and self._ranks.first:
            announce(f"plan={self._maker_options.maker} saved as {self.file}")

    def check(self, instances: Sequence[Any]) -> None:
        live = LiveTasks()
        for name, instance in self._new(instances).items():
            self._check(name, live.of(instance))

    def _new(self, instances: Sequence[Any]) -> dict[str, Any]:
        """One instance of each task whose plan is still to be made."""
        first = {instance.task_name or "": instance for instance in instances}
        return {name: instance for name, instance in first.items() if name not in self._resolved}

    def _resolve(self, name: str, instance: Any, task: Any = None) -> TaskPlan:
        owner = task or LiveTasks().of(instance)
        self._check(name, owner)
        made, model = self._ranks.agreed(lambda: self._make(name, owner))
        self.plan = Plan({**self.plan.tasks, name: made}, model)
        self._save()
        return made

    def _make(self, name: str, task: Any) -> tuple[TaskPlan, ModelSpec]:
        with torch.random.fork_rng():  # what is sampled later must not depend on the sweep
            made = load_maker(self._maker_options.maker)(self._lm, name, task, self._maker_options)
        return made.tasks[name], made.model

    def _check(self, name: str, task: Any) -> None:
        try:
            if task is None:
                raise no_development_items(name)
            development_docs(task)
        except InputError as error:
            raise InputError(
                "plan",
                expected=f"tasks with development items for plan={self._maker_options.maker} (a "
                "validation or training split beside the evaluated one)",
                got=f"{name}, which has none",
                hint="add a split to the task, or give plan=FILE or neurons=",
            ) from error
        load_gate_check(self._maker_options.maker)(self._maker_options.gate, task)

    def _save(self) -> None:
        """Writes all plans made so far."""
        if self.file is None:
            folder = output_folder() or cache_dir() / "made-plans"
            moment = datetime.now().isoformat().replace(":", "-")
            self.file = folder / f"plan_{moment}.yaml"
        if self._ranks.first:
            with writing(self.file):
                self.file.parent.mkdir(parents=True, exist_ok=True)
            save_plan(self.plan, self.file)
