"""How continuations share rows: as few rows as memory allows, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sna_eval.intervention import Batch, Engine, Row, amplify, find_sites, probe
from sna_eval.intervention.rows import ROOM, Tokens, shared_rows
from sna_eval.intervention.spec import Intervention
from tests.conftest import build_model, token_ids

CONTEXT, CHOICES, LONG = 300, 40, 200
INTERVENTION = Intervention(2, (1, 5, 7), 3.0)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 2000), st.lists(st.integers(1, 400), min_size=1, max_size=30), st.booleans())
def test_rows_stay_within_twice_the_longest(context: int, lengths: list[int], packs: bool) -> None:
    rows = shared_rows(context, lengths, packs=packs)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    longest = context + max(lengths) - 1
    for row in rows:
        held = sum(lengths[number] - 1 for number in row)
        assert held <= max(longest, ROOM)
        assert context + held <= max(2 * longest, context + ROOM)
        assert packs or sum(lengths[number] > 1 for number in row) <= 1
    if packs:  # no two rows would have fitted into one
        held = [sum(lengths[number] - 1 for number in row) for row in rows]
        first = [lengths[row[0]] - 1 for row in rows[1:]]
        assert all(a + b > max(longest, ROOM) for a, b in zip(held, first, strict=False))


@pytest.mark.parametrize(
    ("context", "lengths", "packs", "expected"),
    [
        (300, [15, 15, 15, 15], True, [[0, 1, 2, 3]]),
        (300, [15, 15, 15, 15], False, [[0], [1], [2], [3]]),
        (5, [1, 9, 1, 9], False, [[0, 2, 1], [3]]),
        (1, [20, 20], True, [[0, 1]]),
        (1, [65, 65, 65, 2], True, [[0, 1], [2, 3]]),  # 128 tokens without a context
        (300, [200] * 5, True, [[0, 1], [2, 3], [4]]),
        (9, [1000, 1000], True, [[0], [1]]),
    ],
)
def test_what_shares(
    context: int, lengths: list[int], packs: bool, expected: list[list[int]]
) -> None:
    assert shared_rows(context, lengths, packs=packs) == expected


def document() -> tuple[Tokens, list[Tokens]]:
    """A context and forty choices, each a row of its own almost as long as the model's window."""
    ids = token_ids(CHOICES + 1, CONTEXT, seed=3).tolist()
    return tuple(ids[0]), [tuple(row[:LONG]) for row in ids[1:]]


@torch.no_grad()
def plainly(model: Any, context: Tokens, choice: Tokens) -> float:
    """One choice by the model's own pass over it alone, summed in double precision."""
    logits = model(torch.tensor([context + choice[:-1]])).logits[0, len(context) - 1 :]
    log_probs = torch.log_softmax(logits, -1).double()
    return float(log_probs.gather(1, torch.tensor(choice).unsqueeze(1)).sum())


@pytest.mark.parametrize("name", ["gpt2", "llama", "opt"])
def test_many_long_choices(name: str) -> None:
    """512 positions; all choices in one row would be 8,260 tokens wide."""
    size = {"n_positions": 512} if name == "gpt2" else {"max_position_embeddings": 512}
    model = build_model(name, **size)
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    assert engine.abilities.packs
    context, choices = document()
    widths: list[int] = []
    slots: list[int] = []
    looks = [
        sites.blocks[0].register_forward_pre_hook(
            lambda module, args, kwargs: widths.append(
                (args[0] if args else kwargs["hidden_states"]).shape[1]
            ),
            with_kwargs=True,
        ),
        model.get_output_embeddings().register_forward_hook(
            lambda module, args, output: slots.append(output.shape[-2])
        ),
    ]
    found: dict[int, float] = {}
    numbers = shared_rows(CONTEXT, [LONG] * CHOICES, packs=True)
    for group in numbers:
        row = Row(context, tuple(choices[number] for number in group))
        with amplify(model, [INTERVENTION], sites=sites):
            (score,) = engine.run(Batch([row], engine.device))[0]
        found.update(zip(group, (branch.log_likelihood for branch in score.branches), strict=True))
    for look in looks:
        look.remove()
    alone = CONTEXT + LONG - 1
    assert len(numbers) == CHOICES // 2
    assert max(widths) == CONTEXT + 2 * (LONG - 1) <= 2 * alone
    assert max(slots) <= alone
    with amplify(model, [INTERVENTION], sites=sites):
        for number in (0, 1, 17, CHOICES - 1):
            expected = plainly(model, context, choices[number])
            assert found[number] == pytest.approx(expected, abs=1e-5, rel=3e-7)
