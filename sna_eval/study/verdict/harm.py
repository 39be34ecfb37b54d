"""Harm beyond the task: perplexity of plain text, and repetition in what the model generates.

Repetition is the share of a text's trigrams of tokens that occurred in it before (Welleck et al.
2020, arXiv:1908.04319, as `rep-n`): 0 where none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sna_eval.intervention import Intervention, amplify
from sna_eval.measuring.subjects import log_likelihoods, text_subject
from sna_eval.measuring.values import Floats
from sna_eval.neurons import neutral_sentences, spread_over
from sna_eval.study.bars import Begin
from sna_eval.study.nulls.records import kept_digits

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

GENERATIONS = 24
"""Plain texts that are gone on with."""
NEW_TOKENS = 24
_PROMPT_TOKENS = 8
_GRAM = 3


@dataclass(frozen=True)
class Beyond:
    """Each text's harm by a claim."""

    loss_per_token: tuple[float, ...]
    """Rise of negative log-likelihood, in nats a token, `[text]`."""
    repetition: tuple[float, ...]
    """Rise of the share of repeated trigrams, `[generation]`."""


class PlainText:
    """Plain sentences, and what a model goes on with behind their beginnings; the unmodified model
    does so once, for all claims."""

    def __init__(self, lm: SNALM, *, quiet: bool = True) -> None:
        self._lm, self._quiet = lm, quiet

    @cached_property
    def _unmodified(self) -> Floats:
        return self._repetition([])

    def harm(self, intervention: Intervention, begin: Begin) -> Beyond:
        """What an intervention does to it, every token amplified."""
        begin("plain text")
        subject = text_subject("plain text", neutral_sentences(), self._lm)
        before, after = log_likelihoods(
            self._lm.engine, subject, [[intervention]], quiet=self._quiet
        )
        assert subject.text_of is not None
        assert subject.tokens is not None
        losses = np.bincount(subject.text_of, weights=before - after)
        tokens = np.bincount(subject.text_of, weights=subject.tokens)
        moved = begin("generation")
        unmodified = self._unmodified
        moved(0.5)
        rise = self._repetition([intervention]) - unmodified
        return Beyond(kept_digits(losses / tokens), kept_digits(rise))

    def _repetition(self, interventions: Sequence[Intervention]) -> Floats:
        """Repeated shares of what is generated, `[text]`."""
        texts = spread_over(neutral_sentences(), GENERATIONS)
        encoded = [self._lm.tok_encode(text, add_special_tokens=False) for text in texts]
        prompts = [tokens[:_PROMPT_TOKENS] for tokens in encoded]
        found = np.empty(len(prompts))
        for length in sorted(set(map(len, prompts))):  # together without padding
            places = [place for place, prompt in enumerate(prompts) if len(prompt) == length]
            written = _generated(self._lm, [prompts[place] for place in places], interventions)
            found[places] = list(map(repeated_share, written))
        return found


def repeated_share(tokens: Sequence[int]) -> float:
    """Share of the trigrams that occurred before."""
    grams = list(zip(*(tokens[start:] for start in range(_GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@torch.no_grad()
def _generated(
    lm: SNALM, prompts: Sequence[Sequence[int]], interventions: Sequence[Intervention]
) -> list[Sequence[int]]:
    """What follows each of some prompts of one length, up to the token that ends a text."""
    engine = lm.engine
    ids = torch.tensor([list(prompt) for prompt in prompts], device=engine.device)
    with engine.context(), amplify(engine.model, interventions, sites=engine.sites):
        output = engine.model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=lm.tokenizer.pad_token_id,
        )
    ends = _ends(engine.model)
    return [_until(row.tolist(), ends) for row in output[:, ids.shape[1] :]]


def _ends(model: Any) -> frozenset[int]:
    """Tokens that end a text."""
    configured = model.generation_config.eos_token_id
    several = isinstance(configured, Sequence)
    return frozenset(configured if several else () if configured is None else [configured])


def _until(tokens: Sequence[int], ends: frozenset[int]) -> Sequence[int]:
    """The end included; what fills a row up behind it is no text."""
    places = (place for place, token in enumerate(tokens) if token in ends)
    return tokens[: next(places, len(tokens)) + 1]
