"""What a method is asked for, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sna_eval.intervention import Vector
from sna_eval.neurons import Examples, Pooling, Question, Selected, Workbench

__all__ = ["Examples", "Parameter", "Question", "Resolution", "Wanted", "Workbench"]

Parameter = Vector | str
"""What a method learned: numbers, or a text."""


@dataclass(frozen=True)
class Wanted:
    """What a plan's entry asks of its method."""

    layer: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """The method's own options, none missing."""
    selection: str = "differential"
    """How neurons are ranked, for methods that choose some."""
    top_k: int = 10
    """Neurons per set."""
    pooling: Pooling = "mean"
    seed: int = 0
    """Which draw of random neurons, where the ranking is `random`."""


@dataclass(frozen=True)
class Resolution:
    """Neurons found, by label, or numbers, by name; and remarks for the plan file."""

    selected: Mapping[str, Selected] = field(default_factory=dict)
    """One set under `""`, or one set per label."""
    remarks: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What a method other than a choice of neurons found."""
    layer: int | None = None
    """Layer the result belongs to, where it is not the one that was asked for."""
