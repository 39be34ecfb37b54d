"""What is found out by trying, on architectures of which it is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from sna_eval.intervention import Abilities, Batch, Engine, find_sites, probe
from sna_eval.intervention.rows import trial_rows
from sna_eval.intervention.shortcuts import at_scored_positions, find_shortcuts, fused_activations
from sna_eval.measuring import starts
from sna_eval.measuring.starts import adds_unscaled, find_routes, routes_of
from tests.conftest import build_model, token_ids


def engine_of(name: str, **abilities: Any) -> Engine:
    model = build_model(name)
    sites = find_sites(model)
    return Engine(model, sites, Abilities(**abilities) if abilities else probe(model, sites))


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("gpt2", "behind"),
        ("llama", "behind"),
        ("phi", "behind"),
        ("opt", "behind"),
        ("gemma2", "at"),
    ],
)
def test_routes(name: str, route: str) -> None:
    """Gemma 2 normalises what its MLP writes; the others add it as it is."""
    assert find_routes(engine_of(name), [0, 1, 3]) == {0: route, 1: route, 3: route}


def test_a_block_that_scales_its_mlp_is_no_rank_k_update() -> None:
    engine = engine_of("gpt2")
    scaled = engine.sites.blocks[1].mlp
    scaled.register_forward_hook(lambda module, args, output: 0.9 * output)
    assert find_routes(engine, [0, 1]) == {0: "behind", 1: "at"}


def test_plain_hooks_where_nothing_else_goes() -> None:
    engine = engine_of("gemma2", resumes=False)
    assert find_routes(engine, [2]) == {2: "full"}


def test_routes_are_tried_once(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[int]] = []

    def counted(engine: Engine, layers: list[int]) -> Any:
        tried.append(layers)
        return find_routes(engine, layers)

    monkeypatch.setattr(starts, "find_routes", counted)
    first = routes_of(lm, lm.engine, [0, 2])
    assert routes_of(lm, lm.engine, [0, 2]) == first == {0: "behind", 2: "behind"}
    assert tried == [[0, 2]]
    assert routes_of(lm, lm.engine, [1]) == {1: "behind"}, "other layers are tried"
    monkeypatch.setattr("sna_eval.harness.model.kept.read_entry", lambda name: {"0": "above"})
    assert routes_of(lm, lm.engine, [0]) == {0: "behind"}, "what is no route is tried again"
    assert tried == [[0, 2], [1], [0]]


@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        ("gpt2", {"mlp", "attn.c_proj"}),
        ("llama", {"mlp", "self_attn.q_proj", "self_attn.o_proj"}),
        ("opt", {"self_attn.q_proj", "self_attn.out_proj", "fc1", "fc2"}),
        ("gpt_neox", {"mlp", "attention.dense"}),
    ],
)
def test_keys_and_values_are_never_narrowed(name: str, narrow: set[str]) -> None:
    assert set(find_shortcuts(engine_of(name)).narrow) == narrow


def test_shortcuts_leave_the_model_as_it_was() -> None:
    engine = engine_of("gpt2")
    ids = token_ids(2, 7)
    before = engine.model(ids).logits
    shortcuts = find_shortcuts(engine)
    batch = Batch(trial_rows(engine.model), engine.device)
    with shortcuts.everywhere(engine.model), shortcuts.for_batch(engine.sites, batch):
        engine.log_likelihoods(batch)
    with pytest.raises(RuntimeError, match="stop"), shortcuts.for_batch(engine.sites, batch):
        raise RuntimeError("stop")
    assert torch.equal(engine.model(ids).logits, before)
    assert all("forward" not in module.__dict__ for module in engine.model.modules())


def test_the_narrow_way_is_taken() -> None:
    """Two rows of 9 and 5 tokens are read at three positions."""
    engine = engine_of("gpt2")
    batch = Batch(trial_rows(engine.model), engine.device)
    seen: list[int] = []
    projection = engine.sites.projections[-1]
    projection.register_forward_pre_hook(lambda module, args: seen.append(args[0][..., 0].numel()))
    with find_shortcuts(engine).for_batch(engine.sites, batch):
        engine.log_likelihoods(batch)
    engine.log_likelihoods(batch)
    assert seen[-2:] == [3, 18]


@torch.no_grad()
def test_other_positions_get_the_fill() -> None:
    engine = engine_of("gpt2")
    batch = Batch(trial_rows(engine.model), engine.device)
    hidden = torch.randn(2, batch.width, engine.sites.d_model)
    mlp = engine.sites.blocks[-1].mlp
    full = mlp(hidden)
    with at_scored_positions(mlp, batch, fill=7.0):
        narrow = mlp(hidden)
    read = (batch.slot_rows, batch.slot_positions)
    torch.testing.assert_close(narrow[read], full[read])
    narrow[read] = 7.0
    assert bool((narrow == 7.0).all())


def test_gelu_in_one_kernel_is_the_same_function() -> None:
    engine = engine_of("gpt2")
    act: Callable[[torch.Tensor], torch.Tensor] = engine.sites.blocks[0].mlp.act
    values = torch.linspace(-6, 6, 1001)
    spelled = act(values)
    with fused_activations(engine.model):
        fused = act(values)
    assert not torch.equal(fused, spelled)  # the kernel really is another one
    torch.testing.assert_close(fused, spelled, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_share_of_the_update_is_no_rounding(dtype: torch.dtype) -> None:
    """What a block adds of its MLP, but for a twentieth: half precision took it for exact."""
    model = build_model("llama").to(dtype)
    engine = Engine(model, find_sites(model))
    assert adds_unscaled(engine, 1)
    block = model.model.layers[1]
    handle = block.mlp.register_forward_hook(lambda module, args, output: output * 0.95)
    assert not adds_unscaled(engine, 1)
    handle.remove()
    assert adds_unscaled(engine, 1)
