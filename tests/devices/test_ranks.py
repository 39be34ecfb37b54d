"""What processes share, as far as one process can tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from sna_eval.gating import Decision
from sna_eval.harness.model.overflow import OverflowWatch, overflowed_rows, replaced_texts
from sna_eval.harness.plugin.ranks import Ranks, asked_for, on_its_own, ranks_of
from sna_eval.harness.scoring.ledger import Ledger, total
from sna_eval.intervention import Intervention
from sna_eval.intervention.amplify import Shard


def test_one_process_keeps_to_itself() -> None:
    ranks = ranks_of(None, sharded=False)
    assert ranks == Ranks()
    assert ranks.first
    assert ranks.agreed(lambda: 7) == 7
    assert ranks.collected("own") == ["own"]


def test_documents_are_divided_among_copies_alone() -> None:
    assert Ranks(1, 4).share == (1, 4)
    assert Ranks(1, 4, sharded=True).share == (0, 1)


def test_rank_counts_over_all_nodes() -> None:
    """lm_eval takes the index within a node, of which every node has a 0."""
    accelerator = SimpleNamespace(process_index=5, local_process_index=1, num_processes=8)
    assert ranks_of(accelerator, sharded=False) == Ranks(5, 8)


def test_repeats_and_padding_are_no_items_of_their_own() -> None:
    once, thrice = SimpleNamespace(repeats=1), SimpleNamespace(repeats=3)
    assert asked_for([once, thrice, thrice, thrice, thrice, once]) == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_world_comes_back_after_an_exception() -> None:
    lm = SimpleNamespace(_world_size=4)
    seen = []

    def fails() -> None:
        seen.append(lm._world_size)
        raise RuntimeError

    with pytest.raises(RuntimeError), on_its_own(lm):
        fails()
    assert (seen, lm._world_size) == ([1], 4)


def test_counts_of_shares_add_up_to_those_of_the_whole() -> None:
    decisions = [Decision(1, 0.1, True), Decision(2, 0.5, False), Decision(3, 0.9, False)]
    whole, shares = Ledger(), [Ledger(), Ledger()]
    for number, decision in enumerate(decisions * 4):
        for ledger in (whole, shares[number % 2]):
            name = "a" if number < 6 else "b"
            ledger.count_item(name, decision, "loglikelihood", overflowed=number == 3)
    summed = total(shares)
    assert {name: task.as_dict() for name, task in summed.tasks.items()} == {
        name: task.as_dict() for name, task in whole.tasks.items()
    }
    assert summed.overflowed == 1


@pytest.mark.parametrize(("start", "stop"), [(0, 32), (32, 64), (40, 41)])
def test_a_slice_of_neurons_is_amplified_as_in_the_layer(start: int, stop: int) -> None:
    activations = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0))
    intervention = Intervention(0, (1, 31, 32, 63), 3.0)
    shard = Shard(start, stop, 64, group=None)
    got = shard.transform(intervention, activations[..., start:stop])
    assert torch.equal(got, intervention.transform(activations)[..., start:stop])


def test_overflow_is_what_has_no_softmax() -> None:
    inf, nan = float("inf"), float("nan")
    scores = torch.tensor([[0.0, 1.0], [0.0, -inf], [-inf, -inf], [inf, 0.0], [nan, 0.0]])
    assert overflowed_rows(scores).tolist() == [False, False, True, True, True]
    watch = OverflowWatch()
    assert watch(torch.zeros(5, 1), scores).softmax(dim=-1).isfinite().all()
    watch(torch.zeros(5, 1), torch.zeros(5, 2))
    assert watch.items(1) == [False, False, True, True, True]


def test_replaced_texts_are_filled_up() -> None:
    output = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    fresh = torch.tensor([[9, 9, 9], [8, 8, 8]])
    got = replaced_texts(output, [False, True], lambda numbers: fresh, copies=2, pad=0)
    assert got.tolist() == [[1, 2, 0], [3, 4, 0], [9, 9, 9], [8, 8, 8]]
