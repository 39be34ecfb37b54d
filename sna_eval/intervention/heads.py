"""Where a decoder's attention heads are: in the input of each attention's output projection.

TransformerLens names that projection's path. What enters it is one head after another, each
`d_head` wide, in every attention it knows: grouped queries share keys and values, but each query
head has an output of its own. How many heads there are stands in the model's config.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from torch import nn

from sna_eval.intervention.config import text_config
from sna_eval.intervention.projections import NoProjection, submodule, widths


@dataclass(frozen=True, eq=False)
class Heads:
    """The attention heads of a decoder."""

    count: int
    """Heads in a layer."""
    width: int
    """Channels of a head: `d_head`."""
    path: str
    """Path of the attention's output projection inside a block, e.g. `self_attn.o_proj`."""
    projections: tuple[nn.Module, ...]
    """Each block's; its input is `[..., count * width]`."""
    layers: tuple[int, ...]
    """Blocks that have them."""


def find_heads(model: nn.Module, blocks_map: Any, blocks: tuple[nn.Module, ...]) -> Heads | None:
    """The heads, `None` where the adapter or the config leaves open where they are.

    **Arguments:**

    - `blocks_map`: TransformerLens' component for the blocks.
    - `blocks`: the blocks, first to last.
    """
    attention = blocks_map.submodules.get("attn")
    output = attention.submodules.get("o") if attention is not None else None
    count = getattr(text_config(model), "num_attention_heads", None)
    if output is None or not isinstance(count, int) or count < 1:
        return None
    path = ".".join(part for part in (attention.name, output.name) if part)
    found = [submodule(block, path) for block in blocks]
    inputs = [None if module is None else (widths(module) or (None,))[0] for module in found]
    fitting = Counter(width for width in inputs if width is not None and width % count == 0)
    if not fitting:
        return None
    width = fitting.most_common(1)[0][0]
    projections = (
        module if module is not None and inputs[number] == width else NoProjection()
        for number, module in enumerate(found)
    )
    layers = tuple(number for number, inside in enumerate(inputs) if inside == width)
    return Heads(count, width // count, path, tuple(projections), layers)
