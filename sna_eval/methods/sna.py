"""Selective Neuron Amplification: the neurons that a ranking puts first.

Source: Akhtar (2026), arXiv:2604.07098. The rankings are `sna_eval.neurons.rankings`.
"""

from __future__ import annotations

from sna_eval.methods.method import Examples, Method, MethodConfig, Resolution, Workbench, searched


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """Neurons by the ranking that the plan names."""
    found = searched(bench, examples, wanted).best(wanted.layer, wanted.top_k)
    return Resolution(found.selected, found.about(wanted.top_k))


METHOD = Method("sna", find)
