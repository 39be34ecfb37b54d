"""Ways to turn prompts into interventions, one file each, all resolved the same way."""

from sna_eval.methods.method import Fitted, Method
from sna_eval.methods.registry import CONTROLS, METHODS, RIVALS, find_method
from sna_eval.methods.resolution import (
    Examples,
    Parameter,
    Question,
    Resolution,
    Wanted,
    Workbench,
)

__all__ = [
    "CONTROLS",
    "METHODS",
    "RIVALS",
    "Examples",
    "Fitted",
    "Method",
    "Parameter",
    "Question",
    "Resolution",
    "Wanted",
    "Workbench",
    "find_method",
]
