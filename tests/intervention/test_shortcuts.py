"""Which modules may run at the scored positions alone is told exactly, in any precision."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.intervention import Batch, Engine, find_sites, probe
from sna_eval.intervention.rows import trial_rows
from sna_eval.intervention.shortcuts import find_shortcuts
from tests.conftest import token_ids

NAMES = ("gpt2", "llama", "gemma3_text", "afmoe", "cohere2_moe", "olmo_hybrid", "qwen3_next")
"""Norms on keys, and states of a recurrence, make what is left out look small."""


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_hides_nothing(name: str) -> None:
    found = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = build(entries()[name]).to(dtype)
        sites = find_sites(model)
        found[dtype] = find_shortcuts(Engine(model, sites, probe(model, sites))).narrow
    assert found[torch.float32] == found[torch.bfloat16] == found[torch.float16]


@pytest.mark.parametrize("name", ["llama", "gemma3_text"])
def test_baselines_are_those_of_plain_passes_to_the_bit(name: str) -> None:
    """Products taken elsewhere than PyTorch takes them moved real models' scores by 1e-4."""
    model = build(entries()[name])
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    batch = Batch(trial_rows(model), engine.device)
    full = replace(find_shortcuts(engine), narrow=())
    scores, _ = replace(engine, shortcuts=full).run(batch)
    quick = [branch.log_likelihood for row in scores for branch in row.branches]
    plain, _ = engine.run(batch)
    assert quick == [branch.log_likelihood for row in plain for branch in row.branches]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_out_is_read_by_nobody(name: str) -> None:
    """Other words at the unread positions of the last block's modules change no scored logit.

    Told without the package: a module is left out rightly if its output may be anything wherever
    the trial does not score.
    """
    model = build(entries()[name])
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    narrow = find_shortcuts(engine).narrow
    assert narrow
    batch = Batch(trial_rows(model), engine.device)
    scored = torch.zeros(batch.input_ids.shape, dtype=torch.bool)
    scored[batch.slot_rows, batch.slot_positions] = True
    noise = token_ids(*scored.shape, seed=9).float().unsqueeze(-1)

    def disturb(module: object, args: object, output: torch.Tensor) -> torch.Tensor:
        kept = output.reshape(*scored.shape, -1)
        return torch.where(scored.unsqueeze(-1), kept, noise).reshape(output.shape)

    with torch.no_grad():
        plain = model(batch.input_ids, use_cache=False).logits[scored]
        for path in narrow:
            look = sites.blocks[-1].get_submodule(path).register_forward_hook(disturb)
            moved = model(batch.input_ids, use_cache=False).logits[scored]
            look.remove()
            torch.testing.assert_close(moved, plain, atol=1e-5, rtol=0)
