"""Why a model did not load, in one line.

Loading fails in many ways, a file cut off in most of them; whichever it was, the error's name and
first line say it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sna_eval.errors import InputError

_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")


def not_loaded(model: str, error: Exception, arguments: Mapping[str, Any]) -> InputError:
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
