"""Contrastive Activation Addition: the mean difference between right and wrong answers.

Source: Panickssery et al. (2024), arXiv:2312.06681: a layer's vector is the mean, over pairs of one
prompt with two answers, of the residual stream's difference at the answer's last token; it is
added, times a coefficient, at every position behind the prompt. Here the pairs are development
items with their right and wrong answers, and the last prompt token, which predicts the answer,
counts as behind the prompt (`positions: continuation`): where nothing is generated, all that is
scored would otherwise be untouched.
"""

from __future__ import annotations

from sna_eval.intervention import Addition, Affine, Vector
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench
from sna_eval.methods.states import answer_pairs


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """`mean(h(right) - h(wrong))`, `[d_model]`."""
    right, wrong = answer_pairs(bench, examples.answered(), wanted.layer)
    vector = Vector((right - wrong).mean(dim=0))
    return Resolution(
        parameters={"vector": vector},
        remarks={"n_pairs": len(right), "norm": round(float(vector.values.norm()), 6)},
    )


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """One vector in the residual stream; `repe` is applied the same way."""
    fitted.only("vector")
    vector = fitted.vector("vector")
    return (Addition(fitted.layer, vector, fitted.strength, fitted.positions),)


METHOD = Method("caa", find, build, positions="continuation", needs_answers=True)
