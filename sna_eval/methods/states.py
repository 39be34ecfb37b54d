"""The residual stream at the last token of texts: what steering vectors are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sna_eval.intervention.partial_passes import captured_outputs
from sna_eval.intervention.rows import Tokens, right_padded
from sna_eval.methods.method import Question, Workbench


@torch.no_grad()
def residual_states(bench: Workbench, rows: Sequence[Tokens], layer: int) -> list[torch.Tensor]:
    """The residual stream as it leaves a block, `[position, d_model]` for every row, in float64."""
    states: list[torch.Tensor] = []
    for start in range(0, len(rows), bench.batch_size):
        batch = rows[start : start + bench.batch_size]
        with captured_outputs(bench.sites, [layer]) as captured:
            bench.model(right_padded(batch).to(bench.device), use_cache=False)
        hidden = captured[layer].cpu().double()
        states += [hidden[number, : len(row)] for number, row in enumerate(batch)]
    return states


def answer_pairs(
    bench: Workbench, questions: Sequence[Question], layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """States at the last token of the right and of a wrong answer, each `[item, d_model]`.

    Of several wrong choices the mean is taken. A question without choices is paired with the
    answer of the next question that has another one.
    """
    right = _last_states(
        bench, [(question.context, question.answer) for question in questions], layer
    )
    wrong = [_wrong_answers(questions, number) for number in range(len(questions))]
    texts = [
        (question.context, text)
        for question, texts in zip(questions, wrong, strict=True)
        for text in texts
    ]
    states = _last_states(bench, texts, layer).split([len(texts) for texts in wrong])
    return right, torch.stack([state.mean(dim=0) for state in states])


def _wrong_answers(questions: Sequence[Question], number: int) -> tuple[str, ...]:
    question = questions[number]
    if question.wrong:
        return question.wrong
    following = [*questions[number + 1 :], *questions[:number]]
    other = next((q.answer for q in following if q.answer != question.answer), None)
    return (
        (question.answer,) if other is None else (other,)
    )  # one answer to everything: no difference


def _last_states(bench: Workbench, texts: Sequence[tuple[str, str]], layer: int) -> torch.Tensor:
    pairs = [bench.pair(context, answer) for context, answer in texts]
    read = [tuple(bench.clipped(before + after)) for before, after in pairs]
    states = residual_states(bench, read, layer)
    return torch.stack([state[-1] for state in states])
