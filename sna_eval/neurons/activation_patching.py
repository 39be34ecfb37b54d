"""Activation patching: how much of an amplification's effect each neuron carries.

Each neuron's activations from the amplified run are put, alone, into a run that is otherwise the
unmodified model's, and what that does to P(target) is the neuron's effect; then the other way
round, the neuron alone is left as it was in the amplified run. Heimersheim and Nanda (2024),
arXiv:2404.15255, call the two denoising and noising. Effects need not add up: neurons that act
together carry an effect that none of them has alone.

The runs are those of TransformerLens' `TransformerBridge` on a copy of the model, with hooks at
`blocks.L.mlp.out.hook_in` and, of heads, at `blocks.L.attn.hook_z`: a computation that shares
nothing with this package's own passes. It knows no dictionary, so where features are patched, the
model itself runs, with hooks on what stands for their output projection.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import Batch, Intervention, Row, Sites, Unit, base_model, find_sites
from sna_eval.intervention.decoder import in_float64

Place = tuple[int, Unit]
"""A layer, and the unit whose activations are meant."""
Change = Callable[[torch.Tensor], torch.Tensor]
"""From what enters an output projection, `[..., channel]`, to what enters it instead."""
Hook = tuple[Place, Change]
Run = Callable[[torch.Tensor, Sequence[Hook]], torch.Tensor]
"""Logits of token ids with some hooks on, which apply in their order."""
_TRANSFORMER_LENS: Mapping[Unit, str] = {"mlp": "mlp.out.hook_in", "head": "attn.hook_z"}


@dataclass(frozen=True)
class NeuronEffect:
    """What one neuron, head or feature carries of the whole effect."""

    layer: int
    neuron: int
    alone: float
    """Change of mean P(target) when this neuron alone is amplified."""
    without: float
    """Change that is lost when this neuron alone is left as it was."""
    unit: Unit = "mlp"


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
    sites: Sites | None = None,
    batch_size: int = 16,
    progress: Callable[[int], object] = lambda done: None,
) -> Patching:
    """Effects of every neuron of some interventions, alone and left out.

    **Arguments:**

    - `rows`: prompts, each with its right continuation as the only branch.
    - `interventions`: on chosen neurons, at all positions, no neuron twice.
    - `sites`: the model's sites, if already found; features are known to these alone.
    - `progress`: called with 1 after every run.
    """
    sites = sites or find_sites(model)
    places = [
        (intervention.layer, neuron, intervention.unit)
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
    runs_with: AbstractContextManager[Run] = _bridged(model, tokenizer)
    if any(intervention.unit == "feature" for intervention in interventions):
        runs_with = _hooked(model, sites)
    with runs_with as run:
        runs = _Runs(run, sites, batches, interventions, progress)
        baseline, amplified = runs.plain(), runs.everything()
        effects = [
            NeuronEffect(
                layer, neuron, runs.alone((layer, unit), neuron) - baseline,
                amplified - runs.without((layer, unit), neuron), unit,
            )
            for layer, neuron, unit in places
        ]  # fmt: skip
    return Patching(baseline, amplified, tuple(effects))


class _Runs:
    """Runs over all rows; each gives the mean P(target)."""

    def __init__(
        self,
        run: Run,
        sites: Sites,
        batches: Sequence[Batch],
        interventions: Sequence[Intervention],
        progress: Callable[[int], object],
    ) -> None:
        self._run, self._sites = run, sites
        self._batches = batches
        self._interventions = interventions
        self._progress = progress
        self._before = [self._activations(batch, ()) for batch in batches]
        """Activations in the unmodified model, by place, for every batch."""
        self._after = [self._activations(batch, self._amplifying()) for batch in batches]
        """And in the amplified one."""

    def plain(self) -> float:
        return self._mean([() for _ in self._batches])

    def everything(self) -> float:
        return self._mean([self._amplifying() for _ in self._batches])

    def alone(self, place: Place, neuron: int) -> float:
        """The unmodified model with one neuron from the amplified run."""
        return self._mean([(self._put(place, neuron, seen),) for seen in self._after])

    def without(self, place: Place, neuron: int) -> float:
        """The amplified model with one neuron from the unmodified run."""
        return self._mean(
            [(*self._amplifying(), self._put(place, neuron, seen)) for seen in self._before]
        )

    def _amplifying(self) -> tuple[Hook, ...]:
        return tuple(
            ((one.layer, one.unit), self._sites.by_channel(one).transform)
            for one in self._interventions
        )

    def _put(self, place: Place, neuron: int, seen: Mapping[Place, torch.Tensor]) -> Hook:
        channels = list(self._sites.of(place[1]).channels_of([neuron]))

        def change(activations: torch.Tensor) -> torch.Tensor:
            patched = activations.clone()
            patched[..., channels] = seen[place][..., channels]
            return patched

        return place, change

    @torch.no_grad()
    def _mean(self, hooks: Sequence[Sequence[Hook]]) -> float:
        total, rows = 0.0, 0
        for batch, batch_hooks in zip(self._batches, hooks, strict=True):
            logits = self._run(batch.input_ids, batch_hooks)
            total += float(_probabilities(logits, batch).sum())
            rows += len(batch.rows)
        self._progress(1)
        return total / rows

    @torch.no_grad()
    def _activations(self, batch: Batch, hooks: Sequence[Hook]) -> dict[Place, torch.Tensor]:
        """What enters the output projection of every place concerned."""
        seen: dict[Place, torch.Tensor] = {}

        def keep(place: Place) -> Change:
            def look(activations: torch.Tensor) -> torch.Tensor:
                seen[place] = activations.clone()
                return activations

            return look

        places = sorted({(one.layer, one.unit) for one in self._interventions})
        self._run(batch.input_ids, [*hooks, *((place, keep(place)) for place in places)])
        return seen


def _probabilities(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """P(target) of every row, `[row]`."""
    read = in_float64(logits[batch.slot_rows, batch.slot_positions]).log_softmax(dim=-1)
    reads, targets = batch.reads.to(read.device), batch.targets.to(read.device)
    chosen = read[reads, targets].split(batch.branch_lengths)
    return torch.stack([log_probs.sum() for log_probs in chosen]).exp()


@contextmanager
def _hooked(model: nn.Module, sites: Sites) -> Iterator[Run]:
    """The model itself, with hooks on its output projections."""

    def run(input_ids: torch.Tensor, hooks: Sequence[Hook]) -> torch.Tensor:
        with ExitStack() as stack:
            for (layer, unit), change in hooks:
                handle = (
                    sites.of(unit)
                    .projections[layer]
                    .register_forward_pre_hook(
                        lambda module, args, change=change: (change(args[0]), *args[1:])
                    )
                )
                stack.callback(handle.remove)
            logits: torch.Tensor = model(input_ids, use_cache=False).logits
        return logits

    yield run


@contextmanager
def _bridged(model: nn.Module, tokenizer: Any) -> Iterator[Run]:
    """A bridge around a copy of the model."""
    from transformer_lens.model_bridge import TransformerBridge

    original: Any = copy.deepcopy(base_model(model))
    original.config.architectures = [type(original).__name__]
    device = str(next(model.parameters()).device)
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)  # of settings that only its own weight processing needs
    try:
        bridge = TransformerBridge.boot_transformers(
            "sna-eval", hf_model=original, tokenizer=tokenizer, device=device
        )
        yield lambda input_ids, hooks: bridge.run_with_hooks(
            input_ids, fwd_hooks=[_named(place, change) for place, change in hooks]
        )
    finally:
        logging.disable(previous)


def _named(place: Place, change: Change) -> tuple[str, Callable[..., torch.Tensor]]:
    """A hook as TransformerLens takes it, which gives heads an axis of their own."""

    def hook(activations: torch.Tensor, hook: Any) -> torch.Tensor:
        flat = activations.flatten(-2) if activations.dim() == 4 else activations
        return change(flat).reshape(activations.shape)

    layer, unit = place
    return f"blocks.{layer}.{_TRANSFORMER_LENS[unit]}", hook
