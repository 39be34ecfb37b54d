"""Activation patching: how much of an amplification's effect each neuron carries.

Each neuron's activations from the amplified run are put, alone, into a run that is otherwise the
unmodified model's, and what that does to P(target) is the neuron's effect; then the other way
round, the neuron alone is left as it was in the amplified run. Heimersheim and Nanda (2024),
arXiv:2404.15255, call the two denoising and noising. Effects need not add up: neurons that act
together carry an effect that none of them has alone.

The runs are those of TransformerLens' `TransformerBridge` on a copy of the model, with hooks at
`blocks.L.mlp.out.hook_in`: a computation that shares nothing with this package's own passes.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import Batch, Intervention, Row, base_model
from sna_eval.intervention.decoder import in_float64

Hook = tuple[str, Callable[..., torch.Tensor]]


@dataclass(frozen=True)
class NeuronEffect:
    """What one neuron carries of the whole effect."""

    layer: int
    neuron: int
    alone: float
    """Change of mean P(target) when this neuron alone is amplified."""
    without: float
    """Change that is lost when this neuron alone is left as it was."""


@dataclass(frozen=True)
class Patching:
    """The whole effect and each neuron's part."""

    baseline: float
    """Mean P(target) of the unmodified model."""
    amplified: float
    """With all neurons amplified."""
    neurons: tuple[NeuronEffect, ...]
    """In the order of the interventions."""

    @property
    def effect(self) -> float:
        return self.amplified - self.baseline

    def carrying(self, share: float) -> tuple[NeuronEffect, ...]:
        """The fewest neurons whose effects alone add up to a share of the whole, strongest first.

        Neurons that pull against the whole effect are never among them.
        """
        sign = 1.0 if self.effect >= 0 else -1.0
        wanted = share * abs(self.effect) * (1 - 1e-9)  # sums of floats fall short by a few bits
        kept: list[NeuronEffect] = []
        for neuron in sorted(self.neurons, key=lambda neuron: -sign * neuron.alone):
            carried = sign * sum(earlier.alone for earlier in kept)
            if carried >= wanted or sign * neuron.alone <= 0:
                break
            kept.append(neuron)
        return tuple(kept)


def patch_neurons(
    model: nn.Module,
    tokenizer: Any,
    rows: Sequence[Row],
    interventions: Sequence[Intervention],
    *,
    batch_size: int = 16,
    progress: Callable[[int], object] = lambda done: None,
) -> Patching:
    """Effects of every neuron of some interventions, alone and left out.

    **Arguments:**

    - `rows`: prompts, each with its right continuation as the only branch.
    - `interventions`: on chosen neurons, at all positions, no neuron twice.
    - `progress`: called with 1 after every run.
    """
    places = [
        (intervention.layer, neuron)
        for intervention in interventions
        for neuron in intervention.neurons
    ]
    assert len(set(places)) == len(places), "each neuron once"
    assert all(intervention.positions == "all" for intervention in interventions), (
        "at all positions"
    )
    device = next(model.parameters()).device
    batches = [
        Batch(rows[start : start + batch_size], device) for start in range(0, len(rows), batch_size)
    ]
    with _bridged(model, tokenizer) as bridge:
        runs = _Runs(bridge, batches, interventions, progress)
        baseline, amplified = runs.plain(), runs.everything()
        effects = [
            NeuronEffect(
                layer, neuron, runs.alone(layer, neuron) - baseline,
                amplified - runs.without(layer, neuron),
            )
            for layer, neuron in places
        ]  # fmt: skip
    return Patching(baseline, amplified, tuple(effects))


class _Runs:
    """Runs of the bridge over all rows; each gives the mean P(target)."""

    def __init__(
        self,
        bridge: Any,
        batches: Sequence[Batch],
        interventions: Sequence[Intervention],
        progress: Callable[[int], object],
    ) -> None:
        self._bridge = bridge
        self._batches = batches
        self._interventions = interventions
        self._progress = progress
        self._before = [self._activations(batch, ()) for batch in batches]
        """Chosen neurons' activations in the unmodified model, by layer, for every batch."""
        self._after = [self._activations(batch, self._amplifying()) for batch in batches]
        """And in the amplified one."""

    def plain(self) -> float:
        return self._mean([() for _ in self._batches])

    def everything(self) -> float:
        return self._mean([self._amplifying() for _ in self._batches])

    def alone(self, layer: int, neuron: int) -> float:
        """The unmodified model with one neuron from the amplified run."""
        return self._mean(
            [(_put(layer, neuron, activations[layer]),) for activations in self._after]
        )

    def without(self, layer: int, neuron: int) -> float:
        """The amplified model with one neuron from the unmodified run."""
        hooks = [
            (*self._amplifying(), _put(layer, neuron, activations[layer]))
            for activations in self._before
        ]
        return self._mean(hooks)

    def _amplifying(self) -> tuple[Hook, ...]:
        return tuple(_scale(intervention) for intervention in self._interventions)

    @torch.no_grad()
    def _mean(self, hooks: Sequence[Sequence[Hook]]) -> float:
        total, rows = 0.0, 0
        for batch, batch_hooks in zip(self._batches, hooks, strict=True):
            logits = self._bridge.run_with_hooks(batch.input_ids, fwd_hooks=list(batch_hooks))
            total += float(_probabilities(logits, batch).sum())
            rows += len(batch.rows)
        self._progress(1)
        return total / rows

    @torch.no_grad()
    def _activations(self, batch: Batch, hooks: Sequence[Hook]) -> dict[int, torch.Tensor]:
        """What enters the output projection of every layer concerned."""
        seen: dict[int, torch.Tensor] = {}

        def keep(layer: int) -> Callable[..., torch.Tensor]:
            def hook(activation: torch.Tensor, hook: Any) -> torch.Tensor:
                seen[layer] = activation.clone()
                return activation

            return hook

        layers = sorted({intervention.layer for intervention in self._interventions})
        keeping = [(_name(layer), keep(layer)) for layer in layers]
        self._bridge.run_with_hooks(batch.input_ids, fwd_hooks=[*hooks, *keeping])
        return seen


def _name(layer: int) -> str:
    return f"blocks.{layer}.mlp.out.hook_in"


def _scale(intervention: Intervention) -> Hook:
    def hook(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        return intervention.transform(activation)

    return _name(intervention.layer), hook


def _put(layer: int, neuron: int, values: torch.Tensor) -> Hook:
    def hook(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        patched = activation.clone()
        patched[..., neuron] = values[..., neuron]
        return patched

    return _name(layer), hook


def _probabilities(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """P(target) of every row, `[row]`."""
    read = in_float64(logits[batch.slot_rows, batch.slot_positions]).log_softmax(dim=-1)
    reads, targets = batch.reads.to(read.device), batch.targets.to(read.device)
    chosen = read[reads, targets].split(batch.branch_lengths)
    return torch.stack([log_probs.sum() for log_probs in chosen]).exp()


@contextmanager
def _bridged(model: nn.Module, tokenizer: Any) -> Iterator[Any]:
    """A bridge around a copy of the model."""
    from transformer_lens.model_bridge import TransformerBridge

    original: Any = copy.deepcopy(base_model(model))
    original.config.architectures = [type(original).__name__]
    device = str(next(model.parameters()).device)
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # of settings that only its own weight processing needs
    try:
        yield TransformerBridge.boot_transformers(
            "sna-eval", hf_model=original, tokenizer=tokenizer, device=device
        )
    finally:
        logging.disable(previous)
