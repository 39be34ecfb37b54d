"""Short hashes that say what made a result: of plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sna_eval.hashing import digest
from sna_eval.plan.files import plan_to_dict, task_to_dict
from sna_eval.plan.schema import Plan, TaskPlan

_REMARKS = ("found", "scores")
"""What an entry of a plan says beside what it does."""


def plan_fingerprint(plan: Plan) -> str:
    """Hash of everything a plan says."""
    return digest(plan_to_dict(plan))


def task_fingerprint(task: TaskPlan) -> str:
    """Hash of one task's plan, neurons included."""
    return digest(task_to_dict(task))


def acting_fingerprint(task: Mapping[str, Any]) -> str:
    """Hash of what a task's plan does, however it was found.

    **Arguments:**

    - `task`: as `task_to_dict` writes it, and with it plan and result files.
    """
    return digest({"gate": task["gate"], "interventions": _acting(task["interventions"])})


def neurons_fingerprint(task: TaskPlan) -> str:
    """Hash of what acts, behind any gate."""
    return digest(_acting(task_to_dict(task)["interventions"]))


def _acting(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in entry.items() if name not in _REMARKS} for entry in entries
    ]
