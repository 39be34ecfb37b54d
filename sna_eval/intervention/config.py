"""What a model's config says about its decoder."""

from __future__ import annotations

from typing import Any


def text_config(model: Any) -> Any:
    """The part of a config that describes the decoder; of most models it is the whole."""
    return getattr(model.config, "text_config", None) or model.config
