"""IA3: a learned factor for every neuron, trained on development items.

Source: Liu et al. (2022), arXiv:2205.05638, section 3.3: `(l * act(W1 x)) W2` with `l` learned and
all weights frozen. The paper learns such vectors for keys and values too; here only those of the
feed-forward layers count, from block `layer` on, since they scale the very activations that
`sna` scales. `strength` blends: `1 + strength * (l - 1)`. Hooks hold the vectors rather than an
adapter of PEFT: taking that out again would take along any adapter the model came with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Batch, NeuronScaling, Sites, Vector
from sna_eval.intervention.gradients import frozen
from sna_eval.methods.fitting import descend, drawn, negative_log_likelihood
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench

OPTIONS = {"steps": 60, "rate": 0.01, "batch": 16, "seed": 0}
_NAME = "layer_{:03d}"
_NUMBERED = re.compile("layer_([0-9]{3,6})")


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """One vector `[d_mlp]` for every block with neurons from the layer on."""
    options, sites = wanted.options, bench.sites
    rows = [bench.answered_row(answered) for answered in examples.answered()]
    batches = (
        Batch(batch, bench.device)
        for batch in drawn(
            rows, size=options["batch"], steps=options["steps"], seed=options["seed"]
        )
    )
    vectors = {
        layer: torch.ones(sites.d_mlp, device=bench.device, requires_grad=True)
        for layer in _layers(sites, wanted.layer)
    }
    with frozen(bench.model), scaled_activations(sites, vectors):
        report = descend(
            list(vectors.values()), batches,
            lambda batch: negative_log_likelihood(bench.model, batch),
            rate=options["rate"], steps=options["steps"],
        )  # fmt: skip
    found = {_NAME.format(layer): Vector(vector) for layer, vector in vectors.items()}
    return Resolution(parameters=found, remarks=report)


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One vector of factors for every block from the layer on."""
    fitted.vector(_NAME.format(fitted.layer))
    return tuple(
        NeuronScaling(_layer(name), fitted.vector(name), fitted.strength, fitted.positions)
        for name in sorted(fitted.parameters)
    )


@contextmanager
def scaled_activations(sites: Sites, vectors: Mapping[int, torch.Tensor]) -> Iterator[None]:
    """The vectors act on the activations, as parts of the graph; learned in float32 whatever the
    model's dtype."""

    def hook(vector: torch.Tensor) -> Any:
        def scale(module: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            entering: torch.Tensor = args[0]
            return ((entering * vector.to(entering.device)).to(entering.dtype), *args[1:])

        return scale

    with ExitStack() as stack:
        for layer, vector in vectors.items():
            handle = sites.projections[layer].register_forward_pre_hook(hook(vector))
            stack.callback(handle.remove)
        yield


def _layers(sites: Sites, first: int) -> tuple[int, ...]:
    """The layers that get a vector: all with neurons of their own, from the first on."""
    if sites.n_experts:
        raise InputError(
            "method", expected="one for a mixture of experts, where IA3 has no single vector",
            got="ia3", hint="use sna or a steering vector",
        )  # fmt: skip
    sites.check_layer(first)
    return tuple(layer for layer in sites.layers if layer >= first)


def _layer(name: str) -> int:
    """The layer that a parameter of this name is for."""
    match = _NUMBERED.fullmatch(name)
    if match is None or name != _NAME.format(int(match[1])):
        raise InputError(
            f"parameters.{name}", expected="a name such as layer_008", got=name,
            hint="resolve the plan again: sna-eval identify",
        )  # fmt: skip
    return int(match[1])


METHOD = Method("ia3", find, build, options=OPTIONS, needs_answers=True)
