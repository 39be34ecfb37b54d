"""Generation that decides anew at every step: the option `decide_at=every_step`.

The unmodified model decodes, and its distribution at each step decides on that step. Rows that open
take their next token from a full pass over their text so far with the interventions on. That pass
is not cached, since the text before it may have come from either model; the option is for looking
closely, not for speed. Penalties and bans act on what comes out, for open and closed rows alike.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import LogitsProcessor

from sna_eval.gating import Decision
from sna_eval.harness.model.overflow import OverflowWatch, overflowed_rows
from sna_eval.intervention import Affine, Sites, amplify, base_model
from sna_eval.intervention.spec import acting


class EveryStep(LogitsProcessor):
    """Replaces the scores of rows whose gate opens at this step; to be asked before others.

    **Arguments:**

    - `decide`: from one row's log-probabilities, `[vocabulary]`, to its decision.
    - `prompt_mask`: attention mask of the prompts, `[batch, position]`.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sites,
        interventions: Sequence[Affine],
        *,
        decide: Callable[[torch.Tensor], Decision],
        prompt_mask: torch.Tensor,
    ) -> None:
        self._model = base_model(model)  # a PEFT wrapper's forward does not name its arguments
        self._sites = sites
        self._interventions = tuple(interventions)
        self._decide = decide
        self._prompt_mask = prompt_mask
        self.first: list[Decision] = []
        """The first step's decisions, which stand for the items in the counts."""
        self.opened: list[bool] = []
        """Rows that were amplified at any step."""
        self.watch = OverflowWatch()
        """Told of rows whose amplified scores overflow at a step; they keep the baseline's."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`input_ids`: `[batch, position]`; `scores`: `[batch, vocabulary]`, changed in a copy."""
        log_probs = torch.log_softmax(scores.float(), dim=-1)
        decisions = [self._decide(row) for row in log_probs]
        self.first = self.first or decisions
        acts = bool(self._interventions)
        opened = torch.tensor([acts and decision.amplified for decision in decisions])
        self.opened = list(map(operator.or_, self.opened, opened.tolist())) or opened.tolist()
        opened = opened.to(scores.device)
        rows = opened.nonzero().squeeze(1)
        changed = scores
        if len(rows):
            changed = scores.index_copy(0, rows, self._amplified(input_ids, rows).to(scores.dtype))
        bad = opened & overflowed_rows(changed)
        self.watch.note(bad, input_ids.shape[1])
        return torch.where(bad.unsqueeze(1), scores, changed)

    @torch.no_grad()
    def _amplified(self, input_ids: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Next-token logits of the open rows with the interventions on, `[row, vocabulary]`."""
        decoded = input_ids.shape[1] - self._prompt_mask.shape[1]
        grown = nn.functional.pad(self._prompt_mask, (0, decoded), value=1)[rows]
        inputs: dict[str, Any] = {
            "input_ids": input_ids[rows],
            "attention_mask": grown,
            "use_cache": False,
        }
        if "position_ids" in inspect.signature(self._model.forward).parameters:
            # prompts are padded on the left; a real token's position is its place among real ones
            inputs["position_ids"] = (grown.cumsum(dim=-1) - 1).clamp(min=0)
        position = grown.cumsum(dim=-1) - 1
        last = self._prompt_mask[rows].sum(dim=-1, keepdim=True) - 1

        def mask(intervention: Affine, positions: int) -> torch.Tensor | None:
            return acting(intervention, position, last)

        with amplify(self._model, self._interventions, sites=self._sites, mask=mask):
            logits: torch.Tensor = self._model(**inputs).logits
        return logits[:, -1]
