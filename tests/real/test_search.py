"""Statistics of the search for neurons against full passes of one prompt each, on real weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.development import examples_of
from sna_eval.neurons import Examples, Search, SearchConfig, Sinks
from tests.real.conftest import Load

PROMPTS = 12
COUNT = 10
RELATIVE = 1e-5


@pytest.fixture(scope="module")
def examples() -> Examples:
    (task,) = load_tasks(["sna_poetry_easy"]).values()
    return examples_of(task, PROMPTS)


@torch.no_grad()
def full_passes(lm: Any, texts: tuple[str, ...], layers: tuple[int, ...]) -> Any:
    """Activations of every text, `{layer: [text][token, d_mlp]}`, by plain hooks."""
    seen: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
    handles = [
        lm.sites.projections[layer].register_forward_pre_hook(
            lambda module, args, layer=layer: seen[layer].append(args[0][0].double())
        )
        for layer in layers
    ]
    for text in texts:
        lm.model(torch.tensor([lm.tok_encode(text)]))
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("sinks", ["drop", "keep"])
def test_means_are_those_of_full_passes(
    real: Path, load: Load, examples: Examples, sinks: Sinks
) -> None:
    lm = load(real, layer=1, neurons="1", multiplier=1.0, gate="always")
    last = lm.sites.n_layers - 1
    layers = (0, last // 2, last)
    search = Search(lm.bench, examples, SearchConfig(sinks=sinks), layers)
    first = 1 if sinks == "drop" else 0
    for layer, full_pass in full_passes(lm, examples.prompts, layers).items():
        mean = torch.cat([one[first:] for one in full_pass]).mean(dim=0)
        difference = (search.observed.task[layer] - mean).abs().max() / mean.abs().max()
        assert float(difference) < RELATIVE


def test_position_0_would_be_most_of_the_difference_somewhere(
    smollm2: Path, load: Load, examples: Examples
) -> None:
    """Why it is left out: in some layer the neurons that it chooses are hardly the text's."""
    lm = load(smollm2, layer=1, neurons="1", multiplier=1.0, gate="always")
    chosen = []
    for sinks in ("drop", "keep"):
        found = Search(lm.bench, examples, SearchConfig(sinks=sinks), lm.sites.layers)
        chosen.append(found.every(COUNT))
    shared = [
        len({*chosen[0][layer].selected[""].neurons} & {*chosen[1][layer].selected[""].neurons})
        for layer in lm.sites.layers
    ]
    assert min(shared) <= COUNT // 2
