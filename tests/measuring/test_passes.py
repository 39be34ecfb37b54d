"""Every way into a model against plain hooks, one configuration and one row at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

import pytest
import torch

from sna_eval.intervention import Engine, Intervention, Row, amplify, find_sites, probe
from sna_eval.measuring.grid import Configuration, Grid
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.passes import GridPasses, LayerPlan, group_rows
from sna_eval.measuring.starts import Route
from tests.conftest import build_model

ROWS = (
    Row((5, 6, 7, 8, 9, 3), ((1,), (2,))),
    Row((9, 8, 7, 30, 2, 4, 8), ((4, 5, 6), (7, 8), (9,))),
    Row((9, 8), ((4,),)),
    Row((5, 6, 7, 8, 9, 3), ((11, 12),)),
)
NEURONS = {"x": (3, 1, 9, 60, 22), "y": (5, 2, 8, 40, 41)}
GRID = Grid((0,), (2, 5), (0.5, 3.0), ("both", "x", "predicted"))
PREDICTED = (0, 1, 1, 0)
"""Label that each row is told to have."""


def amplified_of(configuration: Configuration, row: int) -> tuple[int, ...]:
    """Neurons that a configuration amplifies in a row, spelled out."""
    labels = {"both": "xy", "x": "x", "predicted": "xy"[PREDICTED[row]]}[configuration.direction]
    return tuple(index for label in labels for index in NEURONS[label][: configuration.n_neurons])


@torch.no_grad()
def plain(model: Any, row: Row, intervention: Intervention) -> list[float]:
    """Log-likelihoods by one forward pass a continuation."""
    found = []
    for branch in row.branches:
        with amplify(model, [intervention]):
            logits = model(torch.tensor([row.context + branch])).logits[0]
        log_probs = torch.log_softmax(logits.double(), dim=-1)
        first = len(row.context) - 1
        found.append(sum(float(log_probs[first + n, token]) for n, token in enumerate(branch)))
    return found


def sweep(engine: Engine, plan: LayerPlan, tokens: int) -> torch.Tensor:
    """Log-likelihoods of every configuration, `[configuration, branch]`, rows in order."""
    entries = [ItemRow(row, number, ()) for number, row in enumerate(ROWS)]
    entries.sort(key=lambda entry: -len(entry.row.tokens))
    passes = GridPasses(engine, tokens)
    found: dict[int, torch.Tensor] = {}
    groups = group_rows(entries, configurations=GRID.per_layer, tokens=tokens, device=engine.device)
    for group in groups:
        told = torch.tensor([PREDICTED[entry.item] for entry in group.entries])
        weights = {
            "both": torch.ones(len(told), 2),
            "x": torch.tensor([[1.0, 0.0]]).repeat(len(told), 1),
            "predicted": torch.nn.functional.one_hot(told, 2).float(),
        }
        with passes.shortcuts.everywhere(engine.model):
            _, (captured,) = passes.baseline(group, [plan])
            scores = passes.amplified(group, plan, captured, weights, GRID.at(plan.layer))
        widths = [len(entry.row.branches) for entry in group.entries]
        parts = scores.split(widths, dim=1)
        found.update(zip((entry.item for entry in group.entries), parts, strict=True))
    return torch.cat([found[number] for number in range(len(ROWS))], dim=1)


WAYS = [
    (name, route)
    for name in ("gpt2", "gpt_neox", "llama", "gemma2", "opt")
    for route in get_args(Route)
    if (name, route) != ("gemma2", "behind")  # it normalises what its MLP writes
]


@pytest.mark.parametrize(("name", "route"), WAYS)
def test_equals_plain_hooks(name: str, route: Route) -> None:
    model = build_model(name)
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    for layer in (0, sites.n_layers - 1):
        got = sweep(engine, LayerPlan(layer, route, NEURONS), 200)
        expected = torch.tensor(
            [
                [
                    value
                    for number, row in enumerate(ROWS)
                    for value in plain(
                        model, row, Intervention(layer, amplified_of(one, number), one.multiplier)
                    )
                ]
                for one in GRID.at(layer)
            ]
        )
        assert float((got - expected).abs().max()) <= 1e-5


@pytest.mark.parametrize("tokens", [1, 60, 5000])
def test_results_do_not_depend_on_the_size_of_a_pass(tokens: int) -> None:
    model = build_model("gpt2")
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    plan = LayerPlan(1, "behind", NEURONS)
    torch.testing.assert_close(sweep(engine, plan, tokens), sweep(engine, plan, 300))


@contextmanager
def counted_blocks(engine: Engine) -> Iterator[list[int]]:
    """Numbers of the blocks that run for more rows than the items have."""
    ran: list[int] = []
    handles = []
    for number, projection in enumerate(engine.sites.projections):

        def hook(module: Any, args: tuple[Any, ...], number: int = number) -> None:
            ran.append(number)

        handles.append(projection.register_forward_pre_hook(hook))
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize(("route", "first"), [("behind", 3), ("at", 2), ("full", 0)])
def test_blocks_below_are_not_run_again(route: Route, first: int) -> None:
    model = build_model("gpt2")
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    (group,) = group_rows(
        [ItemRow(ROWS[0], 0, (0, 1))],
        configurations=GRID.per_layer,
        tokens=10_000,
        device=engine.device,
    )
    passes, plan = GridPasses(engine, 10_000), LayerPlan(2, route, NEURONS)
    weights = dict.fromkeys(GRID.directions, torch.ones(1, 2))
    _, (captured,) = passes.baseline(group, [plan])
    assert passes.shortcuts  # found before counting
    with counted_blocks(engine) as ran:
        passes.amplified(group, plan, captured, weights, GRID.at(plan.layer))
    used = [number for number in ran if number != 2 or route != "behind"]
    assert used == list(range(first, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_baselines_are_as_precise_as_what_they_are_set_beside(dtype: torch.dtype) -> None:
    """Summed in half precision, every item's baseline was off by what looked like an effect."""
    model = build_model("llama").to(dtype)
    sites = find_sites(model)
    passes = GridPasses(Engine(model, sites, probe(model, sites)), 64)
    entries = sorted(
        (ItemRow(row, number, ()) for number, row in enumerate(ROWS)),
        key=lambda entry: -len(entry.row.tokens),
    )
    for group in group_rows(entries, configurations=1, tokens=64, device=passes.engine.device):
        scores, _ = passes.baseline(group, [])
        found = [branch.log_likelihood for score in scores for branch in score.branches]
        expected = passes.engine.log_likelihoods(group.repeated(1))
        assert found == pytest.approx(expected.tolist(), rel=1e-6)


def test_rows_of_like_length_travel_together() -> None:
    """Ten tokens and nine do, 5 % of padding; with five it were 20 %; a pass holds 30 tokens."""
    lengths = [10, 9, 5, 5, 5, 5, 5, 5, 5]
    entries = [ItemRow(Row((1,) * length, ((2,),)), n, (n,)) for n, length in enumerate(lengths)]
    found = group_rows(entries, configurations=1, tokens=30, device=torch.device("cpu"))
    assert [[len(row) for row in group.rows] for group in found] == [[10, 9], [5] * 6, [5]]
