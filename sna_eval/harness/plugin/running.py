"""What lm_eval does not tell a model of the evaluation that is running.

A model is handed requests, not where their results will be written, nor how their prompts were put
together; a task's `process_results` a document and its answers, not the task; a request carries no
more than its task's name. lm_eval's own functions, which stand among the callers, know most of it,
and the tasks themselves are among the live objects of the process.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any


@dataclass(frozen=True)
class Prompting:
    """What is put around a task's own prompts."""

    system_instruction: str | None = None
    chat: bool = False
    """Whether prompts go through the tokenizer's chat template."""
    multiturn: bool = False
    """Whether few-shot examples are turns of a conversation."""


def output_folder() -> Path | None:
    """The folder that results will be written to; `None` where there will be none."""
    tracker = evaluator_variables("simple_evaluate").get("evaluation_tracker")
    output = getattr(tracker, "output_path", None)
    if tracker is None or not output:
        return None
    path = Path(output)
    if path.suffix == ".json":  # as `EvaluationTracker.save_results_aggregated` does
        return path.parent
    return path / str(tracker.general_config_tracker.model_name_sanitized)


def prompting() -> Prompting:
    """How the prompts of the evaluation were put together; plain ones where none is running."""
    variables = evaluator_variables("evaluate")
    return Prompting(
        variables.get("system_instruction"),
        bool(variables.get("apply_chat_template")),
        bool(variables.get("fewshot_as_multiturn")),
    )


def task_in_hand() -> Any | None:
    """The task whose documents the evaluation goes through; `None` where none is running."""
    return evaluator_variables("evaluate").get("task")


def requests_in_hand() -> list[Any]:
    """The requests of all tasks of the evaluation, before they are answered; none outside one."""
    by_kind = evaluator_variables("evaluate").get("requests")
    if not isinstance(by_kind, Mapping):
        return []
    return [request for requests in by_kind.values() for request in requests]


def evaluator_variables(function: str) -> Mapping[str, Any]:
    """The variables of the nearest caller of that name in lm_eval's evaluator; empty for none."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        named = frame.f_code.co_name == function
        if named and frame.f_globals.get("__name__") == "lm_eval.evaluator":
            return frame.f_locals
        frame = frame.f_back
    return {}


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
