"""What a run was, for its result file: plan, gates, decisions, and the way the passes ran."""

from __future__ import annotations

from typing import Any

from sna_eval.harness.scoring.ledger import Ledger, TaskLedger
from sna_eval.harness.tasks.task_plans import TaskPlans, found_on_another
from sna_eval.plan import Plan, TaskPlan, plan_fingerprint, task_fingerprint
from sna_eval.plan.files import task_to_dict
from sna_eval.typed import Json


def describe(
    plan: Plan,
    plans: TaskPlans | None,
    counts: Ledger,
    *,
    model_hash: str | None,
    settings: Json,
    processes: int,
) -> dict[str, Any]:
    """The entry `config.sna` of a result file.

    **Arguments:**

    - `plan`: as it was given.
    - `plans`: what became of it for each task; `None` where there was none.
    - `settings`: model arguments that answers depend on.
    """
    from sna_eval import __version__

    resolved = plans.resolved if plans is not None else {}
    file = plans.file if plans is not None and resolved else None
    items = sum(task.items for task in counts.tasks.values())
    amplified = sum(task.amplified for task in counts.tasks.values())
    return {
        "version": __version__,
        "plan_fingerprint": plan_fingerprint(plans.plan if plans and resolved else plan),
        **({"plan_file": str(file)} if file is not None else {}),
        "model_hash": model_hash,
        **settings,
        "oracle": any(plan.oracle for plan in resolved.values()),
        "sees_answer": any(plan.sees_answer for plan in resolved.values()),
        "found_on_another_model": None
        if model_hash is None
        else any(found_on_another(plan, model_hash) for plan in resolved.values()),
        "amplified_fraction": amplified / items if items else 0.0,
        "tasks": {
            name: _task(plan, counts.tasks.get(name), model_hash) for name, plan in resolved.items()
        },
        "passes": counts.as_dict(),
        "processes": processes,
    }


def _task(plan: TaskPlan, counted: TaskLedger | None, model_hash: str | None) -> dict[str, Any]:
    return {
        "fingerprint": task_fingerprint(plan),
        "oracle": plan.oracle,
        "sees_answer": plan.sees_answer,
        "found_on_another_model": found_on_another(plan, model_hash),
        **task_to_dict(plan),
        **(counted.as_dict() if counted is not None else {}),
    }
