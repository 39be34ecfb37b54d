"""What an export format is: how it writes a plan, and what its card says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sna_eval.export.source import Source


@dataclass(frozen=True, kw_only=True)
class ExportFormat:
    """One format, and all that the command and the card say of it."""

    name: str
    """What `--format` calls it."""
    what: str
    """What the folder is, as its card says it."""
    library: Literal["peft", "transformers", "lm_eval", "llama.cpp"]
    """What loads it."""
    holds: Literal["scalings", "vectors"] = "scalings"
    """Factors on neurons, or vectors added to the residual stream."""
    write: Callable[[Source, Path], None]
    """Writes the weights and what describes them."""
    loading: Callable[[Source], str]
    """The card's section on how to load it."""
