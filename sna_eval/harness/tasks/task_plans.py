"""Each task's resolved plan, found once and kept for the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.tasks.live_tasks import LiveTasks, examples_of, no_development_items
from sna_eval.intervention.rows import Tokens
from sna_eval.methods import Workbench
from sna_eval.plan import Plan, TaskPlan, check_task, match_task, resolve_task

_LOGGER = logging.getLogger(__name__)


class TaskPlans:
    """Looks up what a plan does to a task, searching neurons where it says `select:`."""

    def __init__(self, plan: Plan, bench: Workbench, ranks: Ranks | None = None) -> None:
        self.plan = plan
        self.file: Path | None = None
        """Where plans are saved that were made during the run."""
        self._bench = bench
        self._ranks = ranks or Ranks()
        self.met: set[str] = set()
        """Tasks that were asked for in this run."""
        self._resolved: dict[str, TaskPlan | None] = {}

    @property
    def resolved(self) -> dict[str, TaskPlan]:
        """The tasks met so far that the plan does something to; in a run, that run's."""
        return {
            name: task
            for name, task in self._resolved.items()
            if task is not None and (name in self.met or not self.met)
        }

    def prepare(self, instances: Sequence[Any]) -> None:
        """Told of requests before they are answered; searches wait until a task is met."""

    def encode(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """Tokens of a context and its continuation, as the evaluation divides them."""
        return self._bench.pair(context, continuation)

    def for_instance(self, instance: Any) -> TaskPlan | None:
        """The resolved plan for the task of a request; `None` where the plan leaves it alone."""
        name = instance.task_name or ""
        self.met.add(name)
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name, instance)
        return self._resolved[name]

    def for_task(self, task: Any) -> TaskPlan | None:
        """The resolved plan for an lm_eval task."""
        name = task.config.task
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name, None, task)
        return self._resolved[name]

    def _resolve(self, name: str, instance: Any, task: Any = None) -> TaskPlan | None:
        plan = match_task(self.plan, name)
        if plan is None:
            if self._ranks.first:
                _LOGGER.warning("the plan has no entry for task %r: baseline only", name)
            return None
        if plan.gate.mode == "never":
            return plan
        if not plan.resolved:
            unresolved, owner = plan, task or LiveTasks().of(instance)
            plan = self._ranks.agreed(lambda: self._search(name, unresolved, owner))
        check_task(plan, self._bench.sites, field=f"tasks.{name}")
        return plan

    def _search(self, name: str, plan: TaskPlan, task: Any) -> TaskPlan:
        if task is None:
            raise no_development_items(name)
        learned = [own.method for own in plan.interventions if not own.how.chooses_neurons]
        if self._ranks.sharded and learned:
            raise InputError(
                f"tasks.{name}.method", expected="one that chooses neurons, under tp_plan",
                got=learned[0], hint="resolve the plan with sna-eval identify and parallelize=True",
            )  # fmt: skip
        _LOGGER.info("searching neurons for task %r", name)
        return resolve_task(plan, self._bench, examples_of(task))
