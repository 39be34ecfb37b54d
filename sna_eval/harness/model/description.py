"""What a run was, for its result file: plan, gates, decisions, and the way the passes ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sna_eval.harness.tasks.other_model import found_on_another
from sna_eval.plan import TaskPlan, plan_fingerprint, task_fingerprint
from sna_eval.plan.files import task_to_dict

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


def describe(lm: SNALM) -> dict[str, Any]:
    """The entry `config.sna` of a result file."""
    from sna_eval import __version__

    counts = lm.counts
    plans = lm.plans.resolved if lm.has_plan else {}
    file = lm.plans.file if plans else None
    items = sum(own.items for own in counts.tasks.values())
    amplified = sum(own.amplified for own in counts.tasks.values())
    return {
        "version": __version__,
        "plan_fingerprint": plan_fingerprint(lm.plans.plan if plans else lm.plan),
        **({"plan_file": str(file)} if file is not None else {}),
        "model_hash": lm.model_hash,
        "strict": lm.strict,
        "decide_at": lm.decide_at,
        "oracle": any(plan.oracle for plan in plans.values()),
        "sees_answer": any(plan.sees_answer for plan in plans.values()),
        "found_on_another_model": any(
            found_on_another(plan, lm.model_hash) for plan in plans.values()
        ),
        "amplified_fraction": amplified / items if items else 0.0,
        "tasks": {name: _task(lm, plan, name) for name, plan in plans.items()},
        "passes": counts.as_dict(),
        "processes": lm.ranks.size,
    }


def _task(lm: SNALM, plan: TaskPlan, name: str) -> dict[str, Any]:
    counted = lm.counts.tasks
    return {
        "fingerprint": task_fingerprint(plan),
        "oracle": plan.oracle,
        "sees_answer": plan.sees_answer,
        "found_on_another_model": found_on_another(plan, lm.model_hash),
        **task_to_dict(plan),
        **(counted[name].as_dict() if name in counted else {}),
    }
