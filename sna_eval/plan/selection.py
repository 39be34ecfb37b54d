"""How a plan asks for neurons: the key `select`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sna_eval.errors import InputError
from sna_eval.neurons import MAX_PROMPTS, Pooling, SearchConfig, Sinks, find_ranking


@dataclass(frozen=True)
class Selection:
    """How neurons are to be found."""

    method: str = "differential"
    """The ranking: one of `sna_eval.neurons.rankings`."""
    top_k: int = 10
    """Neurons per set."""
    prompts: Literal["development"] = "development"
    """Which items the task prompts come from; never the test split."""
    reference: Literal["neutral"] = "neutral"
    """What `differential` compares with: the bundled neutral sentences."""
    pooling: Pooling = "mean"
    """Prompt tokens that count: all (`mean`), or the `last`; `attribution` and `gradient` sum over
    all."""
    seed: int | None = None
    """Which draw of `random`, from 0; `None` is the draw 0. No other method has one."""
    max_prompts: int = MAX_PROMPTS
    """Prompts at most, spread evenly over the development split."""
    sinks: Sinks = "drop"
    """Whether position 0 of a prompt is left out (`drop`) or counts (`keep`); for `gradient` it
    counts."""

    def __post_init__(self) -> None:
        settings = find_ranking(self.method).settings
        _one_of("select.prompts", self.prompts, ("development",))
        _one_of("select.reference", self.reference, ("neutral",))
        _one_of("select.pooling", self.pooling, get_args(Pooling))
        _one_of("select.sinks", self.sinks, get_args(Sinks))
        for name in ("top_k", "max_prompts"):
            if getattr(self, name) < 1:
                raise InputError(f"select.{name}", expected="at least 1", got=getattr(self, name))
        if self.pooling != "mean" and "pooling" not in settings:
            raise InputError(
                "select.pooling",
                expected=f"`mean` for `{self.method}`, which sums over all tokens",
                got=self.pooling, hint="remove it",
            )  # fmt: skip
        self._settle_seed(draws="seed" in settings)

    def _settle_seed(self, *, draws: bool) -> None:
        if draws:
            object.__setattr__(self, "seed", self.seed or 0)
        elif self.seed is not None:
            raise InputError(
                "select.seed", expected=f"no such key for `{self.method}`, which draws nothing",
                got=self.seed, hint="it belongs to `method: random`",
            )  # fmt: skip
        if self.seed is not None and self.seed < 0:
            raise InputError("select.seed", expected="a whole number from 0", got=self.seed)

    @property
    def config(self) -> SearchConfig:
        """The search that finds them."""
        return SearchConfig(self.method, self.pooling, self.seed or 0, self.max_prompts, self.sinks)

    def to_dict(self) -> dict[str, Any]:
        """What counts for the method, in reading order."""
        settings = find_ranking(self.method).settings
        unused = {"reference", "pooling", "seed"} - set(settings)
        return {name: value for name, value in asdict(self).items() if name not in unused}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, expected=f"one of {', '.join(allowed)}", got=value)
