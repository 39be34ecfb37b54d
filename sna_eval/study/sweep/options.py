"""What a user asks of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.harness.plugin.running import Prompting
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.intervention import Unit
from sna_eval.measuring.items import Split
from sna_eval.neurons import MAX_PROMPTS, RANKINGS, Pooling, Sinks
from sna_eval.study.sweep.screening.options import ScreenOptions


@dataclass(frozen=True)
class SweepOptions:
    """A sweep's settings; `None` means the default, which depends on model and task."""

    tasks: tuple[str, ...] = ("sna_generation",)
    """Names, globs or groups of lm_eval tasks."""
    model_args: str = "pretrained=sna-reference"
    """As for `lm_eval --model_args`."""
    include_path: str | None = None
    """Folder with further task YAMLs."""
    arguments: TaskArguments = field(default_factory=TaskArguments)
    """What else is said of the tasks, where they are loaded by name."""
    layers: tuple[int, ...] | None = None
    """Default: every layer; for `contrastive` five of them, as `grid.label_layers` says."""
    n_neurons: tuple[int, ...] | None = None
    """Default: the paper's seven counts; for `contrastive` 5, 10 and 15 per label; of heads 1, 2
    and 4, as far as a layer has as many again."""
    multipliers: tuple[float, ...] | None = None
    """Default: the paper's twelve; for `contrastive` 2, 4, 8 and 12."""
    directions: tuple[str, ...] | None = None
    """Whose neurons, for `contrastive`; default: `both` labels'."""
    allow_oracle: bool = False
    """Must be true for the direction `gold`, which knows the right answer."""
    unit: Unit = "mlp"
    """What is ranked and amplified: neurons of the MLP, or attention heads (`head`)."""
    select: str | None = None
    """How neurons are ranked; default: `contrastive` for two labels, `differential` otherwise."""
    pooling: Pooling = "mean"
    """Tokens of a prompt that count in the ranking."""
    max_prompts: int = MAX_PROMPTS
    """Development prompts that neurons are ranked on at most, spread evenly over the split."""
    sinks: Sinks = "drop"
    """Whether position 0 of a prompt counts in the ranking."""
    prompts: str | None = None
    """A file of pairs to rank on, positive prompts against negative ones; `None`: the task's
    development prompts."""
    drop_universal: bool = False
    """Whether neurons are left out that are active whatever a prompt says."""
    split: Split = "development"
    """Items that are amplified; neurons are ranked on development items in any case."""
    limit: int | None = None
    """Items per task at most; `None`: all."""
    spread: bool = False
    """Whether a limit takes items evenly from the whole split instead of the first ones; splits
    that are sorted by label need it."""
    halves: bool = True
    """Whether neurons are ranked on one half of the development items and configurations measured
    on the other, where there are enough and the two can be kept from sharing answers; all of both
    otherwise. Of no account for test items."""
    plan: str | None = None
    """Plan whose gates give the zones' boundaries; default: the paper's."""
    gate: Gate | None = None
    """One gate for all tasks, in place of the plan's."""
    prompting: Prompting | None = None
    """What is put around the items' prompts, as lm_eval's flags of these names do; `None`: what
    the tasks were loaded with."""
    seed: int = 0
    """Of random neurons, and of the sample that a screened sweep measures."""
    screen: ScreenOptions | None = None
    """What is measured of a grid that one backward pass predicts; `None` measures all of it."""
    tokens_per_pass: int | None = None
    """Tokens in one forward pass; default: by kind of device."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("split", self.split, get_args(Split)),
            ("pooling", self.pooling, get_args(Pooling)),
            ("sinks", self.sinks, get_args(Sinks)),
            ("select", self.select, (*RANKINGS, None)),
            ("unit", self.unit, get_args(Unit)),
        ):
            if value not in allowed:
                named = ", ".join(entry for entry in allowed if entry)
                raise InputError(name, expected=f"one of {named}", got=value)
        for name in ("limit", "tokens_per_pass", "max_prompts"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise InputError(name, expected="at least 1", got=number)
