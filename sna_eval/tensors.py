"""Tensors from files in the safetensors format, which hold numbers and nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LARGEST_HEADER = 4 * 2**20  # bytes; a name, a type and a place take some hundred
_LENGTH = 8  # bytes at the start that give the header's
_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
)  # fmt: skip
"""What the library runs into where a header lies about its tensors."""


def read_tensors(path: Path, *, largest: int) -> dict[str, torch.Tensor]:
    """All tensors of a file, by name.

    **Arguments:**

    - `largest`: bytes of the file at most.

    **Raises:** `ValueError` for anything that is no such file, and where it or its header is too
    large; `OSError` where it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    with path.open("rb") as file:
        header = int.from_bytes(file.read(_LENGTH), "little")
        if header > _LARGEST_HEADER:
            raise ValueError(f"a header of {header:,} bytes; {_LARGEST_HEADER:,} at most")
        file.seek(0)
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"more than {largest:,} bytes")
    try:
        return dict(load(content))
    except (SafetensorError, *_DAMAGE) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
