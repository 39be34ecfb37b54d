"""Keys and values of a beginning that many rows share, computed once per set of interventions.

With fixed few-shot examples every document of a task begins with the same tokens. Their keys and
values are computed by one pass over the beginning alone, and given to every batch of rows through
transformers' own cache classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.decoder import input_device, steady_width, text_config
from sna_eval.intervention.rows import Row, Tokens
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Affine, acts_everywhere
from sna_eval.intervention.spec import acting as where_acting

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
