"""A run as read from its files: what was measured, on what, under which settings.

Some metrics are outcomes, others only keep books about a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sna_eval.gating import Gate, Zone
from sna_eval.typed import Json

BASELINE = "baseline_"
"""Prefix of the metrics that hold the unmodified model's score."""
PLACEHOLDER = "bypass"
"""What `--predict_only` writes in the place of every metric, always with the same value."""

_BOOKKEEPING = re.compile(
    r"baseline_.*|delta_prob|improvement_pct|amplified_fraction|zone|confidence|decision|oracle"
    r"|(acc|n|flips)_zone[123]"
)


def filtered(name: str, filter_name: str) -> str:
    """A task's or a metric's name with the filter that its answers went through, if one did."""
    return name if filter_name == "none" else f"{name} ({filter_name})"


def is_outcome(metric: str) -> bool:
    """Whether a metric measures the model, not the gate; the rest is not compared by default."""
    return metric != PLACEHOLDER and _BOOKKEEPING.fullmatch(metric) is None


class MetricName(NamedTuple):
    """A metric and the filter its answers went through."""

    metric: str
    filter: str = "none"

    @property
    def baseline(self) -> MetricName:
        """The metric that holds the unmodified model's score."""
        return MetricName(BASELINE + self.metric, self.filter)

    def __str__(self) -> str:
        return filtered(self.metric, self.filter)


@dataclass(frozen=True)
class Reported:
    """A value as a result file gives it."""

    value: float
    stderr: float | None = None


@dataclass(frozen=True, eq=False)
class Items:
    """One task's items under one filter, in the order of the file; all sequences are as long."""

    keys: tuple[tuple[str, int], ...]
    """Hash of the document, and which of the documents with that hash it is."""
    prompts: tuple[str, ...]
    """Hash of the prompt."""
    targets: tuple[str, ...]
    """Hash of the target."""
    values: Mapping[str, tuple[Any, ...]]
    """Per metric what each item scored, as it stands in the file; `None` for no score."""
    choices: tuple[tuple[float, ...], ...]
    """Log-likelihoods of each item's choices; empty where answers were generated."""
    baseline_choices: tuple[tuple[float, ...], ...] = ()
    """The same by the unmodified model, where an `sna` run wrote them."""
    zones: tuple[Zone | None, ...] | None = None
    """Each item's zone as the run wrote it; `None` where it wrote none."""
    clusters: tuple[str, ...] = ()
    """A label for each item; items that share it go together. Empty: every item for itself."""
    gold: tuple[int | None, ...] = ()
    """Number of each item's right choice, where there are several."""


ItemsByFilter = Mapping[str, Items]


@dataclass(frozen=True, eq=False)
class TaskRecord:
    """One task or group of one run."""

    name: str
    """Today's name."""
    scores: Mapping[MetricName, Reported]
    facts: Json = field(default_factory=dict)
    """What another run must agree on to be comparable, by label; `None` is unknown."""
    definitions: Json = field(default_factory=dict)
    """How each metric is computed, beyond its name."""
    higher_is_better: Mapping[str, bool | None] = field(default_factory=dict)
    version: str = ""
    """As shown in tables."""
    items: Callable[[], ItemsByFilter] | None = None
    """Reads the items; `None` where there are none."""
    subtasks: tuple[str, ...] = ()
    """Names of the tasks a group is made of, groups within groups resolved."""
    gate: Gate | None = None
    """The gate this task ran behind, where it was amplified."""
    cluster: str | None = None
    """Field of the documents that says which items go together, where plan or task name one."""
    oracle: bool = False
    """Whether the direction followed the right answer, of a group in any of its tasks."""
    sees_answer: bool = False
    """Whether gate or direction looked at the right answer, of a group in any of its tasks."""


@dataclass(frozen=True, eq=False)
class Run:
    """All of one run."""

    path: Path
    model: str
    """Name or path of the model."""
    kind: str
    """lm_eval's model type, e.g. `hf` or `sna`; `published` for a leaderboard's row."""
    tasks: Mapping[str, TaskRecord]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """What may move scores a little, by label; `None` is unknown."""
    amplified: bool = False
    """Whether a plan acted on any task."""
    plan: str | None = None
    """Fingerprint of the plan."""
    half: str = ""
    """`baseline` or `amplified` for one half of an `sna` run."""

    @property
    def title(self) -> str:
        """What tables call the run."""
        extra = self.half or (f"plan {self.plan}" if self.plan else "")
        return f"{self.kind} {self.model}" + (f", {extra}" if extra else "")
