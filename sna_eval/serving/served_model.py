"""What the gate knows of a model that runs elsewhere: a base model, and adapters by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from sna_eval.intervention.rows import Tokens
from sna_eval.typed import Json


@dataclass(frozen=True, slots=True)
class Continuation:
    """A continuation whose log-likelihood is asked for."""

    adapter: str | None
    """Name of the adapter that answers; `None`: the base model."""
    context: Tokens
    """At least one token."""
    continuation: Tokens
    """At least one token."""


class ContinuationScore(NamedTuple):
    """What a model says of a continuation."""

    log_likelihood: float
    is_greedy: bool
    likeliest: float
    """Log-probability of the likeliest token after the context."""


@dataclass(frozen=True, eq=False, slots=True)
class Prompt:
    """A text to be continued."""

    adapter: str | None
    """Name of the adapter that answers; `None`: the base model."""
    text: str
    settings: Json
    """lm_eval's `generation_kwargs`."""


class Completion(NamedTuple):
    """A generated text."""

    text: str
    likeliest: float
    """Log-probability of the likeliest first token, whichever was taken."""


class ScoredModel(Protocol):
    """A base model and its adapters, as far as log-likelihoods go."""

    @property
    def max_length(self) -> int:
        """Tokens of context and continuation at most; longer contexts lose their beginning."""

    def scores(
        self, asked: Sequence[Continuation], *, quiet: bool = False
    ) -> list[ContinuationScore]:
        """In order."""

    def distributions(
        self, contexts: Sequence[Tokens], *, quiet: bool = False
    ) -> list[torch.Tensor]:
        """The base model's log-probabilities after each context, `[vocabulary]`, in any order."""


class ServedModel(ScoredModel, Protocol):
    """The same, as far as an evaluation goes."""

    def completions(self, asked: Sequence[Prompt], *, quiet: bool = False) -> list[Completion]:
        """In order."""

    def tokens(self, prompt: Prompt) -> Tokens:
        """What the model reads of a prompt."""

    def windows(self, text: str) -> list[tuple[Tokens, Tokens]]:
        """Contexts and continuations that a whole text is scored by."""
