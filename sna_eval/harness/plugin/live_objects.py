"""lm_eval's tasks among the live objects of the process: a request carries no more than a name."""

from __future__ import annotations

import gc
from typing import Any


def tasks_with_requests() -> list[Any]:
    """All tasks of the process that have made requests."""
    from lm_eval.api.task import Task

    return [
        candidate
        for candidate in gc.get_objects()
        # `__mro__` rather than isinstance: some live objects answer `__class__` with side effects
        if Task in type(candidate).__mro__ and getattr(candidate, "_instances", None)
    ]


def made(task: Any, instance: Any) -> bool:
    """Whether a task made this very request."""
    return any(one is instance for one in task._instances)
