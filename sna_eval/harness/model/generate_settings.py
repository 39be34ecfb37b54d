"""Settings of generated texts: what gated generation reads of them, and which of them it refuses.

They are looked at before anything is scored. Settings that lm_eval or transformers stop at would be
met after hours of scoring, which were lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lm_eval.models.utils import normalize_gen_kwargs
from torch import nn
from transformers import GenerationMixin, LogitsProcessor, LogitsProcessorList

from sna_eval.errors import InputError, reading
from sna_eval.harness.scoring.ledger import GENERATED, SCORED
from sna_eval.harness.scoring.suits import PlanOf
from sna_eval.intervention import base_model
from sna_eval.typed import Json

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

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

    def __init__(self, model: nn.Module, arguments: Json) -> None:
        self._model = base_model(model)
        self._defaults = getattr(self._model, "generation_config", None)
        self._arguments = arguments

    def __getitem__(self, name: str) -> Any:
        return self._arguments.get(name, getattr(self._defaults, name, None))

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

    def other_passes(self) -> str | None:
        """The first setting that would have a gate decide on the wrong pass; `None`: there is none.

        `generate` itself, where it is not transformers' own.
        """
        usual = getattr(type(self._model), "generate", None) is GenerationMixin.generate
        if "generate" in vars(self._model) or not usual:
            return "generate"
        return next((name for name, off in _OTHER_PASSES.items() if self[name] not in off), None)

    def check_single(self) -> None:
        """Raises `InputError` where several rows come of one prompt: which of them decides?"""
        if self.copies > 1:
            raise InputError(
                "decide_at", expected="`start` with beams or several sequences", got="every_step"
            )

    def refused(self, name: str) -> InputError:
        """The complaint about a setting that `other_passes` names."""
        return InputError(
            f"generation_kwargs.{name}",
            expected="transformers' own `generate`, beside a plan" if name == "generate"
            else "no such setting beside a plan",
            got=type(self._model).__name__ if name == "generate" else self[name],
            hint="the gate decides on the model's first pass, and each later pass has to be one "
            "token's; leave it out, or run with gate=never",
        )  # fmt: skip


def processors_maker(model: nn.Module) -> Callable[..., LogitsProcessorList]:
    """The model's method that `asked_first` hides.

    **Raises:** `InputError` where transformers makes its processors elsewhere.
    """
    inner = base_model(model)  # a PEFT wrapper's own `generate` calls this one's
    make: Callable[..., LogitsProcessorList] | None = getattr(inner, _MAKES_PROCESSORS, None)
    if make is None:
        raise InputError(
            "transformers", expected=f"a release whose `generate` calls `{_MAKES_PROCESSORS}`",
            got=version("transformers"),
            hint="install one that docs/versions.md names; scores need none of it",
        )  # fmt: skip
    return make


@contextmanager
def asked_first(model: nn.Module, processor: LogitsProcessor) -> Iterator[None]:
    """`model.generate` in the body asks this before any other processor.

    Given to `generate`, it would come behind penalties, bans and replacements of invalid values,
    and would see what they left.

    **Raises:** `InputError` where transformers makes its processors elsewhere.
    """
    make = processors_maker(model)

    def with_this_first(*args: Any, **kwargs: Any) -> LogitsProcessorList:
        return LogitsProcessorList([processor, *make(*args, **kwargs)])

    attributes = vars(base_model(model))
    attributes[_MAKES_PROCESSORS] = with_this_first  # hides the class's method
    try:
        yield
    finally:
        del attributes[_MAKES_PROCESSORS]


def check_asked_texts(lm: SNALM, plan_of: PlanOf, requests: Sequence[Any]) -> None:
    """Raises `InputError` where the texts that are asked for cannot be generated under the plan.

    **Arguments:**

    - `requests`: of all tasks of the run.
    """
    _check_thinking(lm, requests)
    asked = {
        (request.task_name or "", json.dumps(request.args[1], sort_keys=True, default=str)): request
        for request in requests
        if request.request_type == GENERATED
    }
    for (name, text), request in asked.items():
        plan = plan_of(name)
        field = f"tasks.{name}.generation_kwargs"
        with reading(field, expected="settings of generation", got=text):
            settings = normalize_gen_kwargs(request.args[1], lm.max_gen_toks)
        _check_numbers(lm, field, settings)
        if plan is not None and plan.gate.mode != "never":
            _check_passes(lm, settings)


def _check_thinking(lm: SNALM, requests: Sequence[Any]) -> None:
    scored = [request.task_name for request in requests if request.request_type == SCORED]
    if lm.enable_thinking and scored:
        raise InputError(
            "enable_thinking", expected="tasks of generated texts alone", got=scored[0],
            hint="what follows a thought is not scored; leave the task or the argument out",
        )  # fmt: skip


def _check_numbers(lm: SNALM, field: str, settings: Any) -> None:
    if settings["max_gen_toks"] >= lm.max_length:
        raise InputError(
            f"{field}.max_gen_toks",
            expected=f"fewer than the {lm.max_length} tokens that the model reads",
            got=settings["max_gen_toks"], hint="--gen_kwargs max_gen_toks=N sets it for a run",
        )  # fmt: skip
    temperature = settings.get("temperature", 0.0)
    if settings["do_sample"] and not float(temperature) > 0:
        raise InputError(
            f"{field}.temperature", expected="more than 0 beside do_sample=true", got=temperature,
            hint="name one, such as 1.0, or leave do_sample out",
        )  # fmt: skip


def _check_passes(lm: SNALM, settings: Any) -> None:
    asked = GenerateSettings(lm.model, settings)
    unusual = asked.other_passes()
    if unusual is not None:
        raise asked.refused(unusual)
    if lm.decide_at == "every_step":
        asked.check_single()
