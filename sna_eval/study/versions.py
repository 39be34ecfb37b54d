"""What of the installed software a measurement's numbers may depend on."""

from __future__ import annotations

import platform
from importlib.metadata import version

_VERSIONED = ("sna-eval", "torch", "transformers", "lm_eval")


def versions(*more: str) -> dict[str, str]:
    """Versions by name: Python's, this package's and its foundations', and those of `more`."""
    names = (*_VERSIONED, *more)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
