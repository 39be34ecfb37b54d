"""What a table of methods is asked to hold."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.errors import InputError
from sna_eval.study.nulls.options import DRAWS

STRENGTHS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Strengths that other methods than amplification may choose from, on development items."""

SHARES = (0.001, 0.005)
"""Fractions of all neurons that methods across layers choose from; the first is their paper's."""


@dataclass(frozen=True)
class MethodsOptions:
    """How methods are measured."""

    limit: int | None = None
    """Test items per task at most; `None`: all."""
    random_draws: int = DRAWS
    """Searches with random rankings."""
    tried: int = 4
    """Configurations that every method tries on development items, random rankings included."""
    strengths: tuple[float, ...] = STRENGTHS
    """What methods with a strength choose from, as multiples of what was found."""
    draws: int = 2_000
    """Bootstrap samples and permutations."""
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("limit", 1),
            ("random_draws", 1),
            ("tried", 1),
            ("draws", 1),
            ("batch_size", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(name, expected=f"at least {least}", got=value)
        if not self.strengths:
            raise InputError("strengths", expected="at least one number", got=self.strengths)
