"""Work that a forward pass does and nobody reads, left out; the same function, computed faster.

Both shortcuts are tried on the model before they are used, and both leave it as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.intervention import Batch, Engine, Sites
from sna_eval.intervention.resume import forward_replaced
from sna_eval.study.sweep.trial import trial_rows

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
_HALF_TOLERANCE = 5e-2
_TANH_GELUS = ("NewGELUActivation", "FastGELUActivation")
"""Activations of transformers that spell the tanh approximation out, in eight memory passes."""


@contextmanager
def last_mlp_at_scored_positions(sites: Sites, batch: Batch) -> Iterator[None]:
    """The last block's MLP runs at the scored positions alone; elsewhere it gives zeros.

    Nothing reads the others: behind the last block every position goes its own way.
    """
    mlp = _last_mlp(sites)
    if mlp is None:
        yield
        return
    full: Callable[..., Any] = mlp.forward

    def narrow(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        rows, positions = (
            place.to(hidden.device) for place in (batch.slot_rows, batch.slot_positions)
        )
        scored = full(hidden[rows, positions].unsqueeze(0), *args, **kwargs)
        spread = scored.new_zeros(*hidden.shape[:-1], scored.shape[-1])
        spread[rows, positions] = scored[0]
        return spread

    with forward_replaced(mlp, narrow):
        yield


@contextmanager
def fused_activations(model: nn.Module) -> Iterator[None]:
    """`tanh`-approximated GELUs run as PyTorch's one kernel, equal to the last few bits."""

    def fused(hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(hidden, approximate="tanh")

    with ExitStack() as stack:
        for module in model.modules():
            if type(module).__name__ in _TANH_GELUS:
                stack.enter_context(forward_replaced(module, fused))
        yield


@dataclass(frozen=True)
class Shortcuts:
    """Which shortcuts a model allows; found by trying."""

    fuses: bool = False
    narrows: bool = False

    @contextmanager
    def everywhere(self, model: nn.Module) -> Iterator[None]:
        """The shortcut that passes of any kind may take."""
        with fused_activations(model) if self.fuses else nullcontext():
            yield

    @contextmanager
    def for_batch(self, sites: Sites, batch: Batch) -> Iterator[None]:
        """The shortcut of passes that no hook looks into at the last block."""
        with last_mlp_at_scored_positions(sites, batch) if self.narrows else nullcontext():
            yield


def find_shortcuts(engine: Engine) -> Shortcuts:
    """Tries each shortcut on two short random texts."""
    batch = Batch(trial_rows(engine.model), engine.device)
    plain = engine.log_likelihoods(batch)

    def leaves_scores(shortcut: AbstractContextManager[None]) -> bool:
        try:
            with shortcut:
                difference = (engine.log_likelihoods(batch) - plain).abs().max()
        except Exception as error:  # any failure means that this way is not open
            _LOGGER.debug("shortcut failed: %s", error)
            return False
        dtype = next(engine.model.parameters()).dtype
        return bool(difference <= _TOLERANCE.get(dtype, _HALF_TOLERANCE))

    return Shortcuts(
        fuses=leaves_scores(fused_activations(engine.model)),
        narrows=leaves_scores(last_mlp_at_scored_positions(engine.sites, batch)),
    )


def _last_mlp(sites: Sites) -> nn.Module | None:
    """The module around the last block's output projection, `None` where that is the block."""
    path, _, _ = sites.projection_path.rpartition(".")
    return sites.blocks[-1].get_submodule(path) if path else None
