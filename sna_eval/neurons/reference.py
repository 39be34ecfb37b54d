"""The neutral text that differential selection compares a task with."""

from __future__ import annotations

from functools import cache

from sna_eval.paths import neutral_text_path


@cache
def neutral_sentences() -> tuple[str, ...]:
    """Plain declarative sentences, written for this project."""
    lines = neutral_text_path().read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
