"""Score the transition candidates with a model and keep those that lie in zone 2.

P(target) is computed as lm_eval computes it: prompt and target are encoded together, and the
target's tokens are those after the prompt's own length. The choice looks at the baseline only;
nothing here knows of amplification.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from .item import Item
from .selection import Splits, source_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOW, HIGH, CENTER = 0.07, 0.10, 0.085
"""The zone's boundaries, and the probability that the filling items should be near to."""

N_DEVELOPMENT, N_TEST = 50, 120
"""Few candidates lie in the zone."""

TARGET_SHARE = 0.10
"""Largest share of one target: low, to leave room for chance when the items are split, and yet the
twelve answers of one kind of context can fill the task alone."""

_BATCH = 64


@dataclass(frozen=True)
class Scored:
    """A candidate and the model's probability of its target."""

    item: Item
    probability: float

    @property
    def inside(self) -> bool:
        """Whether the item lies in zone 2, boundaries included."""
        return LOW <= self.probability <= HIGH


def score_with(path: Path, items: list[Item]) -> list[Scored]:
    """Load the causal model and tokenizer in `path`, in float32, and score all items."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    return score(model, tokenizer, items)


def score(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: list[Item]
) -> list[Scored]:
    """Each item with exp(sum of the log-probabilities of its target's tokens)."""
    scored: list[Scored] = []
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        scored.extend(map(Scored, batch, _probabilities(model, tokenizer, batch)))
    return scored


def _probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, items: list[Item]
) -> list[float]:
    import torch

    prompts = [tokenizer.encode(i.prompt, add_special_tokens=False) for i in items]
    wholes = [tokenizer.encode(i.prompt + i.target, add_special_tokens=False) for i in items]
    width = max(map(len, wholes))
    # Padding stands on the right, where a causal model never looks, so any token will do.
    ids = torch.tensor([whole + [0] * (width - len(whole)) for whole in wholes])
    mask = torch.tensor([[1] * len(whole) + [0] * (width - len(whole)) for whole in wholes])
    with torch.inference_mode():
        log_probs = model(input_ids=ids, attention_mask=mask).logits.float().log_softmax(-1)
    result = []
    for row, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
        positions = range(len(prompt), len(whole))
        total = sum(log_probs[row, at - 1, whole[at]].item() for at in positions)
        result.append(float(torch.tensor(total).exp()))
    return result


def select_inside(scored: list[Scored]) -> tuple[Splits, list[Scored]]:
    """The splits of the transition task, and the chosen candidates with their probabilities.

    Items in the zone come first, then those nearest to its center. Each context with its filler is
    used once, so the splits share none.
    """
    ranked = sorted(
        scored, key=lambda s: (not s.inside, abs(s.probability - CENTER), s.item.prompt)
    )
    # Inside the zone every probability is as good as another: chance decides, not the distance.
    inside = [s for s in ranked if s.inside]
    Random("transition inside").shuffle(inside)
    chosen = _first_of_each_source(inside + ranked[len(inside) :], N_DEVELOPMENT + N_TEST)
    Random("items of transition").shuffle(chosen)
    items = [s.item for s in chosen]
    return Splits(items[:N_DEVELOPMENT], items[N_DEVELOPMENT:]), chosen


def _first_of_each_source(ranked: list[Scored], count: int) -> list[Scored]:
    limit = int(count * TARGET_SHARE)
    used: dict[str, int] = {}
    sources: set[str] = set()
    chosen: list[Scored] = []
    for candidate in ranked:
        target, source = candidate.item.target, source_of(candidate.item)
        if source in sources or used.get(target, 0) >= limit:
            continue
        sources.add(source)
        used[target] = used.get(target, 0) + 1
        chosen.append(candidate)
        if len(chosen) == count:
            return chosen
    raise ValueError(f"transition: expected {count} items to choose from, got {len(chosen)}")
