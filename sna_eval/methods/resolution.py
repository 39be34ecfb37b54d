"""What a method is given to find its neurons with, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from sna_eval.intervention import Sites
from sna_eval.neurons import Selected, TokenRow


@dataclass(frozen=True)
class Examples:
    """A task's development items, as prompts."""

    prompts: tuple[str, ...]
    """Zero-shot prompts without the answer."""
    labels: tuple[int, ...] | None = None
    """Each prompt's right label, an index into `label_names`; `None` for open answers."""
    label_names: tuple[str, ...] = ()
    """The labels, stripped of spaces."""

    def of_label(self, label: int) -> tuple[str, ...]:
        """Prompts whose right answer is `label`."""
        labels = self.labels or ()
        return tuple(p for p, own in zip(self.prompts, labels, strict=True) if own == label)


@dataclass(frozen=True, eq=False)
class Workbench:
    """The model that neurons are searched in."""

    model: nn.Module
    sites: Sites
    encode: Callable[[str], TokenRow]
    """Tokenizes a prompt as the evaluation does."""
    batch_size: int = 16

    def rows(self, prompts: Sequence[str]) -> list[TokenRow]:
        """Tokenized prompts; empty ones are left out."""
        encoded = (self.encode(prompt) for prompt in prompts)
        return [row for row in encoded if len(row)]


@dataclass(frozen=True)
class Resolution:
    """Neurons found, by label, and remarks for the plan file."""

    selected: Mapping[str, Selected]
    """One set under `""`, or one set per label."""
    remarks: Mapping[str, Any] = field(default_factory=dict)
