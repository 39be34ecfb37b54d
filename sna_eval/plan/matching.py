"""Which of a plan's entries a task gets: the most specific pattern that matches its name."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sna_eval.plan.schema import Plan, TaskPlan

_WILDCARDS = "*?[]"


def match_task(plan: Plan, task: str) -> TaskPlan | None:
    """The entry for `task`, or `None` where the plan leaves the task alone."""
    pattern = match_pattern(plan, task)
    return plan.tasks[pattern] if pattern is not None else None


def match_pattern(plan: Plan, task: str) -> str | None:
    """The pattern that wins: the exact name, else the one with the most literal characters.

    Ties go to the pattern that comes first in the plan.
    """
    if task in plan.tasks:
        return task
    matching = [pattern for pattern in plan.tasks if fnmatchcase(task, pattern)]
    return max(matching, key=_literal_characters, default=None)


def _literal_characters(pattern: str) -> int:
    return sum(character not in _WILDCARDS for character in pattern)
