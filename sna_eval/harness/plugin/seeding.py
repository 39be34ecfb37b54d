"""Few-shot examples as an evaluation draws them."""

from __future__ import annotations

from typing import Any

FEWSHOT_SEED = 1234
"""What lm_eval seeds the draw of few-shot examples with, unless it is told otherwise."""


def seed_examples(task: Any) -> None:
    """The task's few-shot examples are drawn from the first again, as in an evaluation.

    lm_eval seeds tasks when it evaluates them, not when they are loaded: until then each process
    draws examples of its own.
    """
    task.set_fewshot_seed(FEWSHOT_SEED)
