"""One pass whose rows come in at different blocks: what is changed in many layers runs together.

Rows stand in the order of the blocks that they enter. A block runs those that are in already, so
that nothing is computed for a row below its own block, and matrix products stay large however the
rows are scattered over layers. The model's own `forward` runs; what it hands to a block for every
row (masks, positions) is cut to the rows that the block sees. Whether a model takes that is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from sna_eval.intervention.forward import Engine
from sna_eval.intervention.partial_passes import (
    captured_inputs,
    captured_outputs,
    continued,
    forward_replaced,
    resumed,
)
from sna_eval.intervention.rows import Batch, Row, trial_tokens
from sna_eval.intervention.sites import Sites

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4}
"""Largest difference in log-probability that still counts as agreement; in half precision
`_HALF_TOLERANCE`."""
_HALF_TOLERANCE = 1e-1
_TRIAL_GROWTH = 1.5  # of what rows enter with: a pass that ignored it would be far off


@dataclass(frozen=True, eq=False)
class Entering:
    """Rows that come into a pass at one block."""

    block: int
    """The block; as many as there are blocks: they come in behind the last."""
    hidden: torch.Tensor
    """What they enter it with, `[row, position, d_model]`."""


@contextmanager
def joined(sites: Sites, entering: Sequence[Entering], *, returns_tuple: bool) -> Iterator[None]:
    """Forward passes in the body run each row from the block on that it enters.

    The batch must hold the rows in the order of `entering`, which must be that of the blocks.

    **Arguments:**

    - `returns_tuple`: whether this model's blocks return a tuple or a bare tensor.
    """
    blocks = [entry.block for entry in entering]
    assert blocks == sorted(blocks), "rows in the order of their blocks"
    with ExitStack() as stack:
        for number, block in enumerate(sites.blocks):
            part = _part(sites, number, entering, returns_tuple=returns_tuple)
            stack.enter_context(forward_replaced(block, part))
        yield


def _part(
    sites: Sites, number: int, entering: Sequence[Entering], *, returns_tuple: bool
) -> Callable[..., Any]:
    """A block's `forward` for the rows that are in."""
    whole = sites.blocks[number].forward
    rows = sum(len(entry.hidden) for entry in entering)
    before = sum(len(entry.hidden) for entry in entering if entry.block < number)
    coming = [entry.hidden for entry in entering if entry.block == number]
    inside = before + sum(map(len, coming))
    last = number == sites.n_layers - 1
    behind = [entry.hidden for entry in entering if last and entry.block > number]

    def forward(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs["hidden_states"]
        if inside:
            hidden = _put_together([given[:before]] if before else [], coming)
            args, kwargs = _cut((args, kwargs), rows, inside)
            if args:
                output = whole(hidden, *args[1:], **kwargs)
            else:
                output = whole(**{**kwargs, "hidden_states": hidden})
            if not behind:
                return output
            output = output[0] if isinstance(output, (tuple, list)) else output
        elif not behind:
            output = given
        left = _put_together([output] if inside else [], behind) if behind else output
        return (left, None) if returns_tuple else left

    return forward


def _put_together(inside: list[torch.Tensor], coming: Sequence[torch.Tensor]) -> torch.Tensor:
    every = [*inside, *coming]
    return torch.cat([hidden.to(every[0].device) for hidden in every])


def _cut(value: Any, rows: int, inside: int) -> Any:
    """What a block is handed beside the stream, for the first rows of all."""
    if isinstance(value, torch.Tensor):
        return value[:inside] if value.dim() and len(value) == rows else value
    if isinstance(value, (tuple, list)):
        return type(value)(_cut(part, rows, inside) for part in value)
    if type(value) is dict:
        return {name: _cut(part, rows, inside) for name, part in value.items()}
    return value


@torch.no_grad()
def rows_may_join(engine: Engine) -> bool:
    """Whether rows that come in at different blocks score as they do in resumed passes.

    Tried with fewer rows than positions, and with as many: a table of positions must not be taken
    for one of rows.
    """
    if not engine.abilities.resumes:
        return False
    try:
        joins = all(_agrees(engine, wider) for wider in (0, 3))
    except Exception as error:  # any failure means that this way is not open
        _LOGGER.debug("rows cannot join a pass: %s", error)
        return False
    if not joins:
        _LOGGER.info("%s: a pass takes the rows of one layer", engine.sites.architecture)
    return joins


def _agrees(engine: Engine, wider: int) -> bool:
    """Two rows at each of some blocks, as many tokens wide as there are rows, or wider."""
    sites, tuples = engine.sites, engine.abilities.returns_tuple
    n_layers = sites.n_layers
    blocks = sorted({0, n_layers // 2, n_layers - 1})
    width = 2 * (len(blocks) + 1) + wider
    tokens = trial_tokens(engine.model, width + 1)
    texts = [
        Row(tokens[: width - 1], (tokens[width - 1 :],)),
        Row(tokens[2:width], (tokens[width:],)),
    ]
    batch = Batch(texts, engine.device)
    with (
        captured_inputs(sites, blocks) as entered,
        captured_outputs(sites, [n_layers - 1]) as left,
    ):
        engine.log_likelihoods(batch)
    hidden = {**entered, n_layers: left[n_layers - 1]}
    entering = [Entering(block, _TRIAL_GROWTH * hidden[block]) for block in sorted(hidden)]
    expected = []
    for entry in entering:
        if entry.block < n_layers:
            way = resumed(sites, entry.block, entry.hidden, returns_tuple=tuples)
        else:
            way = continued(sites, n_layers - 1, entry.hidden, returns_tuple=tuples)
        with way:
            expected.append(engine.log_likelihoods(batch))
    with joined(sites, entering, returns_tuple=tuples):
        found = engine.log_likelihoods(Batch(texts * len(entering), engine.device))
    dtype = next(engine.model.parameters()).dtype
    difference = (found - torch.cat(expected)).abs().max()
    return bool(difference <= _TOLERANCE.get(dtype, _HALF_TOLERANCE))
