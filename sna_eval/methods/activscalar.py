"""Activation scaling: one learned scalar on what each attention and each MLP writes.

Source: Stoehr et al. (2024), arXiv:2410.04962 (ActivScalar): multiply the outputs of components by
scalars learned by gradient descent with the weights frozen, for an objective that rewards effect,
with an L1 term that keeps scalars at 1 (minimality). The paper has a scalar for every position of
prompts of one length; ours are shared by all positions, as prompts vary in length. Its effect term
is the logit difference of two answer tokens; ours is the log-likelihood of the right answer, which
exists for answers of any length and, as a distribution, holds the other tokens down as well:

    loss = -mean log P(right answer) + minimality * mean |scalar - 1|

Blocks from `layer` on have scalars. `strength` blends: `1 + strength * (scalar - 1)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

import torch

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Batch, OutputScaling, Vector
from sna_eval.intervention.family import Component
from sna_eval.intervention.gradients import frozen
from sna_eval.methods.fitting import descend, drawn, negative_log_likelihood
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench

OPTIONS = {"steps": 60, "rate": 0.05, "minimality": 0.1, "batch": 16, "seed": 0}


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """Scalars by component, each `[blocks from layer on]`."""
    options = wanted.options
    rows = [bench.answered_row(answered) for answered in examples.answered()]
    count = bench.sites.n_layers - wanted.layer
    scalars = torch.ones(len(get_args(Component)), count, device=bench.device, requires_grad=True)
    batches = (
        Batch(batch, bench.device)
        for batch in drawn(
            rows, size=options["batch"], steps=options["steps"], seed=options["seed"]
        )
    )

    def loss(batch: Batch) -> torch.Tensor:
        apart = (scalars - 1).abs().mean()
        return negative_log_likelihood(bench.model, batch) + options["minimality"] * apart

    with frozen(bench.model), _scaled(bench, wanted.layer, scalars):
        report = descend([scalars], batches, loss, rate=options["rate"], steps=options["steps"])
    found = zip(get_args(Component), scalars.detach(), strict=True)
    return Resolution(parameters={name: Vector(values) for name, values in found}, remarks=report)


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One factor for every component of every block from the layer on."""
    fitted.only(*get_args(Component))
    return tuple(
        OutputScaling(
            fitted.layer + number, component, 1 + fitted.strength * (scalar - 1), fitted.positions
        )
        for component in get_args(Component)
        for number, scalar in enumerate(fitted.vector(component).tolist())
    )


@contextmanager
def _scaled(bench: Workbench, layer: int, scalars: torch.Tensor) -> Iterator[None]:
    """The scalars act on the outputs, as parts of the graph."""
    sites = bench.sites
    if not sites.attention_outputs or not sites.mlp_outputs:
        raise InputError(
            "pretrained", expected="a model whose components' outputs are known",
            got=sites.architecture, hint="use another method",
        )  # fmt: skip

    def hook(component: int, number: int) -> Any:
        return lambda module, args, out: out * scalars[component, number].to(out.device)

    with ExitStack() as stack:
        for component, modules in enumerate((sites.attention_outputs, sites.mlp_outputs)):
            for number, module in enumerate(modules[layer:]):
                stack.callback(module.register_forward_hook(hook(component, number)).remove)
        yield


METHOD = Method("activscalar", find, build, options=OPTIONS, needs_answers=True)
