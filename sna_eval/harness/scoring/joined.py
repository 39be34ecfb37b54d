"""Targets that a tokenizer joins to the last token of their context.

lm_eval tokenizes context and target as one text; what the context's own tokens leave over is the
target. A tokenizer that knows "defaultdict" leaves nothing over of "default" and "dict", and
lm_eval's `hf` stops. Here such a target is tokenized apart, counted, and said once; every other
pair stays as lm_eval has it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.tasks.items import Item

_LOGGER = logging.getLogger(__name__)


class JoinedTargets:
    """Those of a model's pairs that were tokenized apart, by their texts."""

    def __init__(self) -> None:
        self._met: set[tuple[str, str]] = set()

    def encode(
        self, context: str, target: str, tokenize: Callable[..., list[int]], *, quiet: bool = False
    ) -> tuple[list[int], list[int]]:
        """Tokens of a context and of a target that vanished into it.

        **Arguments:**

        - `tokenize`: as HFLM's `tok_encode`.
        - `quiet`: whether somebody else warns.
        """
        if not self._met and not quiet:
            _LOGGER.warning(
                "the tokenizer joins the target %r to the last token of its context, %r: the two "
                "are tokenized apart, as wherever that happens; counted as tokenized_apart",
                target, context[-30:],
            )  # fmt: skip
        self._met.add((context, target))
        stem = context.rstrip()  # as lm_eval: spaces before a target are the target's
        return tokenize(stem), tokenize(context[len(stem) :] + target, add_special_tokens=False)

    def count(self, items: Iterable[Item], ledger: Ledger) -> None:
        """Counts the documents with such a target, by task."""
        for item in items if self._met else ():
            pairs = ((request.context_text, request.continuation_text) for request in item.requests)
            ledger.tasks[item.task].tokenized_apart += not self._met.isdisjoint(pairs)
