"""An item's baseline, put together from scores that are known."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sna_eval.gating import Gate
from sna_eval.harness.scoring.decisions import Baseline, baseline_of, kept
from sna_eval.harness.tasks.items import Item, Request
from sna_eval.intervention import BranchScore, Row, RowScore
from sna_eval.measuring.items import TaskItems, rows_of
from sna_eval.measuring.values import items_baseline, opened

WIDE = 8
NEXT = Gate("max_prob", 0.5, 0.9)


def item_of(*choices: tuple[int, ...], unconditional: bool = False) -> Item:
    """An item of one context; with `unconditional`, every choice is asked again without it."""
    asked = [Request("text", "choice", (1, 2, 3), choice) for choice in choices]
    asked += [Request("", "choice", (0,), choice) for choice in choices if unconditional]
    count = len(choices) if unconditional else 0
    return Item("own", SimpleNamespace(doc_id=0), tuple(asked), count)


def distribution(most: float) -> torch.Tensor:
    """Log-probabilities whose likeliest token has probability `most`."""
    rest = (1 - most) / (WIDE - 1)
    return torch.tensor([most] + [rest] * (WIDE - 1)).log()


def score(*values: float, most: float = 0.25) -> RowScore:
    return RowScore(tuple(BranchScore(value, False) for value in values), distribution(most))


def test_scores_stand_in_the_order_of_the_requests() -> None:
    item = item_of((4,), (5,), (6,))
    rows = [(Row((1, 2, 3), ((6,), (4,))), (2, 0), score(-3.0, -1.0))]
    rows += [(Row((1, 2, 3), ((5,),)), (1,), score(-2.0))]
    found = baseline_of(item, rows)
    assert [one.log_likelihood for one in found.scores] == [-1.0, -2.0, -3.0]


def test_a_context_counts_once_and_an_unconditional_one_not_at_all() -> None:
    item = item_of((4,), (5,), unconditional=True)
    rows = [
        (Row((1, 2, 3), ((4,),)), (0,), score(-1.0, most=0.5)),
        (Row((1, 2, 3), ((5,),)), (1,), score(-1.0, most=0.5)),
        (Row((0,), ((4,), (5,))), (2, 3), score(-1.0, -1.0, most=0.75)),
    ]
    (following,) = baseline_of(item, rows).next_token
    assert float(following.exp().max()) == pytest.approx(0.5)


def test_a_distribution_is_kept_where_the_gate_reads_it() -> None:
    scored = score(-1.0)
    assert kept(scored, NEXT) is scored
    for gate in (None, Gate("target_prob"), Gate("max_prob", mode="always")):
        assert kept(scored, gate).log_probs.untyped_storage().nbytes() == 0
        assert kept(scored, gate).branches == scored.branches


@pytest.mark.parametrize(
    ("gate", "opens"),
    [
        (Gate("target_prob", 0.3, 0.6), [True, False]),  # 0.2 and 0.7
        (Gate("margin", 0.3, 0.6), [False, True]),  # (0.6 - 0.2) / 0.8 and (0.7 - 0.5) / 1.2
        (NEXT, [False, True]),  # 0.95 and 0.4
    ],
)
def test_items_are_decided_on_by_their_own_rows(gate: Gate, opens: list[bool]) -> None:
    items = TaskItems((item_of((4,), (5,)), item_of((6,), (7,))), (0, 1))
    values, most = [[0.2, 0.6], [0.5, 0.7]], [0.95, 0.4]
    rows = rows_of(items, max_length=16, packs=True)
    scored = [
        (entry, score(*map(math.log, values[entry.item]), most=most[entry.item]))
        for entry in reversed(rows)
    ]
    found = items_baseline(items, gate, scored)
    assert np.exp(found.log_likelihoods) == pytest.approx([0.2, 0.6, 0.5, 0.7])
    assert [decision.amplified for decision in found.decisions] == opens
    alone = opened(items, gate, found.log_likelihoods)
    assert alone.tolist() == ([True, True] if gate is NEXT else opens)


def test_values_alone_make_a_baseline() -> None:
    found = Baseline.of_values([-1.0, -2.0])
    assert [one.log_likelihood for one in found.scores] == [-1.0, -2.0]
    assert found.next_token == ()
