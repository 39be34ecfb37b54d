"""Selective Neuron Amplification: neurons that respond to the task, or to one class of it.

Source: Akhtar (2026), arXiv:2604.07098, sections 3.1 (differential) and 6.1 (contrastive).
"""

from __future__ import annotations

import torch

from sna_eval.errors import InputError
from sna_eval.methods.attribution import find_attribution
from sna_eval.methods.means import task_means
from sna_eval.methods.method import Method
from sna_eval.methods.resolution import Examples, Resolution, Wanted, Workbench
from sna_eval.methods.stand_ins import stand_ins
from sna_eval.neurons import (
    Pooling,
    Selected,
    contrastive,
    differential,
    neutral_sentences,
    overlap,
)


def find(bench: Workbench, examples: Examples, wanted: Wanted) -> Resolution:
    """Neurons by the ranking that the plan names."""
    layer, top_k, pooling = wanted.layer, wanted.top_k, wanted.pooling
    if wanted.selection == "attribution":
        return find_attribution(bench, examples, layer=layer, top_k=top_k)
    if wanted.selection == "random":
        return find_random(
            bench, examples, layer=layer, top_k=top_k, pooling=pooling, seed=wanted.seed
        )
    finder = {"differential": find_differential, "contrastive": find_contrastive}[wanted.selection]
    return finder(bench, examples, layer=layer, top_k=top_k, pooling=pooling)


def find_differential(
    bench: Workbench, examples: Examples, *, layer: int, top_k: int, pooling: Pooling
) -> Resolution:
    """Neurons that respond more to the task's prompts than to neutral text."""
    selected = _against_neutral(bench, examples.prompts, layer, top_k, pooling)
    return Resolution({"": selected})


def find_contrastive(
    bench: Workbench, examples: Examples, *, layer: int, top_k: int, pooling: Pooling
) -> Resolution:
    """Neurons of each of two classes, disjoint by construction.

    Remarks hold `one_vs_neutral_overlap`: what two separate differential selections would share.
    """
    first_name, second_name, means = class_means(bench, examples, layer, top_k, pooling)
    first, second = contrastive(*means, top_k=top_k)
    groups = [examples.of_label(label) for label in (0, 1)]
    alone = [_against_neutral(bench, group, layer, top_k, pooling) for group in groups]
    return Resolution(
        {first_name: first, second_name: second},
        {"one_vs_neutral_overlap": round(overlap(*alone), 4)},
    )


def find_random(
    bench: Workbench, examples: Examples, *, layer: int, top_k: int, pooling: Pooling, seed: int
) -> Resolution:
    """As many neurons as `find_differential` finds and none of them, alike in mean activation."""
    chosen = find_differential(bench, examples, layer=layer, top_k=top_k, pooling=pooling)
    drawn = stand_ins(bench, examples, chosen.selected, layer=layer, pooling=pooling, seed=seed)
    return Resolution(drawn)


def class_means(
    bench: Workbench, examples: Examples, layer: int, top_k: int, pooling: Pooling
) -> tuple[str, str, tuple[torch.Tensor, torch.Tensor]]:
    """The two labels and the mean activations over each one's prompts, `[d_mlp]`.

    **Raises:** `InputError` where a task has not exactly two labels, or the layer is too narrow for
    two disjoint sets of `top_k`.
    """
    first_name, second_name = _two_labels(examples)
    if 2 * top_k > bench.sites.d_mlp:
        raise InputError(
            "select.top_k",
            expected=f"at most {bench.sites.d_mlp // 2}, half of the layer's neurons",
            got=top_k,
        )
    first, second = (
        task_means(bench, examples.of_label(label), layer, pooling) for label in (0, 1)
    )
    return first_name, second_name, (first, second)


def _against_neutral(
    bench: Workbench, prompts: tuple[str, ...], layer: int, top_k: int, pooling: Pooling
) -> Selected:
    task, neutral = (
        task_means(bench, texts, layer, pooling) for texts in (prompts, neutral_sentences())
    )
    return differential(task, neutral, top_k=top_k)


def _two_labels(examples: Examples) -> tuple[str, str]:
    names = examples.label_names
    if examples.labels is None or len(names) != 2 or len(set(names)) != 2:
        raise InputError(
            "select.method",
            expected="a task with exactly two labels for `contrastive`",
            got=f"{len(names)} labels",
            hint="use `differential`",
        )
    for label in (0, 1):
        if not examples.of_label(label):
            raise InputError(
                "select.prompts",
                expected=f"development items of both labels, {names[0]!r} and {names[1]!r}",
                got=f"none with {names[label]!r}",
                hint="add items to the development split",
            )
    return names[0], names[1]


METHOD = Method("sna", find)
