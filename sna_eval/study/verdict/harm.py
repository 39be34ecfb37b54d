"""Harm beyond the task: perplexity of plain text, and repetition in what the model generates.

Repetition is the share of a text's trigrams of tokens that occurred in it before (Welleck et al.
2020, arXiv:1908.04319, as `rep-n`): 0 where none does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from sna_eval.intervention import Intervention, amplify
from sna_eval.measuring.subjects import log_likelihoods, text_subject
from sna_eval.neurons import neutral_sentences, spread_over
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


def harm_beyond(lm: SNALM, intervention: Intervention) -> Beyond:
    """What an intervention does to plain text, every token of it amplified."""
    texts = neutral_sentences()
    subject = text_subject("plain text", texts, lm)
    before, after = log_likelihoods(lm.engine, subject, [[intervention]])
    assert subject.text_of is not None
    assert subject.tokens is not None
    losses = np.bincount(subject.text_of, weights=before - after)
    tokens = np.bincount(subject.text_of, weights=subject.tokens)
    prompts = [
        lm.tok_encode(text, add_special_tokens=False)[:_PROMPT_TOKENS]
        for text in spread_over(texts, GENERATIONS)
    ]
    rise = [
        repeated_share(_generated(lm, prompt, [intervention]))
        - repeated_share(_generated(lm, prompt, []))
        for prompt in prompts
    ]
    return Beyond(kept_digits(losses / tokens), kept_digits(np.array(rise)))


def repeated_share(tokens: Sequence[int]) -> float:
    """Share of the trigrams that occurred before."""
    grams = list(zip(*(tokens[start:] for start in range(_GRAM)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@torch.no_grad()
def _generated(
    lm: SNALM, prompt: Sequence[int], interventions: Sequence[Intervention]
) -> list[int]:
    engine = lm.engine
    ids = torch.tensor([list(prompt)], device=engine.device)
    with engine.context(), amplify(engine.model, interventions, sites=engine.sites):
        output = engine.model.generate(  # type: ignore[operator]
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            pad_token_id=lm.tokenizer.pad_token_id,
        )
    return [int(token) for token in output[0, ids.shape[1] :]]
