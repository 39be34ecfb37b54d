"""How a comparison is made."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.errors import InputError


@dataclass(frozen=True)
class Options:
    """Choices of whoever compares."""

    tasks: tuple[str, ...] = ()
    """Names or globs; empty for every task that both runs have."""
    metrics: tuple[str, ...] = ()
    """Metrics; empty for every outcome that both runs have."""
    confidence: float = 0.95
    """Of intervals."""
    power: float = 0.8
    """At which the smallest detectable effect is given."""
    smallest: float | None = None
    """Smallest effect of interest, in the unit of the metric: whether larger ones are excluded is
    tested too."""
    draws: int = 10_000
    """Bootstrap samples and random exchanges."""
    seed: int = 0
    force: bool = False
    """Compare what is not comparable, and mark it."""

    def __post_init__(self) -> None:
        for name, value in (("confidence", self.confidence), ("power", self.power)):
            if not 0 < value < 1:
                raise InputError(name, expected="a number between 0 and 1", got=value)
        if self.power <= self.alpha / 2:  # any effect is found as often, and none is the smallest
            raise InputError(
                "power", expected=f"a number above {self.alpha / 2:g}", got=self.power,
                hint="a test at this level finds what is not there as often",
            )  # fmt: skip
        if self.smallest is not None and not self.smallest > 0:
            raise InputError("smallest", expected="a number above 0", got=self.smallest)
        if self.draws < 100:
            raise InputError("draws", expected="at least 100", got=self.draws)

    @property
    def alpha(self) -> float:
        return 1 - self.confidence
