"""Selective Neuron Amplification: neurons that respond to the task, or to one class of it.

Source: Akhtar (2026), arXiv:2604.07098, sections 3.1 (differential) and 6.1 (contrastive).
"""

from __future__ import annotations

from sna_eval.errors import InputError
from sna_eval.methods.resolution import Examples, Resolution, Workbench
from sna_eval.neurons import (
    Pooling,
    Selected,
    contrastive,
    differential,
    mean_activations,
    neutral_sentences,
    overlap,
)


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
    first_name, second_name = _two_labels(examples)
    if 2 * top_k > bench.sites.d_mlp:
        raise InputError(
            "select.top_k",
            expected=f"at most {bench.sites.d_mlp // 2}, half of the layer's neurons",
            got=top_k,
        )
    groups = [examples.of_label(label) for label in (0, 1)]
    means = [
        mean_activations(
            bench.model,
            bench.sites,
            bench.rows(group),
            layers=[layer],
            pooling=pooling,
            batch_size=bench.batch_size,
        )[layer]
        for group in groups
    ]
    first, second = contrastive(means[0], means[1], top_k=top_k)
    alone = [_against_neutral(bench, group, layer, top_k, pooling) for group in groups]
    return Resolution(
        {first_name: first, second_name: second},
        {"one_vs_neutral_overlap": round(overlap(*alone), 4)},
    )


def _against_neutral(
    bench: Workbench, prompts: tuple[str, ...], layer: int, top_k: int, pooling: Pooling
) -> Selected:
    task, neutral = (
        mean_activations(
            bench.model,
            bench.sites,
            bench.rows(texts),
            layers=[layer],
            pooling=pooling,
            batch_size=bench.batch_size,
        )[layer]
        for texts in (prompts, neutral_sentences())
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
