"""The plan's part of each task, for a model that nobody searches neurons in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sna_eval.errors import InputError
from sna_eval.harness.tasks.task_plans import Owner, TaskPlans
from sna_eval.intervention.rows import Tokens
from sna_eval.plan import Plan, TaskPlan
from sna_eval.serving.adapters import Adapters

Encode = Callable[[str, str], tuple[Any, Any]]
"""Tokenizes a context and its continuation."""


class ServedPlans(TaskPlans):
    """Plans whose neurons are named, each behind an adapter."""

    def __init__(self, plan: Plan, adapters: Adapters, encode: Encode) -> None:
        super().__init__(plan)
        self._adapters, self._encode = adapters, encode

    def check(self, instances: Sequence[Any]) -> None:
        """Every task of a run has its adapter, or the run does not begin."""
        for instance in {each.task_name or "": each for each in instances}.values():
            self.for_instance(instance)

    def encode(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        before, behind = self._encode(context, continuation)
        return tuple(before), tuple(behind)

    def _settle(self, name: str, plan: TaskPlan, owner: Owner) -> TaskPlan:
        if not plan.resolved:
            raise InputError(
                f"tasks.{name}.select", expected="neurons, for a model that runs elsewhere",
                got="`select`, which is not resolved yet",
                hint="sna-eval identify writes the plan with its neurons",
            )  # fmt: skip
        self._adapters.add(name, plan)
        return plan
