"""The model argument `adapter`: a server's name for one, or one for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sna_eval.errors import InputError

_FORM = "NAME, or TASK=NAME;TASK=NAME"


@dataclass(frozen=True)
class AdapterNames:
    """Names by task or glob; the first that matches counts."""

    by_task: Mapping[str, str]

    @classmethod
    def parse(cls, value: Any) -> AdapterNames:
        """Reads `adapter=sst2-lora`, or `adapter=sna_sst2=a;sna_math_*=b`."""
        if not isinstance(value, str) or not value.strip():
            raise InputError(
                "adapter", expected=f"the name under which a server has the plan ({_FORM})",
                got=value, hint="vLLM: --lora-modules NAME=FOLDER",
            )  # fmt: skip
        if "=" not in value:
            return cls({"*": value.strip()})
        pairs = [part.partition("=") for part in value.split(";") if part.strip()]
        named = {task.strip(): name.strip() for task, _, name in pairs}
        if len(named) < len(pairs) or not all(map(bool, [*named, *named.values()])):
            raise InputError("adapter", expected=_FORM, got=value)
        return cls(named)

    def of(self, task: str) -> str:
        """The adapter of a task."""
        for pattern, name in self.by_task.items():
            if fnmatchcase(task, pattern):
                return name
        raise InputError(
            "adapter", expected=f"a name for {task}, which the plan amplifies",
            got=";".join(f"{task}={name}" for task, name in self.by_task.items()),
        )  # fmt: skip
