"""Both texts of a request in one batch: the unmodified model's, and an amplified copy of open rows.

The prompts are read before `model.generate` is called: once by the unmodified model, and, for the
rows that open, from the lowest intervened layer on with the interventions. `generate` is then
called for the rows and the copies behind them. Its first pass is given what was read in place of
running the model, and every later pass amplifies the copies alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.partial_passes import captured_inputs, forward_replaced
from sna_eval.intervention.prompt_pass import acting_positions, amplified_prompt, put_rows
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Affine


class SideBySide:
    """Rows and the amplified copies of some of them, for one call of `model.generate`.

    **Arguments:**

    - `interventions`: what copies get; at least one.
    - `returns_tuple`: whether the model's blocks return a tuple.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sites,
        interventions: Sequence[Affine],
        *,
        returns_tuple: bool,
    ) -> None:
        self._model = base_model(model)  # a PEFT wrapper's own forward is not what generates
        self._sites = sites
        self._interventions = tuple(interventions)
        self._layer = min(entry.layer for entry in interventions)
        self._returns_tuple = returns_tuple
        self._read: _Read | None = None
        self._copies = torch.zeros(0, dtype=torch.bool)
        """Which rows of `generate` are copies, `[row]`."""
        self._decodes = False
        """Whether `generate` has had what was read."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The model's pass in the body, of the unmodified prompts with a cache, is kept."""

        def keep(module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> None:
            self._read = _Read(args, kwargs, output, captured[self._layer])

        with captured_inputs(self._sites, [self._layer]) as captured:
            handle = self._model.register_forward_hook(keep, with_kwargs=True)
            try:
                yield
            finally:
                handle.remove()

    def copy(self, opened: torch.Tensor) -> torch.Tensor:
        """Puts amplified copies of the open rows behind all rows.

        **Arguments:**

        - `opened`: bool, `[batch]`.

        **Returns:** for each row and copy, which row of the prompts it goes on from, `[row]`.
        """
        assert self._read is not None, "nothing was read"
        read, chosen = self._read, opened.nonzero().squeeze(1)
        rows = torch.cat([torch.arange(len(opened), device=opened.device), chosen])
        self._copies = torch.arange(len(rows), device=opened.device) >= len(opened)
        if len(chosen):
            fresh = amplified_prompt(
                self._model, self._sites, self._interventions, chosen, read.hidden,
                read.args, read.kwargs, returns_tuple=self._returns_tuple,
            )  # fmt: skip
            read.append(fresh, rows, self._copies.nonzero().squeeze(1), self._layer)
        return rows

    @contextmanager
    def installed(self) -> Iterator[None]:
        """`model.generate` in the body, called for all rows and copies, goes on from the prompts.

        Once only: its passes go on in the cache that was read.
        """
        assert self._read is not None, "nothing was read"
        read, self._read = self._read, None
        with ExitStack() as stack:
            stack.enter_context(
                amplify(self._model, self._interventions, sites=self._sites, mask=self._mask)
            )
            first = stack.enter_context(ExitStack())

            def after(module: nn.Module, args: Any, output: Any) -> None:
                first.close()
                self._decodes = True

            @wraps(self._model.forward)  # `generate` goes by the names of its arguments
            def forward(*args: Any, **kwargs: Any) -> Any:
                return read.output

            first.enter_context(forward_replaced(self._model, forward))
            # asked after the interventions' own hooks: what was read has them on already
            first.callback(self._model.register_forward_hook(after).remove)
            yield

    def _mask(self, intervention: Affine, positions: int) -> torch.Tensor:
        if not self._decodes:
            return torch.zeros(1, 1, dtype=torch.bool)
        return self._copies.unsqueeze(1) & acting_positions(
            intervention, positions, prompt=False, device=self._copies.device
        )


@dataclass(eq=False)
class _Read:
    """A prompt pass of the unmodified model."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any
    hidden: torch.Tensor
    """What entered the lowest intervened layer, `[batch, position, d_model]`."""

    def append(self, fresh: Any, rows: torch.Tensor, copies: torch.Tensor, layer: int) -> None:
        """Makes logits and cache those of all rows, the last of which are copies.

        **Arguments:**

        - `fresh`: the copies' own pass, from `layer` on.
        - `rows`: the row of the prompts that each goes on from.
        - `copies`: numbers of the copies among them.
        """
        self.output.logits = torch.cat([self.output.logits, fresh.logits])
        for number, kept in enumerate(self.output.past_key_values.layers):
            take_rows(kept, rows)
            if number >= layer:
                put_rows(kept, fresh.past_key_values.layers[number], copies)


def take_rows(kept: Any, rows: torch.Tensor) -> None:
    """Makes what a cache holds of one layer that of these rows, each as often as it is named."""
    for name, value in vars(kept).items():
        setattr(kept, name, _taken(value, rows))


def _taken(part: Any, rows: torch.Tensor) -> Any:
    if isinstance(part, torch.Tensor) and part.dim() > 1:
        return part.index_select(0, rows.to(part.device))
    if isinstance(part, dict):
        return {key: _taken(value, rows) for key, value in part.items()}
    if isinstance(part, list):
        return [_taken(value, rows) for value in part]
    return part
