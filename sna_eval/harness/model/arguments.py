"""The model arguments of `--model sna`: checked, made ready for HFLM; why a model did not load.

Loading fails in many ways, a file cut off in most of them; whichever it was, the error's name and
first line say it.
"""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

import torch

from sna_eval.errors import InputError
from sna_eval.files import REFERENCE_MODEL, reference_model_path
from sna_eval.intervention.dictionary import Dictionary, read_dictionary
from sna_eval.typed import Json

DecideAt = Literal["start", "every_step"]


def check_arguments(decide_at: Any, switches: dict[str, Any], batch_size: Any, device: Any) -> None:
    """Raises `InputError` for what HFLM would stumble over later, or take for something else.

    **Arguments:**

    - `switches`: what is on or off, by name.
    """
    if decide_at not in get_args(DecideAt):
        raise InputError("decide_at", expected="start or every_step", got=decide_at)
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise InputError(name, expected="true or false", got=value)
    automatic = batch_size is None or str(batch_size).startswith("auto")
    if not automatic and not _is_count(batch_size):
        raise InputError("batch_size", expected="1 or more, or auto", got=batch_size)
    if not isinstance(device, (str, type(None))):
        raise InputError("device", expected="a name such as cpu or cuda:0", got=device)


def for_loading(pretrained: Any, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What HFLM is given: the bundled model's folder for its name, and a device that is there."""
    if pretrained == REFERENCE_MODEL:
        pretrained = str(reference_model_path())
        arguments = {"dtype": "float32"} | arguments  # shipped in half precision to be small
    if isinstance(pretrained, str) and arguments.get("device") is None:
        there = "cuda" if torch.cuda.is_available() else "cpu"  # HFLM's own default is a GPU
        arguments = {**arguments, "device": there}
    return pretrained, arguments


def read_dictionaries(names: Any) -> tuple[Dictionary, ...]:
    """The sparse dictionaries that a model argument names, with `;` between folders."""
    folders = names if isinstance(names, (list, tuple)) else str(names or "").split(";")
    return tuple(read_dictionary(str(folder).strip()) for folder in folders if str(folder).strip())


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


def _is_count(value: Any) -> bool:
    try:
        return int(value) > 0
    except (TypeError, ValueError):
        return False


_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")


def not_loaded(model: str, error: Exception, arguments: Json) -> InputError:
    """The input error that a failed load amounts to.

    **Arguments:**

    - `model`: folder or hub name, as it was typed.
    - `arguments`: those that HFLM was given; what it does not know goes on to the model.
    """
    unknown = _UNKNOWN.search(str(error)) if isinstance(error, TypeError) else None
    if unknown and unknown[1] in arguments:
        return InputError(
            unknown[1],
            expected="an argument of `--model sna`, of `--model hf` or of the model's loading",
            got=arguments[unknown[1]],
        )
    if isinstance(error, ImportError) and arguments.get("gguf_file") is not None:
        return InputError(
            "gguf_file", expected="the package `gguf`, which reads such files",
            got=arguments["gguf_file"], hint="pip install gguf",
        )  # fmt: skip
    if model.endswith(".gguf"):
        folder, _, file = model.rpartition("/")
        return InputError(
            "pretrained", expected="the folder of a GGUF file, and gguf_file= beside it", got=model,
            hint=f"pretrained={folder or '.'},gguf_file={file}",
        )  # fmt: skip
    lines = str(error).strip().splitlines() or ["no details"]
    kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
    return InputError(
        "pretrained",
        expected="a model folder or hub name",
        got=model,
        hint=f"{kind}{lines[0][:300]}",
    )
