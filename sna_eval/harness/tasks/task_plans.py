"""Each task's part of the plan, found once and kept for the run.

Neurons are searched where a plan says `select:`. A plan may also bring neurons that were found on
another model than the one that is loaded: an index means something in the weights it was found in,
and nothing in others of the same shape (another checkpoint, another seed, a fine-tuned model). It
may be meant, so it is said and not refused.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sna_eval.errors import InputError
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.plugin.running import Prompting, prompting
from sna_eval.harness.tasks.contexts import Contexts, prompting_of
from sna_eval.harness.tasks.development import examples_of, no_development_items
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.intervention.rows import Tokens
from sna_eval.methods import Workbench
from sna_eval.neurons.statistics import Progress, SearchBar
from sna_eval.plan import Plan, TaskPlan, check_task, match_task
from sna_eval.plan.resolving import Resolving

if TYPE_CHECKING:
    from lm_eval.api.task import Task

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


class SearchedPlans(TaskPlans):
    """Looks up what a plan does to a task, searching neurons where it says `select:`."""

    def __init__(self, plan: Plan, bench: Workbench, ranks: Ranks | None = None) -> None:
        super().__init__(plan, ranks)
        self._bench = bench

    def prepare(self, instances: Sequence[Any]) -> None:
        """Searches for the tasks of all requests together."""
        live = LiveTasks()
        self._search_all(
            {instance.task_name or "": partial(live.of, instance) for instance in instances}
        )

    def for_tasks(self, tasks: Mapping[str, Task]) -> None:
        """Searches for lm_eval tasks, all of them together."""
        self._search_all({name: partial(same, task) for name, task in tasks.items()})
        for task in tasks.values():
            self.for_task(task)

    def encode(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        return self._bench.pair(context, continuation)

    def _settle(self, name: str, plan: TaskPlan, owner: Owner) -> TaskPlan:
        if not plan.resolved:
            unresolved = plan
            plan = self._ranks.agreed(lambda: self._search({name: unresolved}, {name: owner}))[name]
        check_task(plan, self._bench.sites, field=f"tasks.{name}")
        return plan

    def _search_all(self, owners: Mapping[str, Owner]) -> None:
        """Resolves all of these tasks that the plan does not yet name neurons for."""
        if all(plan.resolved for plan in self.plan.tasks.values()):
            return
        planned = {name: match_task(self.plan, name) for name in owners.keys() - self._resolved}
        waiting = {
            name: plan
            for name, plan in sorted(planned.items(), key=lambda pair: list(owners).index(pair[0]))
            if plan is not None and plan.gate.mode != "never" and not plan.resolved
        }
        # asked of all processes, whichever tasks they have met: they must ask equally often
        found = self._ranks.agreed(lambda: self._search(waiting, owners))
        for name, plan in found.items():
            check_task(plan, self._bench.sites, field=f"tasks.{name}")
            self._resolved[name] = plan

    def _search(
        self, waiting: Mapping[str, TaskPlan], owners: Mapping[str, Owner]
    ) -> dict[str, TaskPlan]:
        with closing(SearchBar(quiet=not self._ranks.first)) as bar:
            begun = {
                name: self._begun(name, wanted, owners[name](), bar)
                for name, wanted in waiting.items()
            }
            bar.expect(sum(resolving.prompts for resolving in begun.values()))
            found = {}
            for name, resolving in begun.items():
                _LOGGER.info("searching neurons for task %r", name)
                bar.name(name)
                found[name] = resolving.resolved()
        return found

    def _begun(self, name: str, plan: TaskPlan, task: Any, progress: Progress) -> Resolving:
        if task is None and plan.needs_development:
            raise no_development_items(name)
        learned = [
            intervention.method
            for intervention in plan.interventions
            if not intervention.how.chooses_neurons
        ]
        if self._ranks.sharded and learned:
            raise InputError(
                f"tasks.{name}.method", expected="one that chooses neurons, under tp_plan",
                got=learned[0], hint="resolve the plan with sna-eval identify and parallelize=True",
            )  # fmt: skip
        running = prompting()  # plain outside an evaluation: then what the task was loaded with
        around = prompting_of(task) if task is not None and running == Prompting() else running
        contexts = Contexts(around, self._bench.chat if around.chat else None)
        development = partial(examples_of, task, contexts=contexts)
        return Resolving(plan, self._bench, development, progress)


def same(task: Any) -> Any:
    """The owner that is known already."""
    return task


def found_on_another(task: TaskPlan, model_hash: str | None) -> bool | None:
    """Whether any of a task's neurons or parameters say that they are of other weights.

    `None` where the loaded weights have no hash, as behind a server.
    """
    if model_hash is None:
        return None
    hashes = {entry.found.model_hash for entry in task.interventions if entry.found is not None}
    return bool(hashes - {None, model_hash})


def warn_of_another(plan: Plan, model_hash: str) -> None:
    """One line that names the tasks, where there are any."""
    names = [name for name, task in plan.tasks.items() if found_on_another(task, model_hash)]
    if names:
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        _LOGGER.warning(
            "what the plan does to %s was found on a model with other weights than the loaded one, "
            "or in another dtype (sna-eval identify finds neurons anew)",
            shown,
        )
