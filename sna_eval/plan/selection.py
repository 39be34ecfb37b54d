"""How a plan asks for neurons: the key `select`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sna_eval.errors import InputError
from sna_eval.neurons import MAX_PROMPTS, SHARE, Pooling, SearchConfig, Sinks, find_ranking
from sna_eval.neurons.pairs import SUFFIX
from sna_eval.neurons.universal import Universal

TOP_K = 10
"""Neurons per set, where nothing else is asked."""
DEVELOPMENT = "development"
_ADDED = ("across_layers", "share", "drop_universal", "unrelated_prompts")  # said where they count


@dataclass(frozen=True)
class Selection:
    """How neurons are to be found."""

    method: str = "differential"
    """The ranking: one of `sna_eval.neurons.rankings`."""
    top_k: int | None = None
    """Neurons per set, in one layer; with `across_layers` of all layers together, in place of
    `share`."""
    across_layers: bool = False
    """Whether the best of all layers together are taken, instead of those of one layer; the entry
    then names no `layer`, and acts in every layer that has one of them."""
    share: float | None = None
    """With `across_layers`, how many: a fraction of all neurons of the model, above 0 and up to 1;
    0.001 where neither it nor `top_k` is given."""
    prompts: str = DEVELOPMENT
    """Where prompts come from: the task's `development` items, never the test split; or a file of
    pairs, `.jsonl`, whose positive prompts are then set against its negative ones."""
    reference: Literal["neutral"] = "neutral"
    """What a task's prompts are compared with: the bundled neutral sentences."""
    pooling: Pooling = "mean"
    """Prompt tokens that count: all (`mean`), or the `last`; `attribution` and `gradient` sum over
    all."""
    seed: int | None = None
    """Which draw of `random`, from 0; `None` is the draw 0. No other method has one."""
    max_prompts: int = MAX_PROMPTS
    """Prompts at most, or pairs of them, spread evenly over the development split or the file."""
    sinks: Sinks = "drop"
    """Whether position 0 of a prompt is left out (`drop`) or counts (`keep`); for `gradient` it
    counts."""
    drop_universal: bool = False
    """Whether neurons are left out that are among the most active of all layers on at least 80 % of
    unrelated prompts."""
    unrelated_prompts: str | None = None
    """File of these prompts, one a line, for `drop_universal`; `None`: the bundled ones."""

    def __post_init__(self) -> None:
        settings = find_ranking(self.method).settings
        _one_of("select.reference", self.reference, ("neutral",))
        _one_of("select.pooling", self.pooling, get_args(Pooling))
        _one_of("select.sinks", self.sinks, get_args(Sinks))
        self._settle_count()
        for name in ("top_k", "max_prompts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"select.{name}", expected="at least 1", got=value)
        if self.pooling != "mean" and "pooling" not in settings:
            raise InputError(
                "select.pooling",
                expected=f"`mean` for `{self.method}`, which sums over all tokens",
                got=self.pooling, hint="remove it",
            )  # fmt: skip
        self._check_prompts(compares="reference" in settings)
        self._settle_seed(draws="seed" in settings)

    def _settle_count(self) -> None:
        if self.share is not None and not self.across_layers:
            raise InputError(
                "select.share", expected="`across_layers: true` beside it", got=self.share,
                hint="`top_k` says how many neurons of one layer",
            )  # fmt: skip
        if self.share is not None and self.top_k is not None:
            raise InputError(
                "select.top_k", expected="no such key beside `share`", got=self.top_k,
                hint="either says how many neurons of all layers together",
            )  # fmt: skip
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(
                "select.share", expected="a fraction of all neurons, above 0 and up to 1",
                got=self.share,
            )  # fmt: skip
        if self.top_k is None and self.across_layers:
            object.__setattr__(self, "share", SHARE if self.share is None else self.share)
        elif self.top_k is None:
            object.__setattr__(self, "top_k", TOP_K)

    def _check_prompts(self, *, compares: bool) -> None:
        if self.prompts != DEVELOPMENT and not self.prompts.endswith(SUFFIX):
            raise InputError(
                "select.prompts", expected=f"one of development, a file of pairs ({SUFFIX})",
                got=self.prompts,
            )  # fmt: skip
        if self.pairs is not None and not compares:
            raise InputError(
                "select.prompts",
                expected=f"development for `{self.method}`, which compares no two kinds of prompts",
                got=self.prompts, hint="use `differential` or `absolute`",
            )  # fmt: skip
        if self.unrelated_prompts is not None and not self.drop_universal:
            raise InputError(
                "select.unrelated_prompts", expected="`drop_universal: true` beside it",
                got=self.unrelated_prompts,
            )  # fmt: skip

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
    def pairs(self) -> str | None:
        """The file of pairs; `None` for a task's own prompts."""
        return None if self.prompts == DEVELOPMENT else self.prompts

    @property
    def config(self) -> SearchConfig:
        """The search that finds them."""
        universal = None
        if self.drop_universal:
            universal = Universal(self.share or SHARE, self.unrelated_prompts)
        return SearchConfig(
            self.method, self.pooling, self.seed or 0, self.max_prompts, self.sinks,
            pairs=self.pairs, universal=universal,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """What counts for the method, in reading order."""
        settings = find_ranking(self.method).settings
        unused = {"reference", "pooling", "seed"} - set(settings)
        if self.pairs is not None:
            unused.add("reference")
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in unused and value is not None and (value or name not in _ADDED)
        }


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, expected=f"one of {', '.join(allowed)}", got=value)
