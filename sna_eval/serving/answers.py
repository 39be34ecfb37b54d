"""What a server answers, read: nothing is taken that is not what was asked for.

Servers drop choices, send them in another order, tokenize a text otherwise than it was tokenized
here, or cut an answer off; each of these would be another document's score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sna_eval.serving.served_model import Completion, ContinuationScore

TOKEN = "token_id:"
"""What vLLM writes before a token's number, with `return_tokens_as_token_ids`."""


class UnreadableAnswer(Exception):
    """What is wrong with an answer, in a few words."""


def choices_of(answer: Any, count: int) -> list[Mapping[str, Any]]:
    """The choices for so many prompts, in their order.

    **Raises:** `UnreadableAnswer` where one is missing.
    """
    found = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(found, list):
        raise UnreadableAnswer("no choices")
    by_index = {choice.get("index"): choice for choice in found if isinstance(choice, Mapping)}
    if len(found) != count or by_index.keys() != set(range(count)):
        raise UnreadableAnswer(f"{len(found)} choices for {count} prompts")
    return [by_index[number] for number in range(count)]


def read_score(choice: Mapping[str, Any], context: int, length: int) -> ContinuationScore:
    """The score of what follows so many tokens of an echoed prompt.

    **Arguments:**

    - `context`, `length`: tokens of the context, and of the whole prompt.
    """
    values, top = _echoed(choice, "token_logprobs", length), _echoed(choice, "top_logprobs", length)
    scored = [_number(value) for value in values[context:length]]
    best = [_largest(entry) for entry in top[context:length]]
    greedy = all(value == most for value, most in zip(scored, best, strict=True))
    return ContinuationScore(math.fsum(scored), greedy, best[0])


def sends_named(choice: Mapping[str, Any], tokens: Sequence[int]) -> bool:
    """Whether a generated token comes with the log-probabilities of tokens that were named."""
    try:
        read_named(choice, tokens)
    except UnreadableAnswer:
        return False
    return True


def read_named(choice: Mapping[str, Any], tokens: Sequence[int]) -> tuple[ContinuationScore, ...]:
    """The scores of one-token continuations, named in a request that generates one token greedily.

    **Arguments:**

    - `tokens`: their numbers, in the order wanted.
    """
    top, taken = _listed(choice, "top_logprobs"), _listed(choice, "token_logprobs")
    if not top or not taken or not isinstance(top[0], Mapping):
        raise UnreadableAnswer("no log-probabilities of a generated token")
    missing = [token for token in tokens if f"{TOKEN}{token}" not in top[0]]
    if missing:
        raise UnreadableAnswer(f"no log-probability of token {missing[0]}")
    likeliest = max(_number(taken[0]), _largest(top[0]))
    values = [_number(top[0][f"{TOKEN}{token}"]) for token in tokens]
    return tuple(ContinuationScore(value, value == likeliest, likeliest) for value in values)


def read_completion(choice: Mapping[str, Any]) -> Completion:
    """A generated text and its first token's likeliest rival."""
    text, top = choice.get("text"), _listed(choice, "top_logprobs")
    if not isinstance(text, str) or not top:
        raise UnreadableAnswer("no text with log-probabilities")
    return Completion(text, _largest(top[0]))


def read_distribution(choice: Mapping[str, Any]) -> torch.Tensor:
    """Log-probabilities of the next token, all of them: float32, `[vocabulary]`.

    Tokens that the server leaves out have probability 0; more than rounding must not be missing.
    """
    top = _listed(choice, "top_logprobs")
    if not top or not isinstance(top[0], Mapping):
        raise UnreadableAnswer("no distribution")
    values = torch.tensor([_number(value) for value in top[0].values()], dtype=torch.float64)
    total = float(values.exp().sum())
    if abs(total - 1) > 1e-3:
        raise UnreadableAnswer(f"{len(values)} log-probabilities whose sum is {total:.4g}")
    return values.to(torch.float32)


def _echoed(choice: Mapping[str, Any], name: str, length: int) -> Sequence[Any]:
    """A list with an entry for each token of the prompt, and one for the token after it."""
    found = _listed(choice, name)
    if len(found) not in (length, length + 1):
        raise UnreadableAnswer(
            f"{len(found)} {name} for a prompt of {length} tokens; "
            "it needs `echo` with `logprobs`, and the tokens that it is sent"
        )
    return found


def _listed(choice: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = choice.get("logprobs")
    listed = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(listed, list):
        raise UnreadableAnswer(f"no {name}")
    return listed


def _largest(entry: Any) -> float:
    if not isinstance(entry, Mapping) or not entry:
        raise UnreadableAnswer("a token without its likeliest rival")
    return max(map(_number, entry.values()))


def _number(value: Any) -> float:
    """NaN where an amplified model has overflowed: JSON has no other way to write it."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadableAnswer(f"{value!r} for a log-probability")
    return float(value)
