"""All methods by name. A new one is a file with a `METHOD`, and its line here."""

from __future__ import annotations

from sna_eval.errors import InputError
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
from sna_eval.methods.method import Method

CONTROLS = ("random_neurons", "bottom_neurons", "other_layer", "temperature", "ungated")
RIVALS = ("cna", "actadd", "caa", "repe", "activscalar", "ia3", "few_shot", "steered")

_MODULES = (
    sna, random_neurons, bottom_neurons, other_layer, temperature, ungated,
    cna, actadd, caa, repe, activscalar, ia3, few_shot, steered,
)  # fmt: skip
METHODS: dict[str, Method] = {module.METHOD.name: module.METHOD for module in _MODULES}


def find_method(name: str, *, field: str = "method") -> Method:
    """A method by its name.

    **Raises:** `InputError` that lists the methods.
    """
    if name not in METHODS:
        raise InputError(field, expected=f"one of {', '.join(METHODS)}", got=name)
    return METHODS[name]
