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
            block = sites.blocks[intervention.layer]
            hook = _Hook(intervention, mask)
            projection = sites.projections[intervention.layer]
            stack.callback(projection.register_forward_pre_hook(hook).remove)
            if mask is not None:
                look = block.register_forward_pre_hook(hook.note_shape, with_kwargs=True)
                stack.callback(look.remove)
        yield


class _Hook:
    """Pre-hook of an output projection: the projection reads the changed activations."""

    def __init__(self, intervention: Intervention, mask: MaskFn | None) -> None:
        self._intervention = intervention
        self._mask = mask
        self._shape = (0, 0)
        """Batch and positions of the pass; OPT flattens the two before its MLP."""

    def note_shape(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the block, which sees `[batch, position, d_model]`."""
        hidden: torch.Tensor = args[0] if args else kwargs["hidden_states"]
        self._shape = (hidden.shape[0], hidden.shape[1])

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        activations: torch.Tensor = args[0]
        where = self._where(activations)
        if where is None:
            return (self._intervention.transform(activations), *args[1:])
        if not bool(where.any()):
            return None
        changed = self._intervention.transform(activations)
        return (torch.where(where.unsqueeze(-1), changed, activations), *args[1:])

    def _where(self, activations: torch.Tensor) -> torch.Tensor | None:
        """Where to act, in the shape of the activations without their last axis."""
        where = self._mask(self._intervention, self._shape[1]) if self._mask is not None else None
        if where is None:
            return None
        where = where.to(activations.device)
        if activations.dim() == 2:
            return where.expand(self._shape).reshape(-1)
        return where
