"""What a method is asked for, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sna_eval.intervention import Vector
from sna_eval.neurons import Examples, Question, Search, SearchConfig, Selected, Workbench

__all__ = [
    "Examples",
    "MethodConfig",
    "Parameter",
    "Question",
    "Resolution",
    "Workbench",
    "searched",
]

Parameter = Vector | str
"""What a method learned: numbers, or a text."""


@dataclass(frozen=True)
class MethodConfig:
    """What a plan's entry asks of its method."""

    layer: int
    options: Mapping[str, Any] = field(default_factory=dict)
    """The method's own options, none missing."""
    config: SearchConfig = field(default_factory=SearchConfig)
    """How neurons are searched, for methods that choose some."""
    top_k: int = 10
    """Neurons per set."""
    search: Search | None = None
    """The search that the entries of a task have in common; `None`: one for this entry alone."""


def searched(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Search:
    """The search in the wanted layer, by the wanted ranking."""
    shared = wanted.search
    if shared is not None and wanted.layer in shared.layers:
        return shared
    return Search(bench, examples, wanted.config, [wanted.layer])


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
