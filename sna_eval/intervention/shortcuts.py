"""Work that a forward pass does and need not do.

**What nobody reads.** Behind the last block every position goes its own way, and only the scored
ones are read. So in the last block whatever does not feed another position's attention may run at
the scored positions alone: the MLP, the attention's output projection, and the queries where they
have a projection of their own. Which modules these are is found by trying, not by name.

**What is the same in many rows.** With fixed few-shot examples every document of a task begins with
the same tokens. Their keys and values are computed by one pass over the beginning alone, once per
set of interventions, and given to every batch of rows through transformers' own cache classes.

**The same functions, computed faster.** Faster kernels are equal to the last few bits of float32.
Matrix products stay where PyTorch takes them. oneDNN, on some processors the faster one, adds up a
product's terms one after another, MKL in several sums: products of a thousand terms and more then
lie twice as far from those in float64, and scores with them.

Shortcuts leave the model as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.decoder import input_device, steady_width, text_config
from sna_eval.intervention.partial_passes import forward_replaced
from sna_eval.intervention.rows import Batch, Row, Tokens, trial_rows
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Affine, acts_everywhere
from sna_eval.intervention.spec import acting as where_acting

if TYPE_CHECKING:
    from sna_eval.intervention.forward import Engine

Kernels = Callable[[nn.Module], AbstractContextManager[None]]
"""Runs a model's own functions on other kernels while the context is open."""

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}
_HALF_TOLERANCE = 5e-2
_GARBAGE = float("nan")
"""What unread positions hold in a trial: if anything read them, no score would be a number. Any
number could be hidden by a norm and by what half precision rounds."""
_TANH_GELUS = ("NewGELUActivation", "FastGELUActivation")
"""Activations of transformers that spell the tanh approximation out, in eight memory passes."""


@contextmanager
def fused_activations(model: nn.Module) -> Iterator[None]:
    """`tanh`-approximated GELUs run as PyTorch's one kernel."""

    def fused(hidden: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(hidden, approximate="tanh")

    with ExitStack() as stack:
        for module in model.modules():
            if type(module).__name__ in _TANH_GELUS:
                stack.enter_context(forward_replaced(module, fused))
        yield


@dataclass(frozen=True)
class Shortcuts:
    """Which shortcuts a model allows."""

    kernels: tuple[Kernels, ...] = ()
    """Faster kernels for what the model computes anyway."""
    narrow: tuple[str, ...] = ()
    """Modules of the last block that may run at the scored positions alone, by path."""

    @contextmanager
    def everywhere(self, model: nn.Module) -> Iterator[None]:
        """The shortcuts that passes of any kind may take."""
        with ExitStack() as stack:
            for kernels in self.kernels:
                stack.enter_context(kernels(model))
            yield

    @contextmanager
    def for_batch(self, sites: Sites, batch: Batch) -> Iterator[None]:
        """The shortcut of passes that no hook looks into at the last block."""
        with ExitStack() as stack:
            for path in self.narrow:
                module = sites.blocks[-1].get_submodule(path)
                stack.enter_context(at_scored_positions(module, batch))
            yield


@contextmanager
def at_scored_positions(module: nn.Module, batch: Batch, *, fill: float = 0.0) -> Iterator[None]:
    """A module that treats positions one by one runs at a batch's scored positions alone.

    **Arguments:**

    - `fill`: what the other positions get.
    """
    full: Callable[..., Any] = module.forward
    places = batch.slot_rows * batch.width + batch.slot_positions

    def narrow(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        inside = hidden.numel() // hidden.shape[-1]  # a block may run the first rows alone
        scored = places[places < inside].to(hidden.device)
        chosen = hidden.reshape(-1, hidden.shape[-1])[scored]
        # some modules want a batch dimension, some have it flattened away
        output = full(chosen.unsqueeze(0) if hidden.dim() == 3 else chosen, *args, **kwargs)
        output = output.reshape(len(scored), -1)
        spread = output.new_full((inside, output.shape[-1]), fill)
        spread[scored] = output
        return spread.reshape(*hidden.shape[:-1], -1)

    with forward_replaced(module, narrow):
        yield


def find_shortcuts(engine: Engine) -> Shortcuts:
    """Tries each shortcut on two short random texts."""
    batch = Batch(trial_rows(engine.model), engine.device)
    plain = engine.log_likelihoods(batch)
    dtype = next(engine.model.parameters()).dtype

    def leaves_scores(shortcut: AbstractContextManager[None]) -> bool:
        try:
            with shortcut:
                difference = (engine.log_likelihoods(batch) - plain).abs().max()
        except Exception as error:  # any failure means that this way is not open
            _LOGGER.debug("shortcut failed: %s", error)
            return False
        return bool(difference <= _TOLERANCE.get(dtype, _HALF_TOLERANCE))

    faster = [kernel for kernel in (fused_activations,) if leaves_scores(kernel(engine.model))]
    narrow: list[str] = []
    block = engine.sites.blocks[-1]
    for path in _candidates(engine.sites):
        inside = any(path.startswith(f"{wider}.") for wider in narrow)
        trial = at_scored_positions(block.get_submodule(path), batch, fill=_GARBAGE)
        if not inside and leaves_scores(trial):
            narrow.append(path)
    return Shortcuts(tuple(faster), tuple(narrow))


def _candidates(sites: Sites) -> list[str]:
    """The last block's MLP and its linear layers, wider modules first."""
    mlp, _, _ = sites.projection_path.rpartition(".")
    linear = [
        path
        for path, module in sites.blocks[-1].named_modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    ]
    return [mlp, *linear] if mlp else linear


States = tuple[tuple[torch.Tensor, torch.Tensor], ...]
"""Keys and values of every layer, each `[1, head, position, d_head]`."""

MIN_TOKENS = 16
"""Shorter beginnings are not worth a pass of their own."""
MIN_ROWS = 4
"""Fewer rows are not worth it either."""


@dataclass(eq=False)
class Prefix:
    """A shared beginning and its keys and values, by the interventions that were on."""

    tokens: Tokens
    states: dict[tuple[Affine, ...], States] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def cache(
        self,
        model: nn.Module,
        sites: Sites,
        *,
        batch: int,
        interventions: Sequence[Affine] = (),
    ) -> Any:
        """A `DynamicCache` that holds the beginning for `batch` rows; the rows share its memory.

        Interventions that leave the beginning alone (`last`, `continuation`) do not count.
        """
        from transformers import DynamicCache

        acting = tuple(
            intervention
            for intervention in interventions
            if acts_everywhere(intervention) or intervention.token is not None
        )
        if acting not in self.states:
            self.states[acting] = self._run(model, sites, acting)
        cache = DynamicCache(config=text_config(model))
        for layer, (keys, values) in enumerate(self.states[acting]):
            cache.update(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1), layer)
        return cache

    @torch.no_grad()
    def _run(self, model: nn.Module, sites: Sites, acting: tuple[Affine, ...]) -> States:
        device = input_device(model)
        ids = torch.tensor([self.tokens], device=device)
        position = torch.arange(len(self.tokens), device=device).unsqueeze(0)

        def mask(intervention: Affine, positions: int) -> torch.Tensor | None:
            return where_acting(intervention, position, len(self.tokens))

        with amplify(model, acting, sites=sites, mask=mask):
            output = model(ids, use_cache=True, logits_to_keep=1)
        return tuple((layer.keys, layer.values) for layer in output.past_key_values.layers)


def shared_prefix(rows: Sequence[Row]) -> Prefix | None:
    """The longest beginning that all rows share, where sharing it pays.

    Every row keeps at least one context token of its own.
    """
    if len(rows) < MIN_ROWS:
        return None
    contexts = [row.context for row in rows]
    first, last = min(contexts), max(contexts)
    longest = min(map(len, contexts)) - 1
    same = 0
    while same < longest and first[same] == last[same]:
        same += 1
    return Prefix(first[:same]) if same >= MIN_TOKENS else None


def fits_window(model: Any, tokens: int) -> bool:
    """Whether a cache of so many tokens is what rows of that length have themselves.

    Sliding windows drop what lies before them, and some models compute long texts otherwise.
    """
    window = getattr(text_config(model), "sliding_window", None)
    return (window is None or tokens <= window) and tokens <= steady_width(model)
