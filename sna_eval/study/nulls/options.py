"""What a searched null is asked."""

from __future__ import annotations

from dataclasses import dataclass

from sna_eval.errors import InputError
from sna_eval.gating import Gate
from sna_eval.intervention import Unit
from sna_eval.measuring.answers import OTHERS
from sna_eval.measuring.items import Split
from sna_eval.neurons import MAX_PROMPTS, RANKINGS, Pooling, Sinks

DRAWS = 99
"""Random rankings: p can be as low as 0.01."""
RANDOM = "random"


@dataclass(frozen=True)
class NullOptions:
    """One search, and how often it is repeated with random rankings."""

    unit: Unit = "mlp"
    """What is ranked and amplified: neurons, or attention heads."""
    select: str | None = None
    """How the claim's neurons are ranked; `None`: as a sweep would. `random` makes the claim a
    placebo: one more random ranking."""
    layers: tuple[int, ...] | None = None
    """`None`: every layer; for `contrastive` five of them."""
    n_neurons: tuple[int, ...] | None = None
    """`None`: the paper's seven counts; of heads 1, 2 and 4, as far as there are as many again."""
    multipliers: tuple[float, ...] | None = None
    """`None`: the paper's twelve."""
    gate: Gate | None = None
    """Whose items count: gains of items whose gate stays closed are 0. `None`: every item's."""
    draws: int = DRAWS
    """Random rankings beside the claim."""
    measured: int = 4
    """Configurations that each ranking measures on the choosing items, by their prediction."""
    equal_push: bool = True
    """Whether every ranking's choice is scaled to push the choosing items' next tokens as far, by
    mean KL divergence, as the claim's."""
    development_limit: int | None = None
    """Development items at most; `None`: all. Half of them rank neurons, half choose."""
    limit: int | None = 150
    """Test items at most; `None`: all."""
    spread: bool = True
    """Whether a limit takes test items evenly from the whole split instead of the first ones."""
    split: Split = "test"
    """Items that gains are taken on. On `development` items a gain is no result."""
    others: int = OTHERS
    """Other prompts that each answer is asked on, for the specific part."""
    pooling: Pooling = "mean"
    max_prompts: int = MAX_PROMPTS
    sinks: Sinks = "drop"
    seed: int = 0
    """Of random rankings and of what else is drawn."""
    claim_seed: int = 0
    """Which random ranking the claim is, where `select` is `random`."""
    tokens_per_pass: int | None = None
    """Tokens in one forward pass; `None`: by kind of device."""

    def __post_init__(self) -> None:
        if self.select not in (*RANKINGS, None):
            raise InputError("select", expected=f"one of {', '.join(RANKINGS)}", got=self.select)
        least = (
            ("draws", 1), ("measured", 1), ("development_limit", 4), ("limit", 1), ("others", 0),
            ("max_prompts", 1), ("tokens_per_pass", 1),
        )  # fmt: skip
        for name, bound in least:
            value = getattr(self, name)
            if value is not None and value < bound:
                raise InputError(name, expected=f"at least {bound}", got=value)
