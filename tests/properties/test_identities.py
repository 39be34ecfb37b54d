"""Properties of random interventions on random texts, in a few architectures."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sna_eval.intervention import (
    Assigned,
    Batch,
    Engine,
    Intervention,
    Row,
    amplify,
    find_sites,
    probe,
)
from sna_eval.intervention.verification import scaled_weights
from tests.conftest import build_model

NAMES = ("gpt2", "llama", "gemma2", "opt")
TOLERANCE = 1e-5
RELATIVE = 5e-7
"""Four units in the last place of float32: eight tokens' log-probabilities sum to some -50."""
BOUNDED = settings(max_examples=25, deadline=None, derandomize=True, database=None)

token = st.integers(1, 127)
tokens = st.lists(token, min_size=1, max_size=8).map(tuple)
rows = st.lists(st.builds(lambda c, b: Row(c, (b,)), tokens, tokens), min_size=1, max_size=5)
interventions = st.builds(
    Intervention,
    layer=st.integers(0, 3),
    neurons=st.lists(st.integers(0, 63), unique=True, min_size=1, max_size=6).map(tuple),
    multiplier=st.sampled_from((0.0, 0.5, 1.5, 3.0, -1.0)),
)


@functools.cache
def engine_of(name: str) -> Engine:
    model = build_model(name, **({"n_inner": 64} if name == "gpt2" else {}))
    sites = find_sites(model)
    return Engine(model, sites, probe(model, sites))


def plain(engine: Engine, batch_rows: list[Row]) -> torch.Tensor:
    """Every row alone."""
    return torch.cat([engine.log_likelihoods(Batch([row], engine.device)) for row in batch_rows])


def amplified(engine: Engine, batch_rows: list[Row], intervention: Intervention) -> torch.Tensor:
    with amplify(engine.model, [intervention], sites=engine.sites):
        return plain(engine, batch_rows)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(batch_rows=rows, intervention=interventions)
def test_hooks_equal_weights_and_leave_nothing(
    name: str, batch_rows: list[Row], intervention: Intervention
) -> None:
    engine = engine_of(name)
    before = plain(engine, batch_rows)
    hooked = amplified(engine, batch_rows, intervention)
    with torch.no_grad(), scaled_weights(engine.sites, intervention):
        folded = plain(engine, batch_rows)
    torch.testing.assert_close(hooked, folded, atol=TOLERANCE, rtol=RELATIVE)
    assert torch.equal(plain(engine, batch_rows), before)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(batch_rows=rows, intervention=interventions)
def test_nothing_asked_changes_nothing_to_the_bit(
    name: str, batch_rows: list[Row], intervention: Intervention
) -> None:
    engine = engine_of(name)
    before = plain(engine, batch_rows)
    one = Intervention(intervention.layer, intervention.neurons, 1.0)
    none = Intervention(intervention.layer, (), intervention.multiplier)
    for idle in (one, none):
        assert torch.equal(amplified(engine, batch_rows, idle), before)
    closed = torch.zeros(1, 1, dtype=torch.bool)
    with amplify(engine.model, [intervention], sites=engine.sites, mask=lambda *_: closed):
        assert torch.equal(plain(engine, batch_rows), before)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(batch_rows=rows, intervention=interventions, data=st.data())
def test_batches_orders_and_resumed_passes_agree(
    name: str, batch_rows: list[Row], intervention: Intervention, data: Any
) -> None:
    engine = engine_of(name)
    order = data.draw(st.permutations(range(len(batch_rows))))
    shuffled = [batch_rows[number] for number in order]
    batch = Batch(shuffled, engine.device)
    together, captured = engine.run(batch, capture=[intervention.layer])
    got = torch.tensor([score.branches[0].log_likelihood for score in together])
    expected = plain(engine, batch_rows)[list(order)]
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=RELATIVE)
    everywhere = torch.ones(len(batch_rows), dtype=torch.bool)
    resumed = engine.amplified(
        batch, [Assigned(intervention, everywhere)], hidden=captured[intervention.layer]
    )
    got = torch.tensor([score.branches[0].log_likelihood for score in resumed])
    expected = amplified(engine, batch_rows, intervention)[list(order)]
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=RELATIVE)


@pytest.mark.parametrize("name", NAMES)
@BOUNDED
@given(batch_rows=rows, intervention=interventions, data=st.data())
def test_rows_that_are_closed_stay(
    name: str, batch_rows: list[Row], intervention: Intervention, data: Any
) -> None:
    engine = engine_of(name)
    opened = data.draw(st.lists(st.booleans(), min_size=len(batch_rows), max_size=len(batch_rows)))
    batch = Batch(batch_rows, engine.device)
    mixed = engine.amplified(batch, [Assigned(intervention, torch.tensor(opened))])
    got = torch.tensor([score.branches[0].log_likelihood for score in mixed])
    expected = torch.where(
        torch.tensor(opened), amplified(engine, batch_rows, intervention), plain(engine, batch_rows)
    )
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=RELATIVE)
