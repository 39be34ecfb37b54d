"""Continuations of one token: those that share a context are read off one answer.

A document with a letter, or a word of one token, to choose needs a few entries of one distribution.
vLLM sends the log-probabilities of tokens that a request names, so that a context is read once and
nothing is echoed: of each token of an echoed prompt a whole distribution is computed, for one of
its entries.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from sna_eval.serving.served_model import Continuation

MOST = 128
"""Tokens that vLLM lets a request name."""
_GREEDY = {
    "temperature": 0, "max_tokens": 1, "return_tokens_as_token_ids": True,
    "presence_penalty": 0, "frequency_penalty": 0, "repetition_penalty": 1,
}  # fmt: skip
"""The token taken is the likeliest one, whatever a checkpoint's generation settings say."""


def sharing(asked: Sequence[Continuation]) -> list[list[int]]:
    """Numbers of continuations that one request answers; those of several tokens are alone."""
    groups: dict[Hashable, list[int]] = {}
    for number, each in enumerate(asked):
        key = (each.adapter, each.context) if len(each.continuation) == 1 else number
        groups.setdefault(key, []).append(number)
    return [
        group[start : start + MOST]
        for group in groups.values()
        for start in range(0, len(group), MOST)
    ]


def naming(payload: Mapping[str, Any], tokens: Sequence[int]) -> dict[str, Any]:
    """A request for the log-probabilities of tokens after a prompt.

    **Arguments:**

    - `payload`: what lm_eval sends for a log-likelihood, without a prompt.
    """
    return {**payload, **_GREEDY, "echo": False, "logprob_token_ids": list(tokens)}
