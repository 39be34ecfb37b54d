"""Ways to turn prompts into interventions, one file each, all resolved the same way."""

from sna_eval.methods.method import Fitted, Method
from sna_eval.methods.registry import CONTROLS, METHODS, RIVALS, find_method
from sna_eval.methods.resolution import (
    Examples,
    MethodConfig,
    Parameter,
    Question,
    Resolution,
    Workbench,
)

__all__ = [
    "CONTROLS",
    "METHODS",
    "RIVALS",
    "Examples",
    "Fitted",
    "Method",
    "MethodConfig",
    "Parameter",
    "Question",
    "Resolution",
    "Workbench",
    "find_method",
]
