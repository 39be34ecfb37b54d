"""Each task's part of the plan, found once and kept for the run."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.tasks.live_tasks import LiveTasks
from sna_eval.intervention.rows import Tokens
from sna_eval.plan import Plan, TaskPlan, match_task

_LOGGER = logging.getLogger(__name__)
Owner = Callable[[], Any]
"""Gives the lm_eval task that requests belong to, or `None`."""


class TaskPlans(ABC):
    """Looks up what a plan does to a task; how neurons come about is the subclasses' affair."""

    def __init__(self, plan: Plan, ranks: Ranks | None = None) -> None:
        self.plan = plan
        self.file: Path | None = None
        """Where plans are saved that were made during the run."""
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

    def unsearched(self, name: str) -> TaskPlan | None:
        """A task's part of the plan as it stands; its neurons may still be to search."""
        return self._resolved.get(name) or match_task(self.plan, name)

    def check(self, instances: Sequence[Any]) -> None:  # noqa: B027  (nothing to make is usual)
        """Told of a run's requests first: raises `InputError` where no plan can be made."""

    def prepare(self, instances: Sequence[Any]) -> None:  # noqa: B027
        """Told of requests before they are answered."""

    @abstractmethod
    def encode(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """Tokens of a context and its continuation, as the evaluation divides them."""

    @abstractmethod
    def _settle(self, name: str, plan: TaskPlan, owner: Owner) -> TaskPlan:
        """The task's part of the plan with its neurons, checked."""

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
        owner = partial(same, task) if task is not None else partial(LiveTasks().of, instance)
        return self._settle(name, plan, owner)


def same(task: Any) -> Any:
    """The owner that is known already."""
    return task
