"""The prompt continued by both models at once, in one batch of two rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from sna_eval.app.core.workspace import Workspace
from sna_eval.intervention import Affine, Engine, amplify
from sna_eval.intervention.decoding import DecodingMask, keeps_keys
from sna_eval.intervention.prompt_pass import SharedPromptPass

_AMPLIFIED = torch.tensor([False, True])
"""Which of the two rows is amplified."""


def continuations(
    workspace: Workspace,
    context: Sequence[int],
    interventions: Sequence[Affine],
    *,
    new_tokens: int,
) -> tuple[str, str]:
    """Greedy continuations of the unmodified and of the amplified model.

    **Arguments:**

    - `context`: the prompt's tokens; where the window has no room behind them, the first are left
        out.
    """
    room = max(1, workspace.lm.max_length - new_tokens)
    with workspace.passes() as engine:
        prompt = torch.tensor([list(context[-room:])] * 2, device=engine.device)
        with engine.context(), _second_row(engine, interventions, prompt):
            output = engine.model.generate(  # type: ignore[operator]
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=workspace.lm.tokenizer.pad_token_id,
            )
    before, after = (_text(workspace, row) for row in output[:, prompt.shape[1] :])
    return before, after


@contextmanager
def _second_row(
    engine: Engine, interventions: Sequence[Affine], prompt: torch.Tensor
) -> Iterator[None]:
    """`generate` in the body amplifies the second row."""
    if engine.abilities.resumes and keeps_keys(engine.model):
        shared = SharedPromptPass(
            engine.model,
            engine.sites,
            interventions,
            decide=lambda log_probs: _AMPLIFIED,
            returns_tuple=engine.abilities.returns_tuple,
        )
        with shared.installed():
            yield
        return

    mask = DecodingMask(_AMPLIFIED, torch.ones_like(prompt))
    hooks = amplify(engine.model, interventions, sites=engine.sites, mask=mask)
    with mask.told_of_passes(engine.model), hooks:
        yield


def _text(workspace: Workspace, tokens: torch.Tensor) -> str:
    return str(workspace.lm.tokenizer.decode(tokens, skip_special_tokens=True))
