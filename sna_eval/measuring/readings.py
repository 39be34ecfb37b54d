"""What is read off the distributions of a pass: scores, where the right answer stands, divergence.

Each reading gives values by branch, `[branch, value]`, for `SetPasses`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import torch

from sna_eval.intervention import Batch
from sna_eval.measuring.passes import RowGroup

_CHUNK = 64  # distributions that ranks are counted in at once


def log_likelihoods(batch: Batch, log_probs: torch.Tensor, group: RowGroup) -> torch.Tensor:
    """Of every branch: its log-likelihood, `[branch, 1]`."""
    reads, targets = _on(log_probs, batch.reads), _on(log_probs, batch.targets)
    chosen = log_probs[reads, targets].double()
    sums = [part.sum() for part in chosen.split(batch.branch_lengths)]
    return torch.stack(sums).unsqueeze(1)


@dataclass(frozen=True, eq=False)
class Panel:
    """Log-likelihood, and of right answers margin, rank and greediness, `[branch, 4]`.

    Margin and rank are of the answer's first token among the whole vocabulary: log-probability less
    that of the best other token, and 1 for the likeliest. Greedy is 1 where every token of the
    answer is the likeliest. NaN for answers that are not asked for.
    """

    right: Collection[int]
    """Numbers of the requests that are right answers."""

    def __call__(self, batch: Batch, log_probs: torch.Tensor, group: RowGroup) -> torch.Tensor:
        scores = log_likelihoods(batch, log_probs, group)
        wanted = [number in self.right for number in group.requests]
        copies = len(batch.rows) // len(group.rows)
        places = [place for place, one in enumerate(wanted * copies) if one]
        values = torch.full((len(scores), 3), torch.nan, dtype=torch.float64, device=scores.device)
        if places:
            values[places] = _standing(batch, log_probs, places)
        return torch.cat([scores, values], dim=1)


@dataclass(eq=False)
class Divergence:
    """Log-likelihood, divergence and entropy of the next token behind the prompt, `[branch, 3]`.

    `KL(base || changed) = sum over tokens of P_base (log P_base - log P_changed)`, in nats, at the
    position that predicts an answer's first token. `base` reads the unmodified model, and keeps it.
    """

    _kept: dict[int, torch.Tensor] = field(default_factory=dict)
    """Log-probabilities of each group of rows, `[row, vocabulary]`."""

    def base(self, batch: Batch, log_probs: torch.Tensor, group: RowGroup) -> torch.Tensor:
        self._kept[id(group)] = log_probs[batch.first_slots]
        return self(batch, log_probs, group)

    def __call__(self, batch: Batch, log_probs: torch.Tensor, group: RowGroup) -> torch.Tensor:
        base = self._kept[id(group)]
        changed = log_probs[batch.first_slots].view(-1, *base.shape)
        kl = (
            (base.exp() * (base - changed)).sum(dim=-1).clamp_min(0.0)
        )  # rounding aside, never less
        by_row = torch.stack([kl.flatten(), entropy(changed).flatten()], dim=1).double()
        branches = torch.tensor([len(row.branches) for row in batch.rows], device=by_row.device)
        by_branch = by_row.repeat_interleave(branches, dim=0)
        return torch.cat([log_likelihoods(batch, log_probs, group), by_branch], dim=1)

    @property
    def distributions(self) -> torch.Tensor:
        """The unmodified model's log-probabilities behind every prompt, `[row, vocabulary]`."""
        return torch.cat(list(self._kept.values()))


def entropy(log_probs: torch.Tensor) -> torch.Tensor:
    """Of distributions, in nats, `[..., vocabulary]` to `[...]`."""
    return -(log_probs.exp() * log_probs).sum(dim=-1)


@dataclass(frozen=True, eq=False)
class Confidence:
    """A reading, and behind its values what a signal says of the next token behind the prompt."""

    read: Callable[[Batch, torch.Tensor, RowGroup], torch.Tensor]
    measure: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, batch: Batch, log_probs: torch.Tensor, group: RowGroup) -> torch.Tensor:
        by_row = self.measure(log_probs[batch.first_slots]).double()
        branches = torch.tensor([len(row.branches) for row in batch.rows], device=by_row.device)
        by_branch = by_row.repeat_interleave(branches).unsqueeze(1)
        return torch.cat([self.read(batch, log_probs, group), by_branch], dim=1)


def _standing(batch: Batch, log_probs: torch.Tensor, places: list[int]) -> torch.Tensor:
    """Margin, rank and greediness of some branches, `[place, 3]`."""
    starts = torch.tensor([0, *batch.branch_lengths]).cumsum(0)
    first = starts[places]
    slots, tokens = _on(log_probs, batch.reads)[first], _on(log_probs, batch.targets)[first]
    chosen = log_probs[slots, tokens]
    two = log_probs.topk(2, dim=-1)
    top, likeliest = two.values[slots], two.indices[slots, 0]
    rival = torch.where(likeliest == tokens, top[:, 1], top[:, 0])
    ranks = torch.cat(
        [
            (log_probs[part] > score.unsqueeze(1)).sum(dim=-1) + 1
            for part, score in zip(slots.split(_CHUNK), chosen.split(_CHUNK), strict=True)
        ]
    )
    hits = two.indices[:, 0][_on(log_probs, batch.reads)] == _on(log_probs, batch.targets)
    greedy = torch.stack([hits[starts[place] : starts[place + 1]].all() for place in places])
    return torch.stack([(chosen - rival).double(), ranks.double(), greedy.double()], dim=1)


def _on(like: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return values.to(like.device)
