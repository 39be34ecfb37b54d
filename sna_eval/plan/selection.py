"""How a plan asks for neurons: the key `select`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from sna_eval.errors import InputError
from sna_eval.neurons import Pooling

SelectionMethod = Literal["differential", "contrastive", "attribution", "random"]


@dataclass(frozen=True)
class Selection:
    """How neurons are to be found."""

    method: SelectionMethod = "differential"
    """`differential`: task against neutral text. `contrastive`: one class against the other.
    `attribution`: activation times gradient of the right answers' log-probability. `random`: a
    control, matched in mean activation to the differential neurons and none of them."""
    top_k: int = 10
    """Neurons per set."""
    prompts: Literal["development"] = "development"
    """Which items the task prompts come from; never the test split."""
    reference: Literal["neutral"] = "neutral"
    """What `differential` compares with: the bundled neutral sentences."""
    pooling: Pooling = "mean"
    """Prompt tokens that count: all (`mean`), or the `last`; `attribution` sums over all."""
    seed: int | None = None
    """Which draw of `random`, from 0; `None` is the draw 0. No other method has one."""

    def __post_init__(self) -> None:
        _one_of("select.method", self.method, get_args(SelectionMethod))
        _one_of("select.prompts", self.prompts, ("development",))
        _one_of("select.reference", self.reference, ("neutral",))
        _one_of("select.pooling", self.pooling, get_args(Pooling))
        if self.top_k < 1:
            raise InputError("select.top_k", expected="at least 1", got=self.top_k)
        if self.method == "attribution" and self.pooling != "mean":
            raise InputError(
                "select.pooling", expected="`mean` for `attribution`, which sums over all tokens",
                got=self.pooling, hint="remove it",
            )  # fmt: skip
        self._settle_seed()

    def _settle_seed(self) -> None:
        if self.method == "random":
            object.__setattr__(self, "seed", self.seed or 0)
        elif self.seed is not None:
            raise InputError(
                "select.seed", expected=f"no such key for `{self.method}`, which draws nothing",
                got=self.seed, hint="it belongs to `method: random`",
            )  # fmt: skip
        if self.seed is not None and self.seed < 0:
            raise InputError("select.seed", expected="a whole number from 0", got=self.seed)

    def to_dict(self) -> dict[str, Any]:
        """What counts for the method, in reading order."""
        values = asdict(self)
        if self.seed is None:
            del values["seed"]
        if self.method == "attribution":
            del values["reference"], values["pooling"]
        return values


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, expected=f"one of {', '.join(allowed)}", got=value)
