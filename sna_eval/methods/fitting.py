"""Learning on development items: the loss, and which items a step sees. The weights stay frozen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.intervention import Batch, Row
from sna_eval.intervention.forward import scored_positions_only

Report = dict[str, float]


def negative_log_likelihood(model: nn.Module, batch: Batch) -> torch.Tensor:
    """`-log P(right continuation)`, mean over rows: a scalar with its graph."""
    with scored_positions_only(model, batch) as pick:
        logits = pick(model(batch.input_ids, use_cache=False).logits).float()
    log_probs = torch.log_softmax(logits, dim=-1)
    chosen = log_probs[batch.reads.to(logits.device), batch.targets.to(logits.device)]
    return -chosen.sum() / len(batch.rows)


def drawn(rows: Sequence[Row], *, size: int, steps: int, seed: int) -> Iterator[list[Row]]:
    """Rows for every step: shuffled passes through all of them.

    **Raises:** `InputError` where a step would see none.
    """
    if size < 1:
        raise InputError("options.batch", expected="at least 1", got=size)
    generator = random.Random(seed)
    waiting: list[Row] = []
    for _ in range(steps):
        if len(waiting) < min(size, len(rows)):
            waiting += generator.sample(list(rows), len(rows))
        yield waiting[:size]
        waiting = waiting[size:]


def descend(
    parameters: Sequence[torch.Tensor],
    batches: Iterator[Batch],
    loss: Callable[[Batch], torch.Tensor],
    *,
    rate: float,
    steps: int,
) -> Report:
    """Adam (Kingma and Ba 2015) on the parameters alone.

    **Arguments:**

    - `steps`: how many batches there are, for a bar.

    **Returns:** the losses of the first and of the last step.
    """
    optimizer = torch.optim.Adam(list(parameters), lr=rate)
    seen: list[float] = []
    with torch.enable_grad():
        for batch in tqdm(batches, "Learning", total=steps, leave=False, disable=None):
            optimizer.zero_grad()
            value = loss(batch)
            value.backward()
            optimizer.step()
            seen.append(float(value.detach()))
    return {"first_loss": round(seen[0], 6), "last_loss": round(seen[-1], 6)} if seen else {}
