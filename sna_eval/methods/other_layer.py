"""Control: the search of `sna` in another layer. Is it this layer, or any?"""

from __future__ import annotations

from dataclasses import replace

from sna_eval.errors import InputError
from sna_eval.methods.method import Examples, Method, MethodConfig, Resolution, Workbench
from sna_eval.methods.sna import find as find_sna


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """Neurons of the layer `other`; by default the one half the model's depth away."""
    other = wanted.options["other"]
    if other is not None and (type(other) is not int or other == wanted.layer):
        raise InputError(
            "options.other", expected=f"a layer other than {wanted.layer}", got=other
        )  # fmt: skip
    if len(bench.sites.layers) < 2:
        raise InputError(
            "method", expected=f"another one: {bench.sites.units} are known in one layer alone",
            got="other_layer", hint="use random_neurons or bottom_neurons",
        )  # fmt: skip
    layer = _half_way(bench.sites.layers, wanted.layer) if other is None else other
    bench.sites.check_layer(layer, field="options.other")
    found = find_sna(bench, examples, replace(wanted, layer=layer))
    return replace(found, layer=layer, remarks={**found.remarks, "instead_of_layer": wanted.layer})


def _half_way(layers: tuple[int, ...], layer: int) -> int:
    """The layer half of all layers with neurons away; from the deeper half, upwards again."""
    return layers[(layers.index(layer) + max(1, len(layers) // 2)) % len(layers)]


METHOD = Method("other_layer", find, options={"other": None}, of_one_layer=True)
