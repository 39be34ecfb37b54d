"""lm_eval's own methods, run on a model of which some attributes are others.

lm_eval hands over what it made by calling another method of its model: encoded requests, batches to
generate from, finished texts. Called with a stand-in for the model, its methods find those of the
stand-in, and ask the model for everything else. The model itself changes in nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from lm_eval.models.huggingface import HFLM


def stand_in(lm: HFLM, **replaced: Any) -> HFLM:
    """The same model, some of whose attributes are replaced."""
    copied = copy.copy(lm)  # an instance of its class, as lm_eval's `super()` wants
    vars(copied).update(replaced)
    return copied


def encoded(lm: HFLM, requests: Sequence[Any], *, quiet: bool = True) -> list[Any]:
    """Log-likelihood requests as lm_eval tokenizes them: texts, context and continuation tokens."""
    handed_over = stand_in(lm, _loglikelihood_tokens=lambda found, **_: found)
    return HFLM.loglikelihood(handed_over, requests, disable_tqdm=quiet)


def generated(
    lm: HFLM, requests: Sequence[Any], *, generate: Any, quiet: bool
) -> tuple[list[str], list[str]]:
    """Texts by lm_eval's `generate_until`, and contexts in the order of their rows.

    **Arguments:**

    - `generate`: in place of the model's `_model_generate`.
    """
    rows = _RowOrder()
    handed_over = stand_in(lm, _model_generate=generate, cache_hook=rows)
    texts = HFLM.generate_until(handed_over, list(requests), disable_tqdm=quiet)
    return texts, rows.contexts


class _RowOrder:
    """Stands in for lm_eval's cache hook, to which HFLM reports its texts in row order."""

    dbdict = None

    def __init__(self) -> None:
        self.contexts: list[str] = []

    def add_partial(self, kind: str, request: tuple[Any, ...], result: Any) -> None:
        self.contexts.append(request[0])
