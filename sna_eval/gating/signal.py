"""What a confidence signal is: a number in [0, 1], read off the unmodified model.

A signal reads one of three things. Which one decides where it can be had at all, what the passes
have to keep for it, and whether a gate on it knows what a deployed model could not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch


@dataclass(frozen=True, kw_only=True)
class ConfidenceSignal:
    """One signal, and all that plans, commands and pages say of it."""

    sees_answer: ClassVar[bool] = False
    """Whether it looks at the right answer, which a deployed model does not know."""

    name: str
    """What plans call it."""
    words: str
    """What it is, in a few words."""
    low: float
    """Zone 1 lies below it, where a plan says nothing."""
    high: float
    """Zone 3 lies above it, where a plan says nothing."""
    usual: bool = False
    """Whether it stands in where nobody names a signal, for those that read the same."""


@dataclass(frozen=True, kw_only=True)
class AnswerSignal(ConfidenceSignal):
    """Reads how likely the right continuation is."""

    sees_answer: ClassVar[bool] = True

    measure: Callable[[float], float]
    """Of the log-likelihood of the whole right continuation; of a rolling text, of the mean over
    its tokens."""


@dataclass(frozen=True, kw_only=True)
class ChoicesSignal(ConfidenceSignal):
    """Reads how likely each of an item's choices is."""

    measure: Callable[[Sequence[float]], float]
    """Of the log-likelihoods of two choices or more."""


@dataclass(frozen=True, kw_only=True)
class NextTokenSignal(ConfidenceSignal):
    """Reads the distribution of the token after the context."""

    measure: Callable[[torch.Tensor], torch.Tensor]
    """Of log-probabilities, `[..., vocabulary]`; returns `[...]`."""
    likeliest: bool = False
    """Whether the likeliest token's alone are enough, `[..., 1]`: all that most servers send."""
