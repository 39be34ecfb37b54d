"""IA3: a learned factor for every neuron, trained by PEFT on development items.

Source: Liu et al. (2022), arXiv:2205.05638, section 3.3: `(l * act(W1 x)) W2` with `l` learned and
all weights frozen. The paper learns such vectors for keys and values too; here only those of the
feed-forward layers count, from block `layer` on, since they scale the very activations that
`sna` scales. `strength` blends: `1 + strength * (l - 1)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Batch, NeuronScaling, Vector, base_model
from sna_eval.methods.fitting import descend, drawn, frozen, negative_log_likelihood
from sna_eval.methods.method import Fitted, Method
from sna_eval.methods.resolution import Examples, Resolution, Wanted, Workbench

OPTIONS = {"steps": 60, "rate": 0.01, "batch": 16, "seed": 0}
_NAME = "layer_{:03d}"


def find(bench: Workbench, examples: Examples, wanted: Wanted) -> Resolution:
    """One vector `[d_mlp]` for every block from the layer on."""
    options = wanted.options
    rows = [bench.answered_row(own) for own in examples.answered()]
    batches = (
        Batch(own, bench.device)
        for own in drawn(rows, size=options["batch"], steps=options["steps"], seed=options["seed"])
    )
    layers = _layers(bench, wanted.layer)
    with frozen(bench.model), adapted(bench, layers) as (model, vectors):
        report = descend(
            list(vectors.values()), batches,
            lambda batch: negative_log_likelihood(model, batch), rate=options["rate"],
        )  # fmt: skip
        found = {
            _NAME.format(layer): Vector(own.detach().reshape(-1)) for layer, own in vectors.items()
        }
    return Resolution(parameters=found, remarks=report)


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One vector of factors for every block from the layer on."""
    fitted.vector(_NAME.format(fitted.layer))
    return tuple(
        NeuronScaling(
            int(name.rpartition("_")[2]), fitted.vector(name), fitted.strength, fitted.positions
        )
        for name in sorted(fitted.parameters)
    )


def _layers(bench: Workbench, first: int) -> tuple[int, ...]:
    """The layers that get a vector: all with neurons of their own, from the first on."""
    sites = bench.sites
    if sites.n_experts:
        raise InputError(
            "method", expected="one for a mixture of experts, where IA3 has no single vector",
            got="ia3", hint="use sna or a steering vector",
        )  # fmt: skip
    return tuple(layer for layer in sites.layers if layer >= first)


@contextmanager
def adapted(bench: Workbench, layers: Sequence[int]) -> Iterator[tuple[Any, dict[int, Any]]]:
    """The model inside a PEFT IA3 adapter on some blocks' output projections, and its vectors.

    The adapter is taken out again in the end, and the model is as it was.
    """
    from peft import IA3Config, get_peft_model

    sites, base = bench.sites, base_model(bench.model)
    targets = [f"{sites.block_path}.{layer}.{sites.projection_path}" for layer in layers]
    config = IA3Config(
        target_modules=targets,
        feedforward_modules=targets,
        fan_in_fan_out=type(sites.projections[0]).__name__ == "Conv1D",
        init_ia3_weights=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers' and PEFT's own affair
        model = get_peft_model(base, config)
    try:
        modules = (base.get_submodule(target) for target in targets)
        vectors = [module.ia3_l["default"] for module in modules]  # type: ignore[index]
        yield model, dict(zip(layers, vectors, strict=True))
    finally:
        model.unload()


METHOD = Method("ia3", find, build, options=OPTIONS)
