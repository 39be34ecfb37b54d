"""Representation engineering: the first principal component of differences of paired texts.

Source: Zou et al. (2023), arXiv:2310.01405, section 3.1 (linear artificial tomography with paired
stimuli) and 3.2 (control by a linear combination). Differences of hidden states at the last token
enter a PCA. The paper draws the order within each pair at random, which takes the mean out of
the differences; here every pair enters in both orders, the limit of many draws, so that nothing
depends on a seed. The mean is then zero and the component maximizes `mean (v . d)^2` over unit
vectors `v`. Its sign is the one that points to the right answers. The pairs are development items
with their right and wrong answers, as for `caa`.
"""

from __future__ import annotations

import torch

from sna_eval.intervention import Vector
from sna_eval.methods.caa import build
from sna_eval.methods.method import Examples, Method, MethodConfig, Resolution, Workbench
from sna_eval.methods.states import answer_pairs


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """A unit vector, `[d_model]`."""
    right, wrong = answer_pairs(bench, examples.answered(), wanted.layer)
    differences = right - wrong
    direction, share = first_component(differences)
    length = float(differences.norm(dim=-1).mean())
    return Resolution(
        parameters={"vector": Vector(direction)},
        remarks={
            "n_pairs": len(right),
            "explained_variance": round(share, 6),
            "difference_norm": round(length, 6),
        },
    )


def first_component(differences: torch.Tensor) -> tuple[torch.Tensor, float]:
    """First principal component of differences and their opposites, `[item, d_model]`.

    **Returns:** the component, `[d_model]`, with the sign of the mean difference, and its share of
    the variance.
    """
    _, values, components = torch.linalg.svd(differences.double(), full_matrices=False)
    direction = components[0]
    total = float((values**2).sum())
    if total == 0.0:
        return torch.zeros_like(direction), 0.0
    sign = -1.0 if float(differences.double().mean(dim=0) @ direction) < 0 else 1.0
    return sign * direction, float(values[0] ** 2) / total


METHOD = Method("repe", find, build, positions="continuation", needs_answers=True)
