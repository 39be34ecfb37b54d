"""Rows that come in at different blocks against passes that are resumed at one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sna_eval.intervention import Batch, Engine, Row, find_sites, probe
from sna_eval.intervention.joined import Entering, joined, rows_may_join
from sna_eval.intervention.partial_passes import captured_inputs, resumed
from tests.conftest import build_model, token_ids

ROWS = (
    Row((5, 6, 7, 8, 9, 3), ((1,), (2,))),
    Row((9, 8, 7, 30), ((4, 5, 6), (7, 8), (9,))),
)


def engine_of(name: str) -> Engine:
    model = build_model(name)
    sites = find_sites(model)
    return Engine(model, sites, probe(model, sites))


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "gemma2", "gemma3_text", "opt"])
def test_each_row_scores_as_in_a_pass_of_its_block(name: str) -> None:
    engine = engine_of(name)
    assert rows_may_join(engine)
    batch, tuples = Batch(ROWS, engine.device), engine.abilities.returns_tuple
    with captured_inputs(engine.sites, [0, 1, 3]) as entered:
        engine.log_likelihoods(batch)
    expected, entering = [], []
    for block, hidden in entered.items():
        own = hidden * (1.5 + block)
        with resumed(engine.sites, block, own, returns_tuple=tuples):
            expected.append(engine.log_likelihoods(batch))
        entering.append(Entering(block, own))
    with joined(engine.sites, entering, returns_tuple=tuples):
        found = engine.log_likelihoods(Batch(ROWS * 3, engine.device))
    torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=1e-5)


def test_a_block_runs_the_rows_that_are_in() -> None:
    engine = engine_of("llama")
    seen: dict[int, int] = {}

    def see(number: int) -> Any:
        return lambda module, args: seen.__setitem__(number, len(args[0]))

    handles = [
        projection.register_forward_pre_hook(see(number))
        for number, projection in enumerate(engine.sites.projections)
    ]
    hidden = torch.ones(2, 6, engine.sites.d_model)
    entering = [Entering(1, hidden), Entering(3, hidden[:1]), Entering(4, hidden)]
    with joined(engine.sites, entering, returns_tuple=False):
        engine.log_likelihoods(Batch([ROWS[0]] * 5, engine.device))
    for handle in handles:
        handle.remove()
    assert seen == {1: 2, 2: 2, 3: 3}


def test_leaves_the_model_as_it_was() -> None:
    engine = engine_of("gpt2")
    before = engine.model(token_ids(2, 6)).logits
    hidden = torch.ones(2, 6, engine.sites.d_model)
    with (
        pytest.raises(RuntimeError),
        joined(engine.sites, [Entering(2, hidden[..., :3])], returns_tuple=False),
    ):
        engine.log_likelihoods(Batch([ROWS[0]] * 2, engine.device))
    assert all("forward" not in vars(block) for block in engine.sites.blocks)
    assert torch.equal(engine.model(token_ids(2, 6)).logits, before)


@pytest.mark.parametrize("wrong", [lambda value: value, lambda value: value.flip(0)])
def test_a_model_whose_rows_are_mixed_up_is_found_out(
    wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks that are not cut to the rows, or cut to others, raise or give other scores."""
    engine = engine_of("gemma2")

    def cut(value: Any, rows: int, inside: int) -> Any:
        args, kwargs = value
        mask = kwargs.get("attention_mask")
        return args, {**kwargs, "attention_mask": None if mask is None else wrong(mask)}

    monkeypatch.setattr("sna_eval.intervention.joined._cut", cut)
    model_masks = engine.model.config._attn_implementation
    engine.model.config._attn_implementation = "eager"
    assert not rows_may_join(engine)
    engine.model.config._attn_implementation = model_masks


def test_where_no_pass_resumes_none_is_joined() -> None:
    engine = engine_of("gpt2")
    assert not rows_may_join(Engine(engine.model, engine.sites))
