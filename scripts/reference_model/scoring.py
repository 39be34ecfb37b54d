"""Log-probabilities of continuations, and the loss of texts, under a model in float32.

Prompt and target are encoded as one text, without a token before them, as lm_eval does for GPT-2.
Padding is on the right, where a causal model does not see it.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

_BATCH = 32


@torch.inference_mode()
def target_log_probs(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, pairs: list[tuple[str, str]]
) -> list[float]:
    """Log P(target | prompt) of each pair, summed over the target's tokens."""
    encoded = [_split(tokenizer, prompt, target) for prompt, target in pairs]
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
    scores = [0.0] * len(encoded)
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        token_log_probs = _token_log_probs(model, [encoded[i][0] for i in chosen])
        for row, i in enumerate(chosen):
            ids, prompt_length = encoded[i]
            scores[i] = float(token_log_probs[row, prompt_length - 1 : len(ids) - 1].sum())
    return scores


@torch.inference_mode()
def mean_loss(model: GPT2LMHeadModel, tokenizer: Tokenizer, texts: list[str]) -> float:
    """Negative log-likelihood per token over `texts`, cut into pieces of the context length."""
    total, count = 0.0, 0
    for piece in _pieces(tokenizer, texts, model.config.n_positions):
        log_probs = _token_log_probs(model, [piece])
        total -= float(log_probs.double().sum())
        count += len(piece) - 1
    return total / count


def _pieces(tokenizer: Tokenizer, texts: list[str], length: int) -> list[list[int]]:
    """Token ids of the texts in runs of at most `length`, at least two tokens each."""
    documents = [tokenizer.encode(text).ids for text in texts]
    pieces = [ids[i : i + length] for ids in documents for i in range(0, len(ids), length)]
    return [piece for piece in pieces if len(piece) > 1]


def _split(tokenizer: Tokenizer, prompt: str, target: str) -> tuple[list[int], int]:
    """Ids of prompt and target together, and how many belong to the prompt."""
    return tokenizer.encode(prompt + target).ids, len(tokenizer.encode(prompt).ids)


def _token_log_probs(model: GPT2LMHeadModel, rows: list[list[int]]) -> torch.Tensor:
    """Log-probability of each token given those before, [row, position - 1], padding included."""
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
    ids = ids.to(model.device)
    log_probs = model(ids, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    return log_probs.gather(-1, ids[:, 1:, None]).squeeze(-1).cpu()
