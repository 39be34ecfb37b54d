"""Where the configurations of a layer start: what their rows share, and how each differs.

Three ways in, each as exact as the model allows, the cheapest that the model passed a check for:

- behind the block, where it adds its MLP's output unscaled to the stream: a configuration is then a
  rank-k update, `hidden + (m - 1) * a[:, S] @ W_out[S]`, and the block itself is not run;
- at the block, which runs with the intervention on;
- at the embeddings, with the intervention on: plain hooks, many configurations at once.

Which one is open is found by trying, layer by layer; no table of architectures says it. A short
random text is scored the fast and the plain way. Blocks that normalise or scale their MLP's output
before adding it (Gemma 2, OLMo 2, Granite) fail the check for the rank-k update, and are entered at
the block; so are attention heads, which the block's MLP reads, and features of a state that the
block goes on with.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import torch
from torch import nn

from sna_eval.harness.model.kept import tried_once
from sna_eval.intervention import Batch, Engine, Intervention, amplify
from sna_eval.intervention.partial_passes import (
    captured_activations,
    captured_outputs,
    continued,
    resumed,
)
from sna_eval.intervention.rows import trial_rows
from sna_eval.intervention.stream import output_columns
from sna_eval.measuring.grid import Configuration

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

_LOGGER = logging.getLogger(__name__)
_NEURONS = 32
_UPDATE_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
"""Largest error of a rank-k update, relative to the update; in half precision `_HALF_TOLERANCE`.

A block that treats the MLP's output in any way is off by a large part of the update itself."""
_SHARE = 1e-2
"""Largest departure from 1 of the update's share that arrives behind the block: a block that scales
what its MLP adds by 0.95 would pass for rounding in half precision."""
_SCORE_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
"""Largest difference in log-probability that still counts as agreement."""
_HALF_TOLERANCE = 1e-1

Route = Literal["behind", "at", "full"]
"""The way in; see the module."""
LabelNeurons = Mapping[str, tuple[int, ...]]
"""Ranked neurons by label."""
LabelWeights = Mapping[str, torch.Tensor]
"""Whether a direction amplifies a label's neurons in a row: `{direction: [row, label]}`, 0 or 1."""


class Start(Protocol):
    """A layer's shared beginning, for one group of rows."""

    def enter(self, configurations: Sequence[Configuration]) -> AbstractContextManager[None]:
        """Forward passes in the body run the rows once per configuration, configurations outermost.

        The batch must hold the group's rows, repeated as often as there are configurations.
        """


@dataclass(frozen=True, eq=False)
class BehindBlock:
    """Goes on behind the block with a rank-k update."""

    engine: Engine
    layer: int
    hidden: torch.Tensor
    """What leaves the unmodified block, `[row, position, d_model]`."""
    updates: Mapping[tuple[str, int], torch.Tensor]
    """By direction and count, what doubling the neurons would add: like `hidden`, float32."""

    def enter(self, configurations: Sequence[Configuration]) -> AbstractContextManager[None]:
        changed = torch.stack(
            [
                torch.add(
                    self.hidden,
                    self.updates[configuration.direction, configuration.n_neurons],
                    alpha=configuration.multiplier - 1.0,
                ).to(self.hidden.dtype)
                for configuration in configurations
            ]
        )
        return continued(
            self.engine.sites,
            self.layer,
            changed.flatten(0, 1),
            returns_tuple=self.engine.abilities.returns_tuple,
        )


@dataclass(frozen=True, eq=False)
class AtBlock:
    """Runs from the block, or from the embeddings, with every row's activations scaled its way."""

    engine: Engine
    layer: int
    hidden: torch.Tensor | None
    """What enters the block, `[row, position, d_model]`; `None`: all blocks run."""
    neurons: LabelNeurons
    weights: LabelWeights

    @contextmanager
    def enter(self, configurations: Sequence[Configuration]) -> Iterator[None]:
        sites = self.engine.sites
        factors = torch.cat([self._factors(configuration) for configuration in configurations])
        with scaled_rows(sites.projections[self.layer], sites.spread(factors)):
            if self.hidden is None:
                yield
                return
            with resumed(
                self.engine.sites,
                self.layer,
                self.hidden.repeat(len(configurations), 1, 1),
                returns_tuple=self.engine.abilities.returns_tuple,
            ):
                yield

    def _factors(self, configuration: Configuration) -> torch.Tensor:
        """What each row's activations are multiplied by, `[row, n_units]`."""
        weights = self.weights[configuration.direction]
        factors = torch.ones(weights.shape[0], self.engine.sites.n_units, device=weights.device)
        for label, neurons in enumerate(self.neurons.values()):
            chosen = torch.tensor(neurons[: configuration.n_neurons], device=weights.device).long()
            touched = weights[:, label, None] > 0
            factors[:, chosen] = factors[:, chosen].masked_fill(touched, configuration.multiplier)
        return factors


def nested_updates(
    activations: torch.Tensor,
    columns: torch.Tensor,
    neurons: LabelNeurons,
    weights: LabelWeights,
    counts: Sequence[int],
) -> dict[tuple[str, int], torch.Tensor]:
    """What doubling the first `k` neurons adds to the stream, for every direction and count.

    The sets are nested, so each count adds to the one before.

    **Arguments:**

    - `activations`: of all labels' neurons, one label after the other,
        `[row, position, neuron]`.
    - `columns`: what the projection writes per unit of each of them, `[neuron, d_model]`.
    - `counts`: neurons per label.

    **Returns:** `{(direction, count): [row, position, d_model]}` in float32 at least.
    """
    wide = torch.promote_types(activations.dtype, torch.float32)
    activations, columns = activations.to(wide), columns.to(activations.device, wide)
    by_label: dict[int, list[torch.Tensor]] = {}
    for count in sorted(counts):
        first = 0
        for label, ranked in enumerate(neurons.values()):
            done = by_label.setdefault(label, [])
            start = first + min(len(ranked), _before(count, counts))
            stop = first + min(len(ranked), count)
            step = activations[..., start:stop] @ columns[start:stop]
            done.append(done[-1] + step if done else step)
            first += len(ranked)
    return {
        (direction, count): _mixed([done[place] for done in by_label.values()], weight)
        for direction, weight in weights.items()
        for place, count in enumerate(sorted(counts))
    }


def _before(count: int, counts: Sequence[int]) -> int:
    """The next smaller count, 0 for the smallest."""
    return max((other for other in counts if other < count), default=0)


def _mixed(by_label: Sequence[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """Sum over labels of the updates of those rows that a direction amplifies."""
    weights = weights.to(by_label[0])
    return sum(
        (update * weights[:, label, None, None] for label, update in enumerate(by_label)),
        start=torch.zeros_like(by_label[0]),
    )


@contextmanager
def scaled_rows(projection: nn.Module, factors: torch.Tensor) -> Iterator[None]:
    """Multiplies what enters an output projection, row by row of the batch.

    **Arguments:**

    - `factors`: one per input of the projection, `[batch, input]`, float32; the products come back
        in the activations' dtype.
    """

    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        activations: torch.Tensor = args[0]
        scales = factors.to(activations.device)
        if activations.dim() == 2:  # OPT flattens batch and position before its MLP
            scales = scales.repeat_interleave(activations.shape[0] // scales.shape[0], dim=0)
        else:
            scales = scales.unsqueeze(1)
        return ((activations * scales).to(activations.dtype), *args[1:])

    handle = projection.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def find_routes(engine: Engine, layers: Sequence[int]) -> dict[int, Route]:
    """The cheapest exact way into each layer."""
    routes: dict[int, Route] = {layer: _route(engine, layer) for layer in layers}
    for route in ("at", "full"):
        slow = [layer for layer, taken in routes.items() if taken == route]
        if slow:
            _LOGGER.info("%s: layers %s are entered by %r", engine.sites.architecture, slow, route)
    return routes


def routes_of(lm: SNALM, engine: Engine, layers: Sequence[int]) -> dict[int, Route]:
    """The cheapest exact way into each layer, from disk or by trying: three passes a layer.

    **Arguments:**

    - `engine`: runs the model of `lm`; says which units are meant.
    """
    return tried_once(
        lm,
        f"routes {list(layers)} of {engine.sites.units}",
        find=lambda: find_routes(engine, layers),
        write=lambda routes: {str(layer): route for layer, route in routes.items()},
        read=lambda entry: {layer: _read_route(entry.get(str(layer))) for layer in layers},
    )


def _read_route(value: object) -> Route:
    for route in get_args(Route):
        if value == route:
            return cast(Route, route)
    raise ValueError(f"{value!r} is no route")


def _route(engine: Engine, layer: int) -> Route:
    try:
        if engine.sites.unit != "head" and adds_unscaled(engine, layer):
            return "behind"
    except Exception as error:  # any failure means that this way is not open
        _LOGGER.debug("layer %d: no rank-k update: %s", layer, error)
    return "at" if engine.abilities.resumes else "full"


@torch.no_grad()
def adds_unscaled(engine: Engine, layer: int) -> bool:
    """Whether an intervention on `layer` is a rank-k update behind its block.

    The multiplier is set so that the update is as large as the stream it is added to: rounding
    cannot hide an error then, nor pass for one.
    """
    batch = Batch(trial_rows(engine.model)[:1], engine.device)
    neurons = _tried(engine, layer, batch)
    with (
        captured_activations(engine.sites, {layer: neurons}, rows=1) as activations,
        captured_outputs(engine.sites, [layer]) as left,
    ):
        engine.log_likelihoods(batch)
    before = left[layer]
    columns = output_columns(engine.sites, layer, neurons)
    wide = torch.promote_types(before.dtype, torch.float32)
    step = activations[layer].to(wide) @ columns.to(before.device, wide)
    growth = float(before.to(wide).norm() / step.norm().clamp_min(1e-30))
    unit = engine.sites.unit
    after, scores = _amplified(engine, batch, Intervention(layer, neurons, 1.0 + growth, unit=unit))
    update, moved = growth * step, after.to(wide) - before.to(wide)
    error = (moved - update).norm() / update.norm()
    share = (moved * update).sum() / (update * update).sum()  # rounding averages out in it
    exact = error <= _tolerance(_UPDATE_TOLERANCE, before.dtype) and abs(share - 1) <= _SHARE
    if not exact:
        return False
    entered = continued(engine.sites, layer, after, returns_tuple=engine.abilities.returns_tuple)
    with entered:
        again = engine.log_likelihoods(batch)
    return bool((again - scores).abs().max() <= _tolerance(_SCORE_TOLERANCE, before.dtype))


def _tried(engine: Engine, layer: int, batch: Batch) -> tuple[int, ...]:
    """The first neurons; of features, most of which a text leaves silent, the most active ones."""
    every = tuple(range(engine.sites.n_units))
    if engine.sites.unit != "feature":
        return every[:_NEURONS]
    with captured_activations(engine.sites, {layer: every}, rows=1) as activations:
        engine.log_likelihoods(batch)
    strongest = activations[layer].flatten(0, 1).sum(dim=0).topk(min(_NEURONS, len(every)))
    return tuple(strongest.indices.tolist())


def _amplified(
    engine: Engine, batch: Batch, intervention: Intervention
) -> tuple[torch.Tensor, torch.Tensor]:
    """What leaves the layer's block under plain hooks, and the scores."""
    with (
        amplify(engine.model, [intervention], sites=engine.sites),
        captured_outputs(engine.sites, [intervention.layer]) as left,
    ):
        scores = engine.log_likelihoods(batch)
    return left[intervention.layer], scores


def _tolerance(table: dict[torch.dtype, float], dtype: torch.dtype) -> float:
    return table.get(dtype, _HALF_TOLERANCE)
