"""Where interventions act while a model decodes, told by each position's place in its text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.spec import Affine, acting


class DecodingMask:
    """A mask for `amplify` around one call of `model.generate`.

    The first pass ends with the prompt's last token, and every later one a token further on. How
    much before that end a block sees differs: everything without a cache, one token with one, and
    in some models the last blocks see the prompt's last position alone.

    **Arguments:**

    - `rows`: which rows are amplified, bool, `[batch]`.
    - `prompt_mask`: the prompts' attention mask, padded on the left, `[batch, position]`.
    - `copies`: rows that `generate` makes of one prompt.
    """

    def __init__(self, rows: torch.Tensor, prompt_mask: torch.Tensor, *, copies: int = 1) -> None:
        starts = prompt_mask.shape[1] - prompt_mask.sum(dim=1).to(rows.device)
        self._rows = rows.repeat_interleave(copies).unsqueeze(1)
        self._starts = starts.repeat_interleave(copies).unsqueeze(1)
        """Where each row's text begins behind its padding, `[batch, 1]`."""
        self._prompt = prompt_mask.shape[1]
        self._end = self._prompt

    @contextmanager
    def told_of_passes(self, model: nn.Module) -> Iterator[None]:
        """The model's passes in the body are those of the one call."""

        def after(module: nn.Module, args: Any, output: Any) -> None:
            self._end += 1

        handle = base_model(model).register_forward_hook(after)
        try:
            yield
        finally:
            handle.remove()

    def __call__(self, intervention: Affine, positions: int) -> torch.Tensor:
        place = torch.arange(self._end - positions, self._end, device=self._rows.device)
        last = self._prompt - 1 - self._starts
        touched = acting(intervention, place - self._starts, last)
        return self._rows if touched is None else self._rows & touched
