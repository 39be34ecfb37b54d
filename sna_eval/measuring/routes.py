"""Finds out by trying, layer by layer, where a sweep may enter a model.

No table of architectures: a short random text is scored the fast and the plain way. Blocks that
normalise or scale their MLP's output before adding it (Gemma 2, OLMo 2, Granite) fail the check for
the rank-k update, and are entered at the block; so are attention heads, which the block's MLP
reads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast, get_args

import torch

from sna_eval.harness.model.tried import tried_once
from sna_eval.intervention import Batch, Engine, Intervention, amplify
from sna_eval.intervention.partial_passes import captured_activations, captured_outputs, continued
from sna_eval.intervention.rows import trial_rows
from sna_eval.intervention.stream import output_columns
from sna_eval.measuring.starts import Route

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
        if engine.sites.unit == "mlp" and adds_unscaled(engine, layer):
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
    neurons = tuple(range(min(_NEURONS, engine.sites.d_mlp)))
    with (
        captured_activations(engine.sites, {layer: neurons}, rows=1) as activations,
        captured_outputs(engine.sites, [layer]) as left,
    ):
        engine.log_likelihoods(batch)
    before = left[layer]
    columns = output_columns(engine.sites, layer, neurons)
    step = activations[layer].float() @ columns.float()
    growth = float(before.float().norm() / step.norm().clamp_min(1e-30))
    after, scores = _amplified(engine, batch, Intervention(layer, neurons, 1.0 + growth))
    update, moved = growth * step, after.float() - before.float()
    error = (moved - update).norm() / update.norm()
    share = (moved * update).sum() / (update * update).sum()  # rounding averages out in it
    exact = error <= _tolerance(_UPDATE_TOLERANCE, before.dtype) and abs(share - 1) <= _SHARE
    if not exact:
        return False
    entered = continued(engine.sites, layer, after, returns_tuple=engine.abilities.returns_tuple)
    with entered:
        again = engine.log_likelihoods(batch)
    return bool((again - scores).abs().max() <= _tolerance(_SCORE_TOLERANCE, before.dtype))


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
