"""Numbers that an intervention carries: immutable, and equal where their bytes are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch

from sna_eval.errors import InputError


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector in float32, on the CPU."""

    values: torch.Tensor
    """`[n]`; whoever made it must not write to it."""

    def __post_init__(self) -> None:
        values = self.values.detach().to("cpu", torch.float32).contiguous()
        if values.dim() != 1 or not bool(values.isfinite().all()):
            raise InputError(
                "parameters", expected="a list of finite numbers", got=f"shape {list(values.shape)}"
            )
        object.__setattr__(self, "values", values)

    @classmethod
    def of(cls, numbers: Iterable[float]) -> Vector:
        return cls(torch.tensor([float(number) for number in numbers], dtype=torch.float32))

    @cached_property
    def sha256(self) -> str:
        """Hash of the numbers' bytes, little-endian."""
        return hashlib.sha256(self.values.numpy().astype("<f4").tobytes()).hexdigest()

    def __len__(self) -> int:
        return int(self.values.numel())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def beside(self, other: torch.Tensor) -> torch.Tensor:
        """The numbers on the device of `other` and in its dtype, but in float32 at least: what is
        made of both is then rounded once."""
        return self.values.to(other.device, torch.promote_types(other.dtype, torch.float32))

    def tolist(self) -> list[float]:
        return [float(number) for number in self.values]
