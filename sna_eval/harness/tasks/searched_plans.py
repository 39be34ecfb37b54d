"""Plans of a model in this process: neurons are searched where a plan says `select:`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any

from sna_eval.errors import InputError
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.tasks.live_tasks import LiveTasks, examples_of, no_development_items
from sna_eval.harness.tasks.task_plans import Owner, TaskPlans, same
from sna_eval.intervention.rows import Tokens
from sna_eval.methods import Workbench
from sna_eval.neurons.progress import Progress, SearchBar
from sna_eval.plan import Plan, TaskPlan, check_task, match_task
from sna_eval.plan.resolving import Resolving

_LOGGER = logging.getLogger(__name__)


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

    def for_tasks(self, tasks: Mapping[str, Any]) -> None:
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
        if task is None:
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
        return Resolving(plan, self._bench, partial(examples_of, task), progress)
