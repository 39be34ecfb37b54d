"""The unmodified model's texts beside the amplified ones.

Where a gate stayed closed there is one text and it is both. Open requests whose passes did not give
both are generated once more, without the plan, in batches of their own.
Where texts are drawn at random there is no such thing as the same text: then the unmodified model
generates all of them from the random state that a plain run would have begun with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from sna_eval.harness.values import GeneratedText

Generate = Callable[[list[Any]], list[str]]
"""The unmodified model's texts of some requests."""


class RandomState:
    """PyTorch's random state at one moment, of the processor and of all GPUs."""

    def __init__(self) -> None:
        self._states = _states()

    def is_now(self) -> bool:
        """Whether nothing was drawn since."""
        return all(map(torch.equal, self._states, _states()))

    @contextmanager
    def again(self) -> Iterator[None]:
        """The body draws what would have been drawn from that moment on."""
        outside = _states()
        _restore(self._states)
        try:
            yield
        finally:
            _restore(outside)


def with_baselines(
    requests: Sequence[Any],
    texts: Sequence[str],
    changed: Sequence[int],
    begun: RandomState,
    generate: Generate,
) -> list[str]:
    """Texts that carry the unmodified model's, where that is another.

    **Arguments:**

    - `changed`: numbers of the requests whose texts were amplified, and stand alone.
    - `begun`: the state before the first text was generated.
    """
    sampled = not begun.is_now()
    numbers = list(range(len(requests))) if sampled else sorted(changed)
    answers = list(texts)
    if not numbers:
        return answers
    with begun.again() if sampled else nullcontext():
        baselines = generate([requests[number] for number in numbers])
    for number, baseline in zip(numbers, baselines, strict=True):
        text = answers[number]
        if isinstance(text, GeneratedText):
            answers[number] = GeneratedText(text, decision=text.decision, baseline=baseline)
    return answers


def _states() -> list[torch.Tensor]:
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *on_gpus]


def _restore(states: Sequence[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state_all(list(states[1:]))
