"""The one thing every generator makes: a prompt and the single right continuation.

An item knows nothing of splits, tasks or tokenizers; `build_tasks.py` selects and checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A prompt that ends without white space, and the target that continues it.

    lm_eval moves white space from the end of a prompt, newlines too, to the continuation, which
    would then be more than one token.
    """

    prompt: str
    """What the model reads."""

    target: str
    """What should follow, with the leading space that natural text has there."""

    source: str = ""
    """The fact that the item is laid out from; empty: the prompt itself. Splits share no source."""

    cluster: str = ""
    """What items have in common that have the same answer; empty: the target without its space.

    Items of one cluster succeed and fail together, so statistics move them together, and splits
    share no cluster."""

    def __post_init__(self) -> None:
        if not self.prompt or self.prompt != self.prompt.rstrip():
            raise ValueError(f"prompt must not be empty or end in white space, got {self.prompt!r}")
        if not self.target.strip():
            raise ValueError(f"target must not be blank, got {self.target!r} for {self.prompt!r}")
        if not self.cluster:
            object.__setattr__(self, "cluster", self.target.strip())


def distinct(items: Iterable[Item]) -> list[Item]:
    """The items without repeated prompts, in order; a prompt with two targets is an error."""
    seen: dict[str, Item] = {}
    for item in items:
        known = seen.setdefault(item.prompt, item)
        if known.target != item.target:
            raise ValueError(
                f"prompt {item.prompt!r} has two targets: {known.target!r}, {item.target!r}"
            )
    return list(seen.values())


def sentence(text: str) -> str:
    """The text with its first letter in upper case and the rest untouched."""
    return text[:1].upper() + text[1:]
