"""What gated generation reads of the settings of `model.generate`, and which of them it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn
from transformers import LogitsProcessor, LogitsProcessorList

from sna_eval.errors import InputError
from sna_eval.intervention import base_model

_OTHER_PASSES: Mapping[str, tuple[Any, ...]] = {
    "assistant_early_exit": (None,),
    "assistant_model": (None,),
    "custom_generate": (None,),
    "guidance_scale": (None, 1),
    "prefill_chunk_size": (None,),
    "prompt_lookup_num_tokens": (None,),
    "token_healing": (None, False),
    "use_mtp": (None, False),
}
"""Settings with which `generate` runs the model otherwise than once on the prompt and once for each
token after it, and the values that leave them off."""
_MAKES_PROCESSORS = "_get_logits_processor"
"""The model's method by which `generate` makes its list of processors."""


class GenerateSettings:
    """What `generate` goes by: a request's own settings, else those that come with the model."""

    def __init__(self, model: nn.Module, own: Mapping[str, Any]) -> None:
        self._defaults = getattr(base_model(model), "generation_config", None)
        self._own = own

    def __getitem__(self, name: str) -> Any:
        return self._own.get(name, getattr(self._defaults, name, None))

    @property
    def texts(self) -> int:
        """Texts that come of one prompt."""
        return int(self["num_return_sequences"] or 1)

    @property
    def copies(self) -> int:
        """Rows that `generate` makes of one prompt."""
        return max(int(self["num_beams"] or 1), self.texts)

    @property
    def closing(self) -> set[int]:
        """Tokens that end a text."""
        eos = self["eos_token_id"]
        return {eos} if isinstance(eos, int) else set(eos or ())

    def refuse_other_passes(self) -> None:
        """**Raises** `InputError` for a setting that would have a gate decide on the wrong pass."""
        for name, off in _OTHER_PASSES.items():
            if self[name] not in off:
                raise InputError(
                    f"generation_kwargs.{name}",
                    expected="no such setting beside a plan",
                    got=self[name],
                    hint="the gate decides on the model's first pass, and each later pass has to "
                    "be one token's; leave it out",
                )


@contextmanager
def asked_first(model: nn.Module, processor: LogitsProcessor) -> Iterator[None]:
    """`model.generate` in the body asks this before any other processor.

    Given to `generate`, it would come behind penalties, bans and replacements of invalid values,
    and would see what they left.
    """
    inner = base_model(model)  # a PEFT wrapper's own `generate` calls this one's
    make: Callable[..., Any] | None = getattr(inner, _MAKES_PROCESSORS, None)
    if make is None or "generate" in vars(inner):  # as repositories with code of their own put it
        raise InputError(
            "model", expected="a model with transformers' own `generate`", got=type(inner).__name__
        )

    def with_this_first(*args: Any, **kwargs: Any) -> LogitsProcessorList:
        return LogitsProcessorList([processor, *make(*args, **kwargs)])

    own = vars(inner)
    own[_MAKES_PROCESSORS] = with_this_first  # hides the class's method
    try:
        yield
    finally:
        del own[_MAKES_PROCESSORS]
