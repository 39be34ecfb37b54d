"""The training loop: GPT-2 from random weights, AdamW, one cosine, bfloat16 autocast.

Each step takes two micro-batches of 2,048 tokens, long and short rows mixed evenly over the whole
run. The order is fixed by the seed. It does not choose the text, nor judge the result: `probe` is
called now and then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel

from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .packing import Rows

MICRO_BATCH_TOKENS = 2048
MICRO_BATCHES = 2


@dataclass(frozen=True)
class TrainingSpec:
    """All that decides the course of a training run apart from its text."""

    layers: int = 8
    width: int = 192
    heads: int = 6
    context: int = 512
    learning_rate: float = 1e-3
    """Peak of the cosine, which ends at a twentieth of it."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises linearly."""
    weight_decay: float = 0.1
    seed: int = 20
    device: str = "cpu"
    threads: int = 2


def new_model(spec: TrainingSpec, *, vocab_size: int, end: int) -> GPT2LMHeadModel:
    """A GPT-2 with random weights; no dropout, the text is barely repeated."""
    torch.manual_seed(spec.seed)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=spec.context,
        n_embd=spec.width,
        n_layer=spec.layers,
        n_head=spec.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        activation_function="gelu_pytorch_tanh",  # gelu_new in one kernel: a tenth less time
    )
    return GPT2LMHeadModel(config).to(spec.device)


def micro_batches(long: Rows, short: Rows, *, seed: int) -> list[tuple[Rows, np.ndarray]]:
    """Row indices of each micro-batch, both kinds shuffled and mixed evenly."""
    rng = np.random.default_rng(seed)
    placed: list[tuple[float, Rows, np.ndarray]] = []
    for rows in (long, short):
        count, length = rows.ids.shape
        size = max(1, MICRO_BATCH_TOKENS // length)
        chunks = np.array_split(rng.permutation(count), math.ceil(count / size)) if count else []
        placed += [((i + 0.5) / len(chunks), rows, chunk) for i, chunk in enumerate(chunks)]
    placed.sort(key=lambda entry: entry[0])
    return [(rows, chunk) for _, rows, chunk in placed]


def learning_rate_at(step: int, steps: int, spec: TrainingSpec) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    warmup = max(1, round(spec.warmup * steps))
    if step < warmup:
        return spec.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return spec.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def train(
    model: GPT2LMHeadModel,
    long: Rows,
    short: Rows,
    *,
    spec: TrainingSpec,
    checkpoints: Path,
    resume: bool,
    settings: dict[str, object],
    probe: Callable[[GPT2LMHeadModel, int, int], None],
    probes: int = 10,
) -> float:
    """Train in place over all rows once; gives the seconds it took, interruptions left out."""
    batches = micro_batches(long, short, seed=spec.seed)
    steps = math.ceil(len(batches) / MICRO_BATCHES)
    optimizer = _optimizer(model, spec)
    state = {"model": model, "optimizer": optimizer, "settings": settings}
    before = load_checkpoint(checkpoints, **state) if resume else Progress()
    every = max(1, steps // probes)
    bar = tqdm(
        range(before.step, steps), initial=before.step, total=steps, desc="training", mininterval=5
    )
    start = time.monotonic() - before.seconds
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, steps, spec)
        loss = _step(model, optimizer, batches[step * MICRO_BATCHES : (step + 1) * MICRO_BATCHES])
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        if (step + 1) % every == 0 or step + 1 == steps:
            progress = Progress(step + 1, time.monotonic() - start)
            save_checkpoint(checkpoints, **state, progress=progress)
            probe(model, step + 1, steps)
    return time.monotonic() - start


def _optimizer(model: GPT2LMHeadModel, spec: TrainingSpec) -> torch.optim.AdamW:
    """AdamW with decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": spec.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(0.9, 0.98), fused=True)


def _step(
    model: GPT2LMHeadModel,
    optimizer: torch.optim.Optimizer,
    batches: list[tuple[Rows, np.ndarray]],
) -> float:
    """One update over a few micro-batches, weighted by their tokens' weights; gives its loss."""
    total = sum(float(rows.weights[chunk][:, 1:].sum()) for rows, chunk in batches)
    optimizer.zero_grad(set_to_none=True)
    losses = []
    for rows, chunk in batches:
        ids = torch.from_numpy(rows.ids[chunk]).long().to(model.device)
        weights = torch.from_numpy(rows.weights[chunk]).to(model.device)
        loss = weighted_loss(model, ids, weights) / total
        loss.backward()
        losses.append(float(loss.detach()))
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return sum(losses)


def weighted_loss(model: GPT2LMHeadModel, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum over tokens of weight times negative log-likelihood; both arguments [row, position]."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16):
        logits = model(ids, use_cache=False).logits
    losses = cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
    )
    return (losses * weights[:, 1:].flatten()).sum()
