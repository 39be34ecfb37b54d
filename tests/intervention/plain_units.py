"""Units amplified by hooks of the tests' own, on modules named by hand, and what is said then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from tests.intervention.dictionaries import amplified_by_hand

PLACES = {
    "gpt2": ("transformer.h.{}", "mlp.c_proj", "attn.c_proj"),
    "gpt_neox": ("gpt_neox.layers.{}", "mlp.dense_4h_to_h", "attention.dense"),
    "llama": ("model.layers.{}", "mlp.down_proj", "self_attn.o_proj"),
    "mistral": ("model.layers.{}", "mlp.down_proj", "self_attn.o_proj"),
    "qwen2": ("model.layers.{}", "mlp.down_proj", "self_attn.o_proj"),
    "gemma2": ("model.layers.{}", "mlp.down_proj", "self_attn.o_proj"),
    "gemma3_text": ("model.layers.{}", "mlp.down_proj", "self_attn.o_proj"),
    "phi": ("model.layers.{}", "mlp.fc2", "self_attn.dense"),
    "opt": ("model.decoder.layers.{}", "fc2", "self_attn.out_proj"),
}
"""A block, what its neurons enter, and what its heads enter."""


@contextmanager
def amplified(model: Any, entries: Sequence[Any]) -> Iterator[None]:
    """Passes in the body run with a resolved plan's entries acting, all labels' units at once."""
    handles = [_hooked(model, entry) for entry in entries]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooked(model: Any, entry: Any) -> Any:
    block, mlp, attention = PLACES[model.config.model_type]
    module = model.get_submodule(block.format(entry.layer))
    chosen = [unit for units in entry.neurons.values() for unit in units]
    assert chosen
    assert entry.direction == "both"

    def of_features(module: Any, args: Any, output: Any) -> Any:
        state = output[0] if isinstance(output, tuple) else output
        changed = amplified_by_hand(state, tuple(chosen), entry.multiplier)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    if entry.unit == "feature":
        return module.register_forward_hook(of_features)
    units = {"mlp": None, "head": model.config.num_attention_heads}[entry.unit]

    def of_channels(module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        width = args[0].shape[-1]
        factors = torch.ones(width, dtype=args[0].dtype)
        factors.view(units or width, -1)[chosen] = entry.multiplier
        return (args[0] * factors,)

    projection = module.get_submodule(mlp if entry.unit == "mlp" else attention)
    return projection.register_forward_pre_hook(of_channels)


@torch.no_grad()
def log_probs(lm: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Of continuations behind their contexts, by one plain pass; tokens and sums are this file's
    own. What pads a text stands behind it, where no token of it looks."""
    whole = [lm.tokenizer(context + continuation)["input_ids"] for context, continuation in pairs]
    starts = [len(lm.tokenizer(context)["input_ids"]) for context, _ in pairs]
    width = max(map(len, whole))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in whole])
    said = lm.model(ids).logits.double().log_softmax(-1)
    return [
        float(sum(said[n, at - 1, row[at]] for at in range(start, len(row))))
        for n, (row, start) in enumerate(zip(whole, starts, strict=True))
    ]


@torch.no_grad()
def mean_push(lm: Any, contexts: Sequence[Sequence[int]], entries: Sequence[Any]) -> float:
    """Mean `KL(unmodified || amplified)` of the token behind contexts of tokens, in nats."""

    def behind() -> torch.Tensor:
        every = [lm.model(torch.tensor([list(ids)])).logits[0, -1] for ids in contexts]
        return torch.stack(every).double().log_softmax(-1)

    before = behind()
    with amplified(lm.model, entries):
        after = behind()
    return float((before.exp() * (before - after)).sum(-1).mean())
