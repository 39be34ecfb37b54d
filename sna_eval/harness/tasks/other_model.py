"""Plans whose neurons were found on another model than the one that is loaded.

A neuron's index means something in the weights it was found in, and nothing in others of the same
shape: another checkpoint, another seed, a fine-tuned model. It may be meant, so it is said and not
refused.
"""

from __future__ import annotations

import logging

from sna_eval.plan import Plan, TaskPlan

_LOGGER = logging.getLogger(__name__)


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
