"""What amplifying any neuron of any layer would do to each row's answer, to first order.

`G[row, layer, n] = sum over tokens t of a[t, n] * d log P(answer) / d a[t, n]`. Scaling the neurons
`S` of a layer by `m` multiplies their activations by `1 + (m - 1)`, so the change it makes to
`log P(answer)` is `(m - 1) * sum over n in S of G[row, layer, n]`, up to terms of second order in
`m - 1`. One backward pass per batch gives it for all layers, whatever is asked of them afterwards.

The first term of the Taylor expansion that Molchanov et al. (2017), arXiv:1611.06440, prune by,
kept by row and with its sign; Syed et al. (2023), arXiv:2310.10348, patch activations with the same
product. What is predicted here is for finding: what is chosen or reported is measured.

It looks at right answers, so the rows must be development items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sna_eval.errors import InputError
from sna_eval.intervention import Abilities, Batch, Row, Sites
from sna_eval.intervention.amplify import whole_layer
from sna_eval.intervention.decoder import in_float64, input_device
from sna_eval.intervention.forward import scored_positions_only
from sna_eval.intervention.gradients import differentiable_neurons, frozen
from sna_eval.intervention.partial_passes import captured_inputs, resumed

GRAPH_BYTES = 2**31
"""Memory that the graph of one backward pass may take, by the estimate of `graph_bytes`."""
_FULL_ON_CPU = 2**28
"""Beyond which further rows in a pass gain nothing on a CPU, and fresh memory and padding cost."""
_WIDTHS_OF_STREAM = (
    16  # tensors of d_model that a block keeps for its gradients: norms, q, k, v, sums
)
_WIDTHS_OF_MLP = 5  # and of d_mlp: gate, up, the nonlinearity, its product, the projection's input
_BYTES_OF_FEATURE = (
    32  # activations, their change and its gradient in float32, a product in float64
)


class NoGradients(InputError):
    """A model that cannot be differentiated, or not in the precision it was loaded in."""


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """Effects of first order on every row's answer."""

    log_likelihoods: torch.Tensor
    """Of the unmodified model, `[row]`, float64."""
    effects: Mapping[int, torch.Tensor]
    """`G` by layer, `[row, d_mlp]`, float32, on the CPU."""

    def slopes(self, layer: int, ranked: Sequence[int], counts: Sequence[int]) -> torch.Tensor:
        """`d log P(answer) / d m` of a ranking's first neurons, `[count, row]`, float64.

        Times `m - 1` it is what amplifying them by `m` does to first order. One look-up and one
        cumulative sum, however many sets a ranking holds; nothing is run.

        **Arguments:**

        - `ranked`: neurons, best first; any neurons in any order.
        - `counts`: how many of them each set takes.
        """
        return first_slopes(self.effects[layer], ranked, counts)

    def weighted(self, weights: Sequence[float]) -> dict[int, torch.Tensor]:
        """`d outcome / d m` of every neuron, `{layer: [d_mlp]}`, float64.

        An outcome is any smooth function of the rows' log-likelihoods. Its slope for a set of
        neurons is the sum over them, so that hundreds of rankings cost a look-up each.

        **Arguments:**

        - `weights`: derivative of the outcome by each row's log-likelihood, `[row]`.
        """
        by_row = torch.as_tensor(weights, dtype=torch.float64)
        return {layer: by_row @ effects.double() for layer, effects in self.effects.items()}


def first_slopes(
    effects: torch.Tensor, ranked: Sequence[int], counts: Sequence[int]
) -> torch.Tensor:
    """Effects summed over the first neurons of a ranking, `[count, row]`, float64.

    **Arguments:**

    - `effects`: `G` of one layer, `[row, d_mlp]`.
    - `counts`: a ranking that is shorter counts as a whole.
    """
    chosen = effects[:, list(ranked)].double()
    sums = torch.cat([chosen.new_zeros(len(chosen), 1), chosen.cumsum(dim=1)], dim=1)
    return sums[:, [min(count, len(ranked)) for count in counts]].T


@dataclass(frozen=True, eq=False)
class _Setting:
    """What every pass of one computation has in common."""

    model: nn.Module
    sites: Sites
    layers: tuple[int, ...]
    abilities: Abilities
    context: Callable[[], AbstractContextManager[Any]]
    first: int
    """Position that the sums over tokens begin at."""


def first_order(
    model: nn.Module,
    sites: Sites,
    rows: Sequence[Row],
    *,
    layers: Sequence[int],
    abilities: Abilities | None = None,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
    memory: int = GRAPH_BYTES,
    first: int = 0,
    progress: Callable[[int], object] | None = None,
) -> FirstOrder:
    """Effects of every neuron of the given layers on every row's answer.

    **Arguments:**

    - `rows`: contexts, each with one continuation.
    - `layers`: block indices.
    - `abilities`: what the model's passes allow; where they resume at a block, a row whose graph
        exceeds `memory` is computed in stretches of blocks, each run a second time.
    - `context`: entered around every pass, e.g. autocast.
    - `memory`: bytes that a graph may take, about; results do not depend on it but for rounding.
    - `first`: position that the sums over tokens begin at; 1 leaves position 0 out.
    - `progress`: told how many rows were done, batch by batch.

    **Raises:** `NoGradients` for a model without, and where they overflow.
    """
    assert all(len(row.branches) == 1 for row in rows), "one continuation a row"
    setting = _Setting(
        model, sites, tuple(sorted(layers)), abilities or Abilities(), context, first
    )
    likelihoods = torch.empty(len(rows), dtype=torch.float64)
    effects = {layer: torch.empty(len(rows), sites.n_units) for layer in setting.layers}
    order = sorted(range(len(rows)), key=lambda number: -len(rows[number]))
    with frozen(model):
        for places in _batches(order, rows, setting, memory):
            batch = Batch([rows[place] for place in places], input_device(model))
            found, products = _differentiated(setting, batch, memory)
            likelihoods[places] = found
            for layer, values in products.items():
                effects[layer][places] = values
            if progress is not None:
                progress(len(places))
    _check_finite(effects)
    return FirstOrder(likelihoods, effects)


def graph_bytes(sites: Sites, *, tokens: int, size: int, blocks: int) -> int:
    """Memory that the graph of some blocks takes, about.

    **Arguments:**

    - `tokens`: of the batch, padding included.
    - `size`: bytes of a number.
    """
    width = _WIDTHS_OF_STREAM * sites.d_model + _WIDTHS_OF_MLP * sites.d_mlp
    features = sites.n_units * min(blocks, len(sites.layers)) if sites.unit == "feature" else 0
    return tokens * (size * width * blocks + _BYTES_OF_FEATURE * features)


def _batches(
    order: Sequence[int], rows: Sequence[Row], setting: _Setting, memory: int
) -> Iterator[list[int]]:
    """Rows of like length, as many at once as there is memory for; at least one."""
    blocks = setting.sites.n_layers - setting.layers[0]
    if input_device(setting.model).type == "cpu":
        memory = min(memory, _FULL_ON_CPU)
    start = 0
    while start < len(order):
        row = graph_bytes(
            setting.sites, tokens=len(rows[order[start]]), size=_size(setting.model), blocks=blocks
        )
        count = max(1, memory // row)
        yield list(order[start : start + count])
        start += count


def _differentiated(
    setting: _Setting, batch: Batch, memory: int
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Log-likelihoods, `[row]`, and the products of one batch by layer, `[row, d_mlp]`."""
    starts = _stretches(setting, batch, memory)
    entered: Mapping[int, torch.Tensor] = {}
    if len(starts) > 1:
        entered = _entering(setting, batch, starts[1:])
    products: dict[int, torch.Tensor] = {}
    likelihoods, above = None, None
    ends = [*starts[1:], setting.sites.n_layers]
    for start, end in reversed(list(zip(starts, ends, strict=True))):
        inside = [layer for layer in setting.layers if start <= layer < end]
        with torch.enable_grad(), differentiable_neurons(setting.sites, inside) as activations:
            leaf = entered[start].detach().requires_grad_() if start in entered else None
            target, found = _target(setting, batch, leaf, start, end, above)
            likelihoods = found if found is not None else likelihoods
            wanted = [activations[layer] for layer in inside] + ([] if leaf is None else [leaf])
            gradients = _gradients(setting, target, wanted)
        if leaf is not None:
            above = gradients[-1]
        for layer, gradient in zip(inside, gradients, strict=False):
            products[layer] = _product(setting, layer, activations[layer], gradient, batch)
    assert likelihoods is not None
    return likelihoods, products


@torch.no_grad()
def _entering(setting: _Setting, batch: Batch, blocks: Sequence[int]) -> Mapping[int, torch.Tensor]:
    """What enters the given blocks, `{block: [batch, position, d_model]}`."""
    with (
        setting.context(),
        captured_inputs(setting.sites, blocks) as entered,
        scored_positions_only(setting.model, batch),
    ):
        setting.model(batch.input_ids, use_cache=False)
    return entered


def _target(
    setting: _Setting,
    batch: Batch,
    leaf: torch.Tensor | None,
    start: int,
    end: int,
    above: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What a stretch of blocks is differentiated towards: a scalar; of the last, the scores too.

    For a lower stretch it is what it hands on, weighted by the gradient of what lies above.
    """
    into: AbstractContextManager[None] = nullcontext()
    if leaf is not None:
        returns_tuple = setting.abilities.returns_tuple
        into = resumed(setting.sites, start, leaf, returns_tuple=returns_tuple)
    if end < setting.sites.n_layers:
        assert above is not None
        with setting.context(), into:
            left = _run_until(setting, batch, end)
        return (left * above.to(left.device)).sum(), None
    with setting.context(), into, scored_positions_only(setting.model, batch) as pick:
        logits = pick(setting.model(batch.input_ids, use_cache=False).logits)
    log_probs = torch.log_softmax(logits, dim=-1, dtype=_wide(logits.dtype))
    chosen = log_probs[batch.reads.to(logits.device), batch.targets.to(logits.device)]
    scores = torch.stack([part.sum() for part in chosen.split(batch.branch_lengths)])
    return scores.sum(), scores.detach().double().cpu()


class _Reached(Exception):
    """A pass has come as far as it was meant to."""


def _run_until(setting: _Setting, batch: Batch, block: int) -> torch.Tensor:
    """What enters a block, `[batch, position, d_model]`, with its graph; nothing above is run."""

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        raise _Reached(args[0] if args else kwargs["hidden_states"])

    handle = setting.sites.blocks[block].register_forward_pre_hook(stop, with_kwargs=True)
    try:
        setting.model(batch.input_ids, use_cache=False)
    except _Reached as reached:
        left: torch.Tensor = reached.args[0]
        return left
    finally:
        handle.remove()
    raise AssertionError("the pass never came to the block")


def _gradients(
    setting: _Setting, target: torch.Tensor, wanted: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    if not target.requires_grad:
        raise _no_gradients(setting.sites, "its output does not depend on its activations")
    try:
        return torch.autograd.grad(target, list(wanted))
    except (RuntimeError, NotImplementedError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise _no_gradients(setting.sites, str(error).splitlines()[0]) from error


def _no_gradients(sites: Sites, reason: str) -> NoGradients:
    return NoGradients(
        "screen", expected=f"a model with gradients ({sites.architecture})", got=reason,
        hint="load it without quantization, or sweep without `--screen gradient`",
    )  # fmt: skip


def _stretches(setting: _Setting, batch: Batch, memory: int) -> list[int]:
    """First blocks of the stretches whose graphs are built one at a time."""
    first, end = setting.layers[0], setting.sites.n_layers
    tokens = batch.width * len(batch.rows)
    one = graph_bytes(setting.sites, tokens=tokens, size=_size(setting.model), blocks=1)
    at_once = max(1, memory // one)
    if not setting.abilities.resumes or at_once >= end - first:
        return [0]
    return [0, *range(first + at_once, end, at_once)]


def _product(
    setting: _Setting, layer: int, activations: torch.Tensor, gradient: torch.Tensor, batch: Batch
) -> torch.Tensor:
    """Activation times gradient, summed over each row's tokens, `[row, d_mlp]`, float32.

    Padding has no gradient: no real token sees it.
    """
    sites = setting.sites
    product = in_float64(activations.detach()) * in_float64(gradient)
    by_token = product.reshape(len(batch.rows), -1, product.shape[-1])[:, setting.first :]
    summed = sites.summed(by_token.sum(dim=1))
    return whole_layer(sites.projections[layer], summed, sites.channels).float().cpu()


def _check_finite(effects: Mapping[int, torch.Tensor]) -> None:
    for layer, values in effects.items():
        lost = int((~values.isfinite()).any(dim=0).sum())
        if lost:
            without = f"{lost} neurons of layer {layer} without"
            raise NoGradients(
                "screen", expected="finite gradients", got=without,
                hint="load the model with dtype=float32 or bfloat16",
            )  # fmt: skip


def _size(model: nn.Module) -> int:
    return next(model.parameters()).element_size()


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
