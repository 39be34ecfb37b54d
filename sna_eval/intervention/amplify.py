"""Interventions as a context manager: hooks in, hooks out, nothing left behind.

Under tensor parallelism each process computes a part of every layer's neurons. transformers divides
an output projection by its inputs, so what enters it in one process is a slice of the activations;
a neuron's index in that slice is its index in the layer less the slice's start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.sites import Sites, find_sites
from sna_eval.intervention.spec import Affine, Intervention, Site, Unit, acts_everywhere

_ENTERING: dict[Site, Unit] = {"neurons": "mlp", "heads": "head", "features": "feature"}
"""The units of the sites that are inputs of an output projection, or of what stands for one."""
MaskFn = Callable[[Affine, int], "torch.Tensor | None"]
"""Says where an intervention acts in the coming forward pass.

Called with the intervention and the number of positions in the pass; returns a bool tensor that
broadcasts to `[batch, position]`, or `None` for everywhere.
"""


@contextmanager
def amplify(
    model: nn.Module,
    interventions: Sequence[Affine],
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
        intervention.check(sites)
    if mask is None and not all(map(acts_everywhere, interventions)):
        raise ValueError("positions other than `all` need a `mask` that says where they are")
    with ExitStack() as stack:
        for intervention in interventions:
            if not intervention.changes_nothing:
                _install(stack, model, sites, intervention, mask)
        yield


def _install(
    stack: ExitStack, model: nn.Module, sites: Sites, intervention: Affine, mask: MaskFn | None
) -> None:
    """Registers one intervention's hooks, to be removed when the stack closes."""
    hook = _Hook(intervention, mask, _by_channel(sites, intervention))
    if mask is not None and intervention.site != "logits":
        block = sites.blocks[intervention.layer]
        look = block.register_forward_pre_hook(hook.note_shape, with_kwargs=True)
        stack.callback(look.remove)
    module = _module(model, sites, intervention)
    if intervention.site in _ENTERING:
        stack.callback(module.register_forward_pre_hook(hook.before).remove)
    elif intervention.site == "logits":
        stack.callback(module.register_forward_hook(hook.logits).remove)
    else:
        stack.callback(module.register_forward_hook(hook.after).remove)


def _module(model: nn.Module, sites: Sites, intervention: Affine) -> nn.Module:
    """The module whose input (`_ENTERING`) or output is changed."""
    if intervention.site == "logits":
        return base_model(model)
    unit = _ENTERING.get(intervention.site)
    if unit is not None:
        return sites.of(unit).projections[intervention.layer]
    modules = {
        "attention": sites.attention_outputs,
        "mlp": sites.mlp_outputs,
        "block": sites.blocks,
    }[intervention.site]
    return modules[intervention.layer]


def _by_channel(sites: Sites, intervention: Affine) -> Affine:
    return (
        sites.by_channel(intervention) if isinstance(intervention, Intervention) else intervention
    )


class _Hook:
    """Puts the changed values in the place of a module's input or output."""

    def __init__(self, intervention: Affine, mask: MaskFn | None, by_channel: Affine) -> None:
        """
        **Arguments:**

        - `intervention`: as the mask knows it.
        - `by_channel`: what is done to the values of the last axis.
        """
        self._intervention, self._by_channel = intervention, by_channel
        self._mask = mask
        self._shape = (0, 0)
        """Batch and positions of the pass; OPT flattens the two before its MLP."""

    def note_shape(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Pre-hook of the block, which sees `[batch, position, d_model]`."""
        hidden: torch.Tensor = args[0] if args else kwargs["hidden_states"]
        self._shape = (hidden.shape[0], hidden.shape[1])

    def before(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Pre-hook: the module reads the changed values."""
        shard = shard_of(module, args[0])
        return (self._changed(args[0], self._where(args[0]), shard), *args[1:])

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook: whoever comes next reads the changed values. Some blocks return a sequence."""
        if isinstance(output, (tuple, list)):
            first = self._changed(output[0], self._where(output[0]))
            return type(output)([first, *output[1:]])
        return self._changed(output, self._where(output))

    def logits(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of the model. Its logits may be of fewer positions; a text's share one answer."""
        where = self._mask(self._intervention, 1) if self._mask is not None else None
        if where is not None:
            where = where[:, :1].to(output.logits.device)
        output.logits = self._changed(output.logits, where)
        return output

    def _changed(
        self, values: torch.Tensor, where: torch.Tensor | None, shard: Shard | None = None
    ) -> torch.Tensor:
        if where is not None and not bool(where.any()):
            return values
        by_channel = self._by_channel
        changed = (
            by_channel.transform(values) if shard is None else shard.transform(by_channel, values)
        )
        return changed if where is None else torch.where(where.unsqueeze(-1), changed, values)

    def _where(self, values: torch.Tensor) -> torch.Tensor | None:
        """Where to act, in the shape of the values without their last axis."""
        where = self._mask(self._intervention, self._shape[1]) if self._mask is not None else None
        if where is None:
            return None
        where = where.to(values.device)
        if values.dim() == 2:
            return where.expand(self._shape).reshape(-1)
        return where


@dataclass(frozen=True, eq=False)
class Shard:
    """The slice of a layer's neurons whose activations this process computes."""

    start: int
    stop: int
    d_mlp: int
    """Neurons in the layer."""
    group: Any
    """The processes that hold the layer together."""

    def transform(self, intervention: Affine, values: torch.Tensor) -> torch.Tensor:
        """An intervention on this slice, `[..., neurons of the slice]`."""
        if isinstance(intervention, Intervention):
            inside = [i - self.start for i in intervention.neurons if self.start <= i < self.stop]
            part = replace(intervention, neurons=tuple(inside))
            return values if part.changes_nothing else part.transform(values)
        changed = intervention.transform(self.whole(values))  # a map may mix the slices
        return changed[..., self.start : self.stop].contiguous()

    def whole(self, values: torch.Tensor) -> torch.Tensor:
        """The layer's activations, `[..., d_mlp]`, from every process's slice."""
        size = torch.distributed.get_world_size(self.group)
        longest = -(-self.d_mlp // size)
        padded = nn.functional.pad(values, (0, longest - values.shape[-1])).contiguous()
        slices = [torch.empty_like(padded) for _ in range(size)]
        torch.distributed.all_gather(slices, padded, group=self.group)
        return torch.cat(slices, dim=-1)[..., : self.d_mlp]


def shard_of(projection: nn.Module, values: torch.Tensor, *, channels: int = 1) -> Shard | None:
    """The slice that an output projection is given; `None` where it is the whole layer.

    **Arguments:**

    - `values`: what enters the projection, `[..., neurons]`, or a number per unit of these.
    - `channels`: of a unit; processes divide attention by whole heads.
    """
    module: Any = getattr(projection, "base_layer", projection)
    weight = getattr(module, "weight", None)
    mesh = getattr(weight, "device_mesh", None)  # a DTensor's
    if mesh is None or values.shape[-1] * channels == module.in_features:
        return None
    d_mlp = int(module.in_features) // channels
    longest = -(-d_mlp // mesh.size())
    start = min(mesh.get_local_rank() * longest, d_mlp)
    stop = min(start + longest, d_mlp)
    assert values.shape[-1] == stop - start, "a slice of another length than its weights"
    return Shard(start, stop, d_mlp, mesh.get_group())


def whole_layer(projection: nn.Module, values: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """One value per unit of a layer, `[..., n_units]`, from those of this process's units."""
    shard = shard_of(projection, values, channels=channels)
    return values if shard is None else shard.whole(values)
