"""Selective Neuron Amplification for lm-evaluation-harness.

What is importable from here is the public interface; everything else may change between versions.
Names are loaded on first use, so importing the package costs nothing.

    >>> import sna_eval
    >>> plan = sna_eval.load_plan("sna-reference")
    >>> [intervention.layer for intervention in plan.for_task("sna_math_easy")]
    [6]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sna_eval.errors import InputError
    from sna_eval.files import reference_model_path, tasks_path
    from sna_eval.gating import Gate
    from sna_eval.intervention import Intervention, amplify, find_sites
    from sna_eval.plan import Plan, load_plan, save_plan

__version__ = "0.1.0"

__all__ = [
    "Gate",
    "InputError",
    "Intervention",
    "Plan",
    "amplify",
    "find_sites",
    "load_plan",
    "reference_model_path",
    "save_plan",
    "tasks_path",
]

_HOMES = {
    "Gate": "gating",
    "InputError": "errors",
    "Intervention": "intervention",
    "Plan": "plan",
    "amplify": "intervention",
    "find_sites": "intervention",
    "load_plan": "plan",
    "reference_model_path": "files",
    "save_plan": "plan",
    "tasks_path": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
