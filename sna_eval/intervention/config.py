"""What a model's config says about its decoder."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

_BY_LENGTH = ("longrope", "dynamic")
"""Rotary embeddings whose factors go by the length of the whole text."""


def text_config(model: Any) -> Any:
    """The part of a config that describes the decoder; of most models it is the whole."""
    return getattr(model.config, "text_config", None) or model.config


def steady_width(model: Any) -> float:
    """Tokens up to which a part of a text is computed as in the whole; infinite for most models.

    Beyond it, rotary factors change with the length of the text, or attention falls into chunks.
    """
    config = text_config(model)
    chunk = getattr(config, "attention_chunk_size", None)
    limits = [math.inf if chunk is None else chunk]
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        if rope.get("rope_type") in _BY_LENGTH:
            original = rope.get("original_max_position_embeddings")
            limits.append(original or config.max_position_embeddings)
    return float(min(limits))


def _ropes(parameters: Any) -> Iterator[Mapping[str, Any]]:
    """The rotary embeddings of a config: one for all layers, or one for each kind of layer."""
    if not isinstance(parameters, Mapping):
        return
    if "rope_type" in parameters:
        yield parameters
    yield from (part for part in parameters.values() if isinstance(part, Mapping))
