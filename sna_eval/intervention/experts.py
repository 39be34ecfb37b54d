"""Neurons of a mixture of experts: each belongs to one expert, and acts on routed tokens only.

transformers keeps a block's experts in one module with three-dimensional weights, and runs them by
one of several kernels; no module sees a single expert's activations. `ExpertsProjection` stands
where other blocks have their MLP's output projection, and is hooked like one. Neuron
`e * d_expert + i` is neuron `i` of expert `e`: its activation is what enters that expert's output
projection, 0 for tokens that are routed elsewhere.

The model's own kernel runs in any case, and what hooks change is added to what it gave:
`sum over experts of weight * (changed - activation) @ W_out`. So a token that no hook changes
keeps its result to the bit, and nothing is computed twice where no hook is registered.

Shared experts, which some models run beside the routed ones, are left alone, and experts that are
normalised before they are added up are refused: the sum above would not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

_ATTRIBUTES = ("has_gate", "has_bias", "is_transposed", "num_experts")
"""What transformers' experts modules say about themselves, whichever model they belong to."""


@dataclass(frozen=True, eq=False)
class Routed:
    """One pass through the experts."""

    hidden: torch.Tensor
    """What enters, `[token, d_model]`."""
    index: torch.Tensor
    """Experts of each token, `[token, expert of the token]`."""
    weights: torch.Tensor
    """Their shares, like `index`."""
    activations: torch.Tensor
    """`[token, n_experts * d_expert]`, 0 where not routed."""
    output: torch.Tensor
    """What the model's own kernel gave, `[token, d_model]`."""


def is_experts(module: nn.Module | None) -> bool:
    """Whether a module holds experts of the kind that is handled here."""
    down = getattr(module, "down_proj", None)
    return (
        isinstance(down, torch.Tensor)
        and down.dim() == 3
        and all(hasattr(module, name) for name in _ATTRIBUTES)
        and not getattr(module, "has_post_expert_norm", False)
    )


class ExpertsProjection(nn.Module):
    """Stands for the output projections of a block's experts; owns no weights.

    **Arguments:**

    - `experts`: a module for which `is_experts` holds.
    """

    in_features: int
    """Neurons of all experts."""
    out_features: int
    """`d_model`."""

    def __init__(self, experts: Any) -> None:
        super().__init__()
        self._experts: tuple[Any] = (experts,)  # a tuple, so that it does not become a submodule
        self._look: RemovableHandle | None = None
        self.n_experts = int(experts.num_experts)
        shape = experts.down_proj.shape[1:]
        d_expert, d_model = shape if experts.is_transposed else reversed(shape)
        self.in_features, self.out_features = self.n_experts * int(d_expert), int(d_model)

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        """As any module's; the hook sees `[token, n_experts * d_expert]`."""
        handle = super().register_forward_pre_hook(*args, **kwargs)
        if self._look is None:
            self._look = self._experts[0].register_forward_hook(self._after, with_kwargs=True)
        return HookHandle(handle, self._stop_looking)

    def forward(self, changed: torch.Tensor, routed: Routed) -> torch.Tensor:
        """What the experts give with `changed` activations, `[token, d_model]`."""
        if changed is routed.activations and not torch.is_grad_enabled():
            return routed.output
        if torch.is_grad_enabled():  # everything has to hang on the activations
            return self._written(changed, routed, _numbers(routed.index.unique()), bias=True)
        step = changed - routed.activations
        touched = step.unflatten(-1, (self.n_experts, -1)).ne(0).any(-1).any(0)
        return routed.output + self._written(step, routed, _numbers(touched.nonzero().flatten()))

    def written_by(self, neuron: int) -> torch.Tensor:
        """The weights that a neuron writes with: a view, `[d_model]`."""
        experts = self._experts[0]
        weight: torch.Tensor = experts.down_proj.data[neuron // self._width]
        place = neuron % self._width
        return weight[place] if experts.is_transposed else weight[:, place]

    def written(self) -> torch.Tensor:
        """The weights that all neurons write with, `[n_experts * d_expert, d_model]`."""
        experts = self._experts[0]
        weight: torch.Tensor = experts.down_proj.data
        return (weight if experts.is_transposed else weight.transpose(1, 2)).flatten(0, 1)

    def _stop_looking(self) -> None:
        if not self._forward_pre_hooks and self._look is not None:
            self._look.remove()
            self._look = None

    def _after(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor
    ) -> torch.Tensor:
        """Hook of the experts: runs the hooks registered here."""
        hidden, index, weights = (*args, *kwargs.values())
        activations = self._activations(hidden, index)
        changed: torch.Tensor = self(
            activations, Routed(hidden, index, weights, activations, output)
        )
        return changed.to(output.dtype)

    def _activations(self, hidden: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        by_expert = hidden.new_zeros(hidden.shape[0], self.n_experts, self._width)
        for expert in _numbers(index.unique()):
            if expert >= self.n_experts:  # tokens that experts on another device take
                continue
            tokens = (index == expert).any(-1).nonzero().squeeze(-1)
            by_expert[tokens, expert] = self._neurons(expert, hidden[tokens])
        return by_expert.flatten(1)

    def _neurons(self, expert: int, hidden: torch.Tensor) -> torch.Tensor:
        """One expert's activations, `[token, d_expert]`."""
        experts = self._experts[0]
        entering = "gate_up_proj" if experts.has_gate else "up_proj"
        values = self._linear(entering, expert, hidden, bias=experts.has_bias)
        activate: Callable[[torch.Tensor], torch.Tensor]
        activate = experts._apply_gate if experts.has_gate else experts.act_fn
        return activate(values).to(hidden.dtype)

    def _written(
        self, values: torch.Tensor, routed: Routed, experts: Iterable[int], *, bias: bool = False
    ) -> torch.Tensor:
        """What activations write to the stream, shares included: `[token, d_model]`."""
        written = torch.zeros_like(routed.output)
        by_expert = values.unflatten(-1, (self.n_experts, -1))
        for expert in experts:
            chosen = routed.index == expert
            tokens = chosen.any(-1).nonzero().squeeze(-1)
            shares = (routed.weights * chosen).sum(-1)[tokens].unsqueeze(-1)
            output = self._linear(
                "down_proj", expert, by_expert[tokens, expert],
                bias=bias and self._experts[0].has_bias,
            )  # fmt: skip
            written = written.index_add(0, tokens, (output * shares).to(written.dtype))
        return written

    def _linear(self, name: str, expert: int, values: torch.Tensor, *, bias: bool) -> torch.Tensor:
        experts = self._experts[0]
        weight = getattr(experts, name)[expert]
        product = values @ (weight if experts.is_transposed else weight.T)
        return product + getattr(experts, f"{name}_bias")[expert] if bias else product

    @property
    def _width(self) -> int:
        return self.in_features // self.n_experts


class HookHandle:
    """Takes a hook away, and then does what its absence calls for."""

    def __init__(self, handle: RemovableHandle, then: Callable[[], None]) -> None:
        self._handle, self._then = handle, then

    def remove(self) -> None:
        self._handle.remove()
        self._then()


def _numbers(tensor: torch.Tensor) -> list[int]:
    return [int(value) for value in tensor.tolist()]
