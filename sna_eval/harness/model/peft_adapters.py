"""Which PEFT adapters a plan can stand beside."""

from __future__ import annotations

from typing import Any

from sna_eval.errors import InputError


def check_adapter(model: Any) -> None:
    """Raises `InputError` for an adapter that puts tokens of its own in front of the text.

    Behind them no position is where it is counted from the text, and caches begin with them.
    Adapters inside the model, such as LoRA and IA3, leave positions alone.
    """
    config = getattr(model, "active_peft_config", None)
    if config is not None and config.is_prompt_learning:
        raise InputError(
            "peft", expected="an adapter inside the model, such as LoRA or IA3, beside a plan",
            got=str(getattr(config.peft_type, "value", config.peft_type)),
            hint="`--model hf` scores adapters that learn a prompt",
        )  # fmt: skip
