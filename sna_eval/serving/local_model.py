"""An exported adapter loaded as anybody would load it: transformers and PEFT, nothing of ours.

A plain pass over each text, one at a time: slow, and the one to hold others against.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sna_eval.errors import InputError
from sna_eval.export.adapters import CONFIG_NAME
from sna_eval.intervention.rows import Tokens
from sna_eval.serving.served_model import Continuation, ContinuationScore


@dataclass(frozen=True, eq=False)
class LocalModel:
    """A base model, and an export as a model of its own or as an adapter on it."""

    base: Any
    """A transformers model."""
    amplified: Any
    """The same with the adapter, or the merged checkpoint."""
    max_length: int

    @classmethod
    def load(cls, base: Any, folder: Path, *, max_length: int) -> LocalModel:
        """
        **Arguments:**

        - `base`: a transformers model; the adapter is put on it.
        - `folder`: of the export.
        """
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        try:
            if (folder / CONFIG_NAME).is_file():
                peft = PeftModel.from_pretrained(base, str(folder)).eval()
                return cls(peft, peft, max_length)
            merged = AutoModelForCausalLM.from_pretrained(folder, dtype=base.dtype).eval()
        except (OSError, ValueError, RuntimeError, json.JSONDecodeError) as error:
            said = (str(error).strip().splitlines() or ["no details"])[0][:300]
            raise InputError(
                "adapter", expected="an export that PEFT or transformers load", got=str(folder),
                hint=said,
            ) from error  # fmt: skip
        return cls(base, merged, max_length)

    def scores(
        self, asked: Sequence[Continuation], *, quiet: bool = False
    ) -> list[ContinuationScore]:
        return [self._score(continuation) for continuation in asked]

    def distributions(
        self, contexts: Sequence[Tokens], *, quiet: bool = False
    ) -> list[torch.Tensor]:
        return [self._log_probs(context, None)[-1] for context in contexts]

    def _score(self, asked: Continuation) -> ContinuationScore:
        tokens, start = asked.context + asked.continuation, len(asked.context)
        rows = self._log_probs(tokens[:-1], asked.adapter)[start - 1 :]
        scored = rows.gather(1, torch.tensor(asked.continuation).unsqueeze(1)).squeeze(1)
        greedy = bool((scored == rows.max(dim=1).values).all())
        return ContinuationScore(float(scored.sum()), greedy, float(rows[0].max()))

    @torch.no_grad()
    def _log_probs(self, tokens: Tokens, adapter: str | None) -> torch.Tensor:
        """`[position, vocabulary]`."""
        model = self.base if adapter is None else self.amplified
        switched: AbstractContextManager[Any] = nullcontext()
        if adapter is None and hasattr(model, "disable_adapter"):
            switched = model.disable_adapter()
        with switched:
            logits: torch.Tensor = model(torch.tensor([tokens], device=model.device)).logits
        return torch.log_softmax(logits[0].float(), dim=-1).cpu()
