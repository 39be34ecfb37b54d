"""Where a decoder's MLP neurons and attention heads are, in any architecture.

A neuron's activation is the value that enters the MLP's output projection. TransformerLens names
the module paths for the architectures it supports; those of others are told from the shapes of
their layers, where these leave no doubt. Either way the modules are those of the Hugging Face model
as it was loaded, and nothing about it changes.

In a mixture of experts a neuron belongs to one expert: `intervention.experts`.

A head is a run of `d_head` neighbouring inputs of the attention's output projection. `Sites.of`
gives the same model seen by its heads: wherever neurons are searched, scaled or exported, that view
takes the place of the plain one. So does the view by the features of sparse dictionaries, where
these are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.dictionary import Dictionary
from sna_eval.intervention.features import Features, find_features
from sna_eval.intervention.projections import (
    Heads,
    NoProjection,
    Projection,
    Structure,
    component_mapping,
    find_heads,
    find_structure,
    projection_in,
    submodule,
    unknown_architecture,
    widths,
)
from sna_eval.intervention.spec import Intervention, Unit

UNITS: dict[Unit, str] = {"mlp": "neurons", "head": "heads", "feature": "features"}
"""What units are called, several of them."""


@dataclass(frozen=True, eq=False)
class Sites:
    """The blocks of a decoder and the output projections that its units write by."""

    architecture: str
    """Name that TransformerLens gives the architecture, e.g. `GPT2LMHeadModel`."""
    block_path: str
    """Path of the block list in the model, e.g. `transformer.h`."""
    projection_path: str
    """Path of the output projection inside a block, e.g. `mlp.c_proj`."""
    blocks: tuple[nn.Module, ...]
    """The blocks, first to last."""
    projections: tuple[nn.Module, ...]
    """Each block's output projection; its input, `[..., d_mlp]`, holds the activations. Of heads:
    the attention's, `[..., n_heads * d_head]`."""
    d_mlp: int
    """Neurons in a layer, those of all its experts."""
    d_model: int
    """Width of the residual stream."""
    attention_outputs: tuple[nn.Module, ...] = ()
    """What hands each block's attention output to the residual stream: the output projection, or
    the norm behind it; empty where the adapter names none."""
    mlp_outputs: tuple[nn.Module, ...] = ()
    """The same for the MLP."""
    layers: tuple[int, ...] = ()
    """Blocks that have `d_mlp` neurons in `n_experts`; some architectures have others too."""
    n_experts: int = 0
    """Experts a layer's neurons belong to; 0 for a plain MLP."""
    found_by: Literal["TransformerLens", "shapes"] = "TransformerLens"
    """What told where the output projection is."""
    heads: Heads | None = None
    """Where attention heads are; `None` where nothing tells."""
    features: Features | None = None
    """Where features are; `None` without a dictionary."""
    unit: Unit = "mlp"
    """What is chosen and amplified."""
    plain: Sites | None = None
    """Of a view by heads or features: the one by neurons."""

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def n_units(self) -> int:
        """Neurons, heads or features in a layer."""
        if self.features is not None and self.unit == "feature":
            return self.features.count
        return self.heads.count if self.heads is not None and self.unit == "head" else self.d_mlp

    @property
    def channels(self) -> int:
        """Inputs of the output projection that belong to one unit: `d_head` for a head, 1 for a
        neuron or a feature."""
        return self.heads.width if self.heads is not None and self.unit == "head" else 1

    @property
    def units(self) -> str:
        """What the units are called."""
        return UNITS[self.unit]

    @property
    def described(self) -> dict[str, str]:
        """What tells these units from neurons, in records of what was found."""
        told = {} if self.unit == "mlp" else {"unit": str(self.unit)}
        if self.features is not None and self.unit == "feature":
            told["dictionary_hash"] = self.features.sha256
        return told

    def with_features(self, model: nn.Module, dictionaries: Sequence[Dictionary]) -> Sites:
        """The same, and where the dictionaries' features are.

        **Raises:** `InputError` for a dictionary that does not fit the model.
        """
        if not dictionaries:
            return self
        return replace(self, features=find_features(base_model(model), self, dictionaries))

    def of(self, unit: Unit, *, field: str = "unit") -> Sites:
        """The same model, seen by its neurons (`mlp`), attention heads (`head`) or features.

        **Raises:** `InputError` where it is not known where the heads are, or without a dictionary.
        """
        if unit == self.unit:
            return self
        if self.plain is not None:
            return self.plain.of(unit, field=field)
        if unit == "feature":
            if self.features is None:
                raise InputError(
                    field, expected="`mlp` or `head`, or a model with a dictionary", got=unit,
                    hint="name its folder: --model_args dictionary=FOLDER",
                )  # fmt: skip
            return replace(
                self, unit="feature", plain=self, layers=self.features.layers,
                projection_path="", projections=self.features.projections,
            )  # fmt: skip
        if self.heads is None:
            raise InputError(
                field, expected="`mlp`, or a model whose attention output projection is known",
                got=f"head, for {self.architecture}", hint="leave `unit` out",
            )  # fmt: skip
        return replace(
            self, unit="head", plain=self, layers=self.heads.layers,
            projection_path=self.heads.path, projections=self.heads.projections,
        )  # fmt: skip

    def by_channel(self, intervention: Intervention) -> Intervention:
        """The same intervention, its indices those of the output projection's inputs."""
        if intervention.unit == "mlp":
            return intervention
        seen = self.of(intervention.unit)
        return replace(intervention, neurons=seen.channels_of(intervention.neurons))

    def channels_of(self, units: Sequence[int]) -> tuple[int, ...]:
        """The output projection's inputs that belong to some units, unit by unit."""
        width = self.channels
        return tuple(channel for i in units for channel in range(i * width, (i + 1) * width))

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """One value per unit, `[..., n_units]`, as one per channel, `[..., n_units * channels]`."""
        return values if self.channels == 1 else values.repeat_interleave(self.channels, dim=-1)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """One value per channel as one per unit, the sum of its channels'."""
        return values if self.channels == 1 else self._by_unit(values).sum(dim=-1)

    def strengths(self, activations: torch.Tensor) -> torch.Tensor:
        """How strongly each unit is active: `[..., n_units * channels]` to `[..., n_units]`.

        A neuron's is its activation, with its sign. A head has `d_head` of them: the Euclidean norm
        of these, which the head's amplification multiplies as a neuron's multiplies its activation;
        in float32 at least.
        """
        if self.channels == 1:
            return activations
        wide = torch.promote_types(activations.dtype, torch.float32)
        return torch.linalg.vector_norm(self._by_unit(activations), dim=-1, dtype=wide)

    def _by_unit(self, values: torch.Tensor) -> torch.Tensor:
        return values.unflatten(-1, (-1, self.channels))

    def check_layer(self, layer: int, *, field: str = "layer") -> None:
        """Raises `InputError` unless `layer` exists."""
        if not 0 <= layer < self.n_layers:
            raise InputError(
                field,
                expected=f"a layer from 0 to {self.n_layers - 1} ({self.architecture})",
                got=layer,
                hint="name a layer of this model, or load the model that the plan was made for",
            )
        if layer not in self.layers:
            raise InputError(
                field,
                expected=f"a layer with {self.n_units} {self.units} ({self.architecture}): "
                f"{', '.join(map(str, self.layers))}",
                got=layer,
                hint="the other blocks have none, or another number of them",
            )

    def check_neurons(self, neurons: tuple[int, ...], *, field: str = "neurons") -> None:
        """Raises `InputError` unless every neuron, or head, exists."""
        outside = [index for index in neurons if not 0 <= index < self.n_units]
        if outside:
            raise InputError(
                field,
                expected=f"{self.units} from 0 to {self.n_units - 1} ({self.architecture})",
                got=outside[0],
                hint=f"name {self.units} of this model, or load the one that the plan was made for",
            )


def find_sites(model: nn.Module) -> Sites:
    """Finds blocks and MLP output projections of a Hugging Face causal language model.

    **Arguments:**

    - `model`: any `PreTrainedModel`, or a PEFT model around one. It is not changed.

    **Raises:** `InputError` where neither TransformerLens nor the shapes of the layers say which
    layer of a block is its MLP's output projection.
    """
    base = base_model(model)
    try:
        return _named(base)
    except InputError:
        structure = find_structure(base)
        if structure is None:
            raise
        return _sites(type(base).__name__, structure, found_by="shapes")


def _named(model: nn.Module) -> Sites:
    """Sites where TransformerLens says they are."""
    architecture, components = component_mapping(model)
    blocks = components.get("blocks")
    mlp = blocks.submodules.get("mlp") if blocks is not None else None
    if blocks is None or mlp is None:
        raise unknown_architecture(architecture, "its adapter names no MLP")
    ends = [mlp.submodules[name].name for name in ("out", "dense_out") if name in mlp.submodules]
    paths = tuple(_joined(mlp.name, end) for end in ("experts", *ends))
    container = submodule(model, blocks.name)
    if container is None:
        raise unknown_architecture(architecture, f"it has no blocks at {blocks.name}")
    modules = tuple(container.children())
    sites = _sites(architecture, Structure(blocks.name, modules, paths))
    return replace(
        sites,
        heads=find_heads(model, blocks, modules),
        attention_outputs=_outputs(blocks, modules, "attn", "o", "ln1_post"),
        mlp_outputs=_outputs(blocks, modules, "mlp", "out", "ln2_post"),
    )


def _sites(
    architecture: str,
    structure: Structure,
    *,
    found_by: Literal["TransformerLens", "shapes"] = "TransformerLens",
) -> Sites:
    """Sites of the blocks of the commonest kind; of equally common ones, the widest."""
    found = [projection_in(block, structure.paths) for block in structure.blocks]
    kinds = [None if projection is None else _kind(projection) for projection in found]
    counts = Counter(kind for kind in kinds if kind is not None)
    if not counts:
        raise unknown_architecture(
            architecture, f"no block has an output projection at {' or '.join(structure.paths)}"
        )
    kind = max(counts, key=lambda kind: (counts[kind], kind))
    layers = tuple(number for number, other in enumerate(kinds) if other == kind)
    first = found[layers[0]]
    assert first is not None
    d_mlp, d_model, n_experts = kind
    return Sites(
        architecture,
        structure.block_path,
        first.path,
        structure.blocks,
        tuple(NoProjection() if projection is None else projection.module for projection in found),
        d_mlp,
        d_model,
        layers=layers,
        n_experts=n_experts,
        found_by=found_by,
    )


def _kind(projection: Projection) -> tuple[int, int, int]:
    """What blocks must have in common for a plan to be able to name any of them."""
    width = widths(projection.module)
    assert width is not None
    return (*width, projection.n_experts)


def _joined(*names: str) -> str:
    return ".".join(name for name in names if name)


def _outputs(
    blocks_map: Any, blocks: tuple[nn.Module, ...], component: str, projection: str, norm: str
) -> tuple[nn.Module, ...]:
    """The module of every block whose output is a component's share of the residual stream."""
    named, behind = blocks_map.submodules.get(component), blocks_map.submodules.get(norm)
    last = behind or (named.submodules.get(projection) if named is not None else None)
    if last is None:
        return ()
    inside = [] if behind is not None else [named.name]
    path = ".".join(part for part in (*inside, last.name) if part)
    found = (submodule(block, path) for block in blocks)
    modules = tuple(module for module in found if module is not None)
    return modules if len(modules) == len(blocks) else ()
