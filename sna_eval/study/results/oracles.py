"""Whether a result file's entry of a task is an oracle's: one whose direction knew the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sna_eval.directions import follows_answer


def is_oracle(task: Mapping[str, Any]) -> bool:
    """What the file says; files from before it was written are known by their directions.

    **Arguments:**

    - `task`: the task's entry under `config.sna.tasks`; empty for other models' runs.
    """
    if "oracle" in task:
        return task["oracle"] is True
    entries = task.get("interventions")
    return isinstance(entries, list) and any(
        isinstance(own, Mapping) and follows_answer(own.get("direction", "")) for own in entries
    )
