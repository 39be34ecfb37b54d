"""Features of a sparse dictionary as units: amplified in the state that the dictionary describes.

Amplifying feature `i` by `m` adds `(m - 1) * a_i * W_dec[i]` to the state, with `a_i` by the
encoder on the state as it comes; what the dictionary does not describe of it stays. So the state
is no reconstruction, and with `m = 1` it is the model's own to the bit.

`FeatureSite` stands where neurons have their MLP's output projection, and is hooked like one: what
its hooks see are activations, `[..., n_features]`, and what they make of them counts. Searches,
rankings, screens and amplification know no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.intervention.dictionary import FIELD, Dictionary
from sna_eval.intervention.experts import HookHandle
from sna_eval.intervention.family import Component, Place
from sna_eval.intervention.projections import NoProjection, submodule

if TYPE_CHECKING:
    from sna_eval.intervention.sites import Sites

_TRANSFORMER_LENS = re.compile(r"blocks\.(\d{1,4})\.hook_(resid_post|resid_pre|mlp_out|attn_out)")
_PLACES: dict[str, Place] = {
    "resid_post": "block", "resid_pre": "block", "mlp_out": "mlp", "attn_out": "attention",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Features:
    """The features of some blocks' states."""

    count: int
    """Features in a layer."""
    projections: tuple[nn.Module, ...]
    """What stands for each block's output projection; its input is `[..., count]`."""
    layers: tuple[int, ...]
    """Blocks that have them."""
    sha256: str
    """Hash of the dictionaries and of where they are."""


class FeatureSite(nn.Module):
    """Stands for the output projection of a dictionary's features.

    **Arguments:**

    - `target`: the module whose output the dictionary describes.
    """

    in_features: int
    """Features."""
    out_features: int
    """`d_model`."""

    def __init__(self, target: nn.Module, dictionary: Dictionary) -> None:
        super().__init__()
        self._target = (target,)  # a tuple, so that it does not become a submodule
        self._look: RemovableHandle | None = None
        self.dictionary = dictionary
        self.decoder = nn.Parameter(dictionary.decoder, requires_grad=False)
        self.in_features, self.out_features = dictionary.n_features, dictionary.width

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        """As any module's; the hook sees `[..., n_features]`."""
        handle = super().register_forward_pre_hook(*args, **kwargs)
        if self._look is None:
            self._look = self._target[0].register_forward_hook(self._after)
        return HookHandle(handle, self._stop_looking)

    def forward(
        self, changed: torch.Tensor, seen: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """What `changed` activations make of a state, or, without one, write: `[..., d_model]`.

        **Arguments:**

        - `seen`: the state and its own activations.
        """
        decoder = self.dictionary.beside(changed).decoder
        if seen is None:
            return changed.to(decoder.dtype) @ decoder
        state, activations = seen
        if changed is activations:
            return state
        step = (changed - activations).to(decoder.dtype)
        if not torch.is_grad_enabled():
            touched = step.flatten(0, -2).ne(0).any(0).nonzero().flatten()
            step, decoder = step[..., touched], decoder[touched]
        return (state.to(decoder.dtype) + step @ decoder).to(state.dtype)

    def written(self) -> torch.Tensor:
        """What all features write, `[n_features, d_model]`."""
        return self.decoder.data

    def _stop_looking(self) -> None:
        if not self._forward_pre_hooks and self._look is not None:
            self._look.remove()
            self._look = None

    def _after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Hook of the target: runs the hooks registered here.

        Activations are no part of the graph: what a state has of them, a gradient by the state
        does not count, as without a dictionary.
        """
        state: torch.Tensor = output[0] if isinstance(output, (tuple, list)) else output
        with torch.autocast(state.device.type, enabled=False):
            activations = self.dictionary.activations(state)
            changed = self(activations, (state, activations))
        if isinstance(output, (tuple, list)):
            return type(output)([changed, *output[1:]])
        return changed


def find_features(model: nn.Module, sites: Sites, dictionaries: Sequence[Dictionary]) -> Features:
    """Where the features of some dictionaries are in a model.

    **Raises:** `InputError` for a dictionary of another width or place, and for two of one layer
    or of different sizes.
    """
    found: dict[int, FeatureSite] = {}
    for dictionary in dictionaries:
        layer, target = _target(model, sites, dictionary)
        if dictionary.width != sites.d_model:
            raise InputError(
                FIELD, expected=f"states of {sites.d_model} numbers, as {sites.architecture} has",
                got=f"{dictionary.width} in {dictionary.folder}",
                hint="load the model that it was made for",
            )  # fmt: skip
        if layer in found:
            raise InputError(FIELD, expected="one a layer", got=f"two of layer {layer}")
        found[layer] = FeatureSite(target, dictionary)
    counts = {site.in_features for site in found.values()}
    if len(counts) > 1:
        raise InputError(FIELD, expected="dictionaries of one size", got=sorted(counts))
    projections = tuple(found.get(layer) or NoProjection() for layer in range(sites.n_layers))
    hashes = [[layer, site.dictionary.sha256] for layer, site in sorted(found.items())]
    return Features(counts.pop(), projections, tuple(sorted(found)), digest(hashes))


def _target(model: nn.Module, sites: Sites, dictionary: Dictionary) -> tuple[int, nn.Module]:
    """The block that a dictionary acts in, and the module whose output it describes."""
    found = place_of(model, sites, dictionary.hook_point)
    if found is not None:
        layer, place = found
        return layer, outputs_of(sites, place)[layer]
    for inside in _modules(model, dictionary.hook_point):
        for layer, block in enumerate(sites.blocks):
            if any(module is inside for module in block.modules()):
                return layer, inside
    raise InputError(
        FIELD, expected="the output of a block, of its MLP or of its attention, such as "
        f"blocks.0.hook_resid_post or {sites.block_path}.0 ({sites.architecture})",
        got=f"{dictionary.hook_point} in {dictionary.folder}",
    )  # fmt: skip


def place_of(model: nn.Module, sites: Sites, hook_point: str) -> tuple[int, Place] | None:
    """The layer and the place whose output a hook point is; `None` for any other.

    **Arguments:**

    - `hook_point`: TransformerLens' name, or a module's path from the model or its inner part, as
        lm_eval and sparsify name it. A module that ends with the component's output, as an MLP
        around its projection, is that component.
    """
    match = _TRANSFORMER_LENS.fullmatch(hook_point)
    if match is not None:
        layer, place = int(match[1]), _PLACES[match[2]]
        layer -= match[2] == "resid_pre"  # what leaves the block before
        return (layer, place) if 0 <= layer < len(outputs_of(sites, place)) else None
    for inside in _modules(model, hook_point):
        for layer, block in enumerate(sites.blocks):
            if inside is block:
                return layer, "block"
            if all(inside is not module for module in block.modules()):
                continue
            for component in get_args(Component):
                outputs = outputs_of(sites, component)
                if layer < len(outputs) and any(
                    outputs[layer] is module for module in inside.modules()
                ):
                    return layer, component
    return None


def outputs_of(sites: Sites, place: Place) -> tuple[nn.Module, ...]:
    """Every block's module whose output a place is."""
    return {
        "block": sites.blocks, "attention": sites.attention_outputs, "mlp": sites.mlp_outputs,
    }[place]  # fmt: skip


def _modules(model: nn.Module, path: str) -> Iterator[nn.Module]:
    """What a path may lead to inside the blocks."""
    for start in (getattr(model, "base_model", None), model):
        found = submodule(start, path) if isinstance(start, nn.Module) and path else None
        if found is not None:
            yield found
