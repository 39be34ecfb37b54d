"""What is to be done: which neurons, how much, and behind which gate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.tasks.development import Half
from sna_eval.intervention import Positions, Unit
from sna_eval.neurons import Pooling

MOST_NEURONS = 200
"""Neurons per set at most: as far as rankings are kept."""
MOST_PROMPTS = 1_000
LONGEST_LIST = 200_000  # characters


@dataclass(frozen=True)
class PromptSource:
    """Where neurons are searched: a task's development prompts, or one's own."""

    task: str | None = None
    """A task's name; `None` for own prompts."""
    prompts: tuple[str, ...] = ()
    """Own prompts of the task."""
    reference: tuple[str, ...] = ()
    """Own texts to compare with; empty means the bundled neutral sentences."""
    half: Half | None = None
    """Of a task's development prompts, to be read alone; `None`: all of them."""

    def __post_init__(self) -> None:
        if self.task is None and not self.prompts:
            raise InputError(
                "task prompts",
                expected="at least one prompt, one a line",
                got="",
                hint="type some, or choose a task",
            )
        for name, texts in (("task prompts", self.prompts), ("reference prompts", self.reference)):
            size = sum(map(len, texts))
            if len(texts) > MOST_PROMPTS or size > LONGEST_LIST:
                raise InputError(
                    name,
                    expected=f"at most {MOST_PROMPTS:,} lines and {LONGEST_LIST:,} characters",
                    got=f"{len(texts):,} lines, {size:,} characters",
                    hint="leave some out; a few dozen prompts will do",
                )


@dataclass(frozen=True)
class Setting:
    """One intervention and its gate."""

    source: PromptSource
    layer: int
    count: int
    """Neurons, or heads, best first; per label where they belong to labels."""
    multiplier: float
    method: str = "differential"
    """The ranking that neurons are found by."""
    pooling: Pooling = "mean"
    unit: Unit = "mlp"
    """What is found and amplified: neurons or attention heads."""
    positions: Positions = "all"
    direction: str = "both"
    """Which label's neurons, where they belong to labels."""
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_NEURONS:
            raise InputError(
                "neurons", expected=f"a count from 1 to {MOST_NEURONS}", got=self.count
            )
        if not math.isfinite(self.multiplier):
            raise InputError("multiplier", expected="a finite number", got=self.multiplier)


def typed_lines(text: str) -> tuple[str, ...]:
    """Texts that were typed one a line; empty lines do not count."""
    return tuple(line for line in text.splitlines() if line.strip())
