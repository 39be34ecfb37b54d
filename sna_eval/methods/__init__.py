"""Ways to turn prompts into interventions, one file each, all resolved the same way.

A new one is a file with a `METHOD`, and its line here.
"""

from sna_eval.methods import (
    actadd,
    activscalar,
    bottom_neurons,
    caa,
    cna,
    few_shot,
    ia3,
    other_layer,
    random_neurons,
    repe,
    sna,
    steered,
    temperature,
    ungated,
)
from sna_eval.methods.method import (
    Examples,
    Fitted,
    Method,
    MethodConfig,
    Parameter,
    Question,
    Resolution,
    Workbench,
)
from sna_eval.registry import Registry

CONTROLS = ("random_neurons", "bottom_neurons", "other_layer", "temperature", "ungated")
RIVALS = ("cna", "actadd", "caa", "repe", "activscalar", "ia3", "few_shot", "steered")

_MODULES = (
    sna, random_neurons, bottom_neurons, other_layer, temperature, ungated,
    cna, actadd, caa, repe, activscalar, ia3, few_shot, steered,
)  # fmt: skip
METHODS: Registry[Method] = Registry((module.METHOD for module in _MODULES), field="method")

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
]
