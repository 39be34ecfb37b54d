"""The engine's fast ways against one plain forward pass per continuation."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from architectures.tiny import build, entries
from sna_eval.intervention import (
    Abilities,
    Assigned,
    Batch,
    Engine,
    Intervention,
    Positions,
    Row,
    amplify,
    find_sites,
    probe,
)
from sna_eval.intervention.shortcuts import (
    Prefix,
    Shortcuts,
    find_shortcuts,
    fused_activations,
    shared_prefix,
)
from tests.conftest import CONFIGS, FURTHER_CONFIGS, build_model, token_ids

TOLERANCE = 1e-5
LAYER = 2
INTERVENTION = Intervention(LAYER, (1, 5, 7), 3.0)


def tokens(length: int, seed: int) -> tuple[int, ...]:
    return tuple(token_ids(1, length, seed=seed)[0].tolist())


RAGGED = [
    Row(tokens(13, 1), (tokens(1, 2), tokens(1, 3))),
    Row(tokens(4, 4), (tokens(3, 5), tokens(5, 6), tokens(1, 7))),
    Row(tokens(1, 8), (tokens(6, 9),)),
    Row(tokens(9, 10), (tokens(4, 11), tokens(4, 12))),
]


@pytest.fixture(scope="module", params=[*CONFIGS, *FURTHER_CONFIGS])
def engine(request: pytest.FixtureRequest) -> Engine:
    model = build_model(request.param)
    sites = find_sites(model)
    plain = Engine(model, sites, probe(model, sites))
    return replace(plain, shortcuts=find_shortcuts(plain))


@torch.no_grad()
def plain_scores(
    model: Any, row: Row, intervention: Intervention | None = None
) -> list[tuple[float, bool]]:
    """One forward pass per continuation, read with nothing of the engine's."""
    scores = []
    for branch in row.branches:
        ids = torch.tensor([row.context + branch[:-1]])
        with amplify(model, [intervention] if intervention else []):
            log_probs = torch.log_softmax(model(ids).logits[0], -1)
        read = log_probs[len(row.context) - 1 :]
        value = sum(float(read[n, token]) for n, token in enumerate(branch))
        greedy = read.argmax(-1).tolist() == list(branch)
        scores.append((value, greedy))
    return scores


def split(rows: list[Row]) -> list[Row]:
    """One row per continuation, for models that do not pack."""
    return [Row(row.context, (branch,)) for row in rows for branch in row.branches]


def rows_for(engine: Engine) -> list[Row]:
    return RAGGED if engine.abilities.packs else split(RAGGED)


def assert_scores(engine: Engine, scores: Any, rows: list[Row], *args: Any) -> None:
    for score, row in zip(scores, rows, strict=True):
        for branch, (value, greedy) in zip(
            score.branches, plain_scores(engine.model, row, *args), strict=True
        ):
            assert branch.log_likelihood == pytest.approx(value, abs=TOLERANCE)
            assert branch.is_greedy == greedy


def test_baseline_equals_plain_passes(engine: Engine) -> None:
    rows = rows_for(engine)
    scores, _ = engine.run(Batch(rows, engine.device))
    assert_scores(engine, scores, rows)


def test_next_token_distribution(engine: Engine) -> None:
    rows = rows_for(engine)
    scores, _ = engine.run(Batch(rows, engine.device))
    for score, row in zip(scores, rows, strict=True):
        with torch.no_grad():
            logits = engine.model(torch.tensor([row.context])).logits[0, -1]
        torch.testing.assert_close(
            score.log_probs, torch.log_softmax(logits, -1), atol=TOLERANCE, rtol=0
        )


def test_amplified_passes_keep_to_the_models_own_kernels() -> None:
    """A pass that multiplies activations multiplies what other kernels round differently."""
    model = build_model("gpt2")
    plain = Engine(model, find_sites(model))
    ran: list[str] = []

    @contextmanager
    def recorded(module: torch.nn.Module) -> Iterator[None]:
        ran.append(type(module).__name__)
        with fused_activations(module):
            yield

    engine = replace(plain, shortcuts=Shortcuts(kernels=(recorded,)))
    batch = Batch(split(RAGGED), engine.device)
    engine.run(batch)
    assert len(ran) == 1
    acting = [Assigned(INTERVENTION, torch.ones(len(batch.rows), dtype=torch.bool))]
    amplified = engine.amplified(batch, acting)
    assert len(ran) == 1
    for one, other in zip(amplified, plain.amplified(batch, acting), strict=True):
        assert one.branches == other.branches


def test_resumed_rows_equal_plain_amplified_passes(engine: Engine) -> None:
    assert engine.abilities.resumes
    rows = rows_for(engine)
    _, captured = engine.run(Batch(rows, engine.device), capture=[LAYER])
    chosen = [0, len(rows) - 1]
    batch = Batch([rows[number] for number in chosen], engine.device)
    hidden = captured[LAYER][chosen, : batch.width]
    assigned = [Assigned(INTERVENTION, torch.ones(2, dtype=torch.bool))]
    scores = engine.amplified(batch, assigned, hidden=hidden)
    assert_scores(engine, scores, [rows[number] for number in chosen], INTERVENTION)


def test_a_resumed_pass_really_skips_the_lower_blocks(engine: Engine) -> None:
    rows = rows_for(engine)[:1]
    batch = Batch(rows, engine.device)
    _, captured = engine.run(batch, capture=[LAYER])
    ran: list[int] = []
    handles = [
        projection.register_forward_pre_hook(lambda module, args, n=number: ran.append(n))
        for number, projection in enumerate(engine.sites.projections)
    ]
    assigned = [Assigned(INTERVENTION, torch.ones(1, dtype=torch.bool))]
    engine.amplified(batch, assigned, hidden=captured[LAYER])
    for handle in handles:
        handle.remove()
    assert ran == [2, 3]


def test_rows_of_different_plans_share_a_batch(engine: Engine) -> None:
    other = Intervention(3, (0, 9), 0.25)
    rows = rows_for(engine)[:2]
    assigned = [
        Assigned(INTERVENTION, torch.tensor([True, False])),
        Assigned(other, torch.tensor([False, True])),
    ]
    batch = Batch(rows, engine.device)
    _, captured = engine.run(batch, capture=[LAYER])
    scores = engine.amplified(batch, assigned, hidden=captured[LAYER])
    assert_scores(engine, scores[:1], rows[:1], INTERVENTION)
    assert_scores(engine, scores[1:], rows[1:], other)


@pytest.mark.parametrize("positions", ["last", "continuation"])
def test_positions(engine: Engine, positions: Positions) -> None:
    intervention = Intervention(LAYER, (1, 5, 7), 3.0, positions)
    for row in rows_for(engine):
        batch = Batch([row], engine.device)
        assigned = [Assigned(intervention, torch.ones(1, dtype=torch.bool))]
        (score,) = engine.amplified(batch, assigned)
        for scored, branch in zip(score.branches, row.branches, strict=True):
            ids = torch.tensor([row.context + branch[:-1]])
            last = len(row.context) - 1
            touched = torch.arange(ids.shape[1]) == last
            if positions == "continuation":
                touched = torch.arange(ids.shape[1]) >= last
            where = touched.unsqueeze(0)
            with torch.no_grad(), amplify(engine.model, [intervention], mask=lambda *_, w=where: w):
                read = torch.log_softmax(engine.model(ids).logits[0], -1)[last:]
            value = sum(float(read[n, token]) for n, token in enumerate(branch))
            assert scored.log_likelihood == pytest.approx(value, abs=TOLERANCE)


PREFIX = tokens(5, 20)
"""With the rows below shorter than the sliding windows of the test models are wide."""
BEGINNING = [
    Row((*PREFIX, *tokens(2, 21)), (tokens(1, 22), tokens(1, 23))),
    Row((*PREFIX, *tokens(1, 24)), (tokens(2, 25), tokens(2, 26))),
]


@pytest.mark.parametrize("positions", ["all", "last", "continuation"])
def test_a_common_beginning_is_read_once(engine: Engine, positions: Positions) -> None:
    intervention = Intervention(LAYER, (1, 5, 7), 3.0, positions)
    rows = BEGINNING if engine.abilities.packs else split(BEGINNING)
    prefix = Prefix(PREFIX)
    short = Batch(rows, engine.device, skip=len(prefix))
    whole = Batch(rows, engine.device)
    assert short.width == whole.width - len(prefix)
    baseline, captured = engine.run(short, capture=[LAYER], prefix=prefix)
    assert_scores(engine, baseline, rows)
    assigned = [Assigned(intervention, torch.ones(len(rows), dtype=torch.bool))]
    plain = engine.amplified(whole, assigned)
    for hidden in (captured[LAYER], None):
        got = engine.amplified(short, assigned, hidden=hidden, prefix=prefix)
        for one, other in zip(got, plain, strict=True):
            for branch, expected in zip(one.branches, other.branches, strict=True):
                value = pytest.approx(expected.log_likelihood, abs=TOLERANCE)
                assert branch.log_likelihood == value
    assert len(prefix.states) == (2 if positions == "all" else 1)


def test_where_sharing_a_beginning_pays() -> None:
    beginning = tokens(20, 30)
    rows = [Row((*beginning, n), ((n,),)) for n in (3, 4, 5, 6)]
    prefix = shared_prefix(rows)
    assert prefix is not None
    assert prefix.tokens == beginning
    assert shared_prefix(rows[:3]) is None  # too few
    assert shared_prefix([*rows, Row(tokens(9, 31), ((1,),))]) is None  # nothing in common
    same = shared_prefix([Row(beginning, ((n,),)) for n in range(4)])
    assert same is not None
    assert len(same) == 19  # every row keeps a context token


def test_the_model_is_as_it_was(engine: Engine) -> None:
    ids = token_ids(2, 9)
    before = {name for name, module in engine.model.named_modules() if "forward" in vars(module)}
    with torch.no_grad():
        plain = engine.model(ids).logits
        batch = Batch(rows_for(engine)[:1], engine.device)
        _, captured = engine.run(batch, capture=[LAYER])
        with pytest.raises(RuntimeError):  # a hidden state of the wrong width fails in mid-pass
            engine.amplified(
                batch,
                [Assigned(INTERVENTION, torch.ones(1, dtype=torch.bool))],
                hidden=captured[LAYER][..., :-1],
            )
        assert torch.equal(engine.model(ids).logits, plain)
    after = {name for name, module in engine.model.named_modules() if "forward" in vars(module)}
    assert after == before


def test_which_architectures_pack() -> None:
    for name, packs in {"llama": True, "mistral": True, "bloom": False}.items():
        model = build_model(name)
        assert probe(model, find_sites(model)) == Abilities(
            resumes=True,
            packs=packs,
            shares_prefix=name != "mistral",  # its window is shorter than the trial text
            returns_tuple=name == "bloom",
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["mpt", "jamba", "qwen3_5_text"])
def test_what_does_not_pack_does_not_in_half_precision(name: str, dtype: torch.dtype) -> None:
    """Short continuations are off by less than half precision rounds, but off all the same.

    Biases by distance count places in the row, and states of a recurrence run through all of it.
    """
    model = build(entries()[name]).to(dtype)
    assert not probe(model, find_sites(model)).packs


def test_no_text_comes_out_right_by_chance() -> None:
    """What a choice is off by, when it should not share a row, varies from text to text about 0."""
    model = build(entries()["olmo_hybrid"])
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0, 0.2, generator=generator)
        half = copy.deepcopy(model).to(torch.bfloat16)
        assert not probe(half, find_sites(half)).packs, seed


def test_a_late_layer_that_reads_an_earlier_ones_keys_is_not_resumed() -> None:
    """Layer 3 has no keys of its own: a pass that skips layer 2 leaves it without any."""
    entry = entries()["gemma4_text"]
    types = ["sliding_attention", *["full_attention"] * 3]
    changes = {"layer_types": types, "num_kv_shared_layers": 1}
    model = build(replace(entry, config={**entry.config, **changes}))
    sites = find_sites(model)
    assert not probe(model, sites).resumes
    engine = Engine(model, sites, Abilities(resumes=True))
    batch = Batch(split(RAGGED), engine.device)
    _, captured = engine.run(batch, capture=[2, 3])
    every = torch.ones(len(batch.rows), dtype=torch.bool)
    for layer in (2, 3):
        assigned = [Assigned(Intervention(layer, (1, 5), 3.0), every)]
        if layer == 2:
            resumed = engine.amplified(batch, assigned, hidden=captured[layer])
            assert_scores(engine, resumed, split(RAGGED), assigned[0].intervention)
        else:
            with pytest.raises(KeyError):
                engine.amplified(batch, assigned, hidden=captured[layer])


def test_one_token_branches_add_nothing_to_a_row() -> None:
    row = Row((1, 2, 3), ((4,), (5,), (6,)))
    assert row.tokens == (1, 2, 3)
    assert not row.packed
