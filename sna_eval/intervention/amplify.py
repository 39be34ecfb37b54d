"""Interventions as a context manager: hooks in, hooks out, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.sites import Sites, find_sites
from sna_eval.intervention.spec import Intervention

MaskFn = Callable[[Intervention, int], "torch.Tensor | None"]
"""Says where an intervention acts in the coming forward pass.

Called with the intervention and the number of positions in the pass; returns a bool tensor that
broadcasts to `[batch, position]`, or `None` for everywhere.
"""


@contextmanager
def amplify(
    model: nn.Module,
    interventions: Sequence[Intervention],
    *,
    sites: Sites | None = None,
    mask: MaskFn | None = None,
) -> Iterator[None]:
    """Runs the body with the interventions on; weights are never touched.

    Every target is checked before the first hook is registered, and every hook goes when the body
    ends, by return or by exception.

    **Arguments:**

    - `model`: the model whose forward pass is changed.
    - `interventions`: what to do; several may share a layer, and apply in the order given.
    - `sites`: the model's sites, if already found.
    - `mask`: where each intervention acts; `None` means everywhere, so `positions` other than
        `all` needs one.

    **Raises:** `InputError` if a layer or neuron does not exist.

    !!! example

        ```python
        with amplify(model, [Intervention(layer=8, neurons=(12, 845), multiplier=2.5)]):
            logits = model(input_ids).logits
        ```
    """
    sites = sites or find_sites(model)
    for intervention in interventions:
        sites.check_layer(intervention.layer)
        sites.check_neurons(intervention.neurons)
    if mask is None and any(i.positions != "all" for i in interventions):
        raise ValueError("positions other than `all` need a `mask` that says where they are")
    with ExitStack() as stack:
        for intervention in interventions:
            if intervention.changes_nothing:
                continue
            hook = _hook(intervention, mask)
            handle = sites.projections[intervention.layer].register_forward_pre_hook(hook)
            stack.callback(handle.remove)
        yield


def _hook(
    intervention: Intervention, mask: MaskFn | None
) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]:
    """Pre-hook of an output projection: the projection reads the changed activations."""

    def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        activations: torch.Tensor = args[0]
        where = mask(intervention, _positions(activations)) if mask is not None else None
        if where is None:
            return (intervention.transform(activations), *args[1:])
        if not bool(where.any()):
            return None
        return (_where(where, intervention, activations), *args[1:])

    return hook


def _positions(activations: torch.Tensor) -> int:
    """Number of positions in `[batch, position, d_mlp]`; flat activations hold them all."""
    return activations.shape[-2]


def _where(
    where: torch.Tensor, intervention: Intervention, activations: torch.Tensor
) -> torch.Tensor:
    """Applies the map where `where`, `[batch, position]`, holds; other bits stay as they are."""
    changed = intervention.transform(activations)
    if activations.dim() == 2:  # OPT flattens batch and position before its MLP
        batch = where.shape[0]
        where = where.expand(batch, activations.shape[0] // batch).reshape(-1)
    return torch.where(where.to(activations.device).unsqueeze(-1), changed, activations)
