"""lm_eval's own methods, run on a model of which some attributes are others.

lm_eval hands over what it made by calling another method of its model: encoded requests, batches to
generate from, finished texts. Called with a stand-in for the model, its methods find those of the
stand-in, and ask the model for everything else. The model itself changes in nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch


def stand_in(lm: Any, **replaced: Any) -> Any:
    """The same model, some of whose attributes are replaced."""
    copied = copy.copy(lm)  # an instance of its class, as lm_eval's `super()` wants
    vars(copied).update(replaced)
    return copied


def encoded(lm: Any, requests: Sequence[Any], *, quiet: bool = True) -> list[Any]:
    """Log-likelihood requests as lm_eval tokenizes them: texts, context and continuation tokens."""
    handed_over = stand_in(lm, _loglikelihood_tokens=lambda found, **_: found)
    return _lm_eval_class(lm).loglikelihood(handed_over, requests, disable_tqdm=quiet)


def generated(
    lm: Any,
    requests: Sequence[Any],
    *,
    told: Callable[[tuple[Any, ...], str], None],
    quiet: bool,
    generate: Any = None,
) -> list[str]:
    """Texts by lm_eval's `generate_until`.

    **Arguments:**

    - `told`: of a request's arguments and its text, row by row of each batch.
    - `generate`: in place of the model's `_model_generate`.
    """
    replaced = {} if generate is None else {"_model_generate": generate}
    handed_over = stand_in(lm, cache_hook=_Rows(told), **replaced)
    texts: list[str] = _lm_eval_class(lm).generate_until(
        handed_over, list(requests), disable_tqdm=quiet
    )
    return texts


def text_of(lm: Any, arguments: tuple[Any, ...], ids: torch.Tensor) -> str:
    """The text that lm_eval's `generate_until` makes of new ids, `[token]`, for a request."""

    def generate(context: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.cat([context, ids.unsqueeze(0).to(context)], dim=1)

    handed_over = stand_in(
        lm, _model_generate=generate, batch_size_per_gpu=1, cache_hook=_Rows(lambda *_: None)
    )
    request: Any = SimpleNamespace(args=arguments)
    (text,) = _lm_eval_class(lm).generate_until(handed_over, [request], disable_tqdm=True)
    return str(text)


def _lm_eval_class(lm: Any) -> Any:
    """lm_eval's own class of a model, whose methods are not ours."""
    return next(kind for kind in type(lm).__mro__ if kind.__module__.startswith("lm_eval.models."))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Stands in for lm_eval's cache hook, to which a model reports its texts in row order."""

    told: Callable[[tuple[Any, ...], str], None]
    dbdict: None = None

    def add_partial(self, kind: str, request: tuple[Any, ...], result: str) -> None:
        self.told(request, result)
