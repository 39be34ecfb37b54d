"""Scattered cells of a grid, packed together, against plain hooks: one cell, one row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sna_eval.intervention import Engine, Intervention, find_sites, probe
from sna_eval.measuring.cell_passes import CellPasses, LayerCells
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.passes import GridPasses, LayerPlan, alike, group_rows
from sna_eval.measuring.starts import Route
from tests.conftest import build_model
from tests.measuring.test_passes import NEURONS, PREDICTED, ROWS, amplified_of, plain

REQUESTS = (range(2), range(2, 5), range(5, 6), range(6, 7))
"""Of every row, counted through."""
CELLS = {
    0: [Configuration(0, 2, 3.0), Configuration(0, 5, 0.5, "predicted")],
    2: [Configuration(2, 5, 2.0, "x")],
    3: [Configuration(3, 5, 3.0), Configuration(3, 2, 2.0, "predicted")],
}
ROUTES: list[dict[int, Route]] = [
    {0: "behind", 2: "behind", 3: "behind"},
    {0: "at", 2: "at", 3: "at"},
    {0: "behind", 2: "at", 3: "behind"},
    {0: "full", 2: "full", 3: "full"},
]
WEIGHTS = {
    "both": torch.ones(4, 2),
    "x": torch.tensor([[1.0, 0.0]]).repeat(4, 1),
    "predicted": torch.nn.functional.one_hot(torch.tensor(PREDICTED), 2).float(),
}


def scattered(
    engine: Engine, routes: dict[int, Route], tokens: int, items: frozenset[int] | None = None
) -> Any:
    """Log-likelihoods of all cells, `[cell, request]`, NaN where nothing was run."""
    entries = [ItemRow(row, item, tuple(REQUESTS[item])) for item, row in enumerate(ROWS)]
    entries.sort(key=lambda entry: -len(entry.row))
    passes = GridPasses(engine, tokens)
    if "full" in routes.values():
        passes.__dict__["joins"] = False
    groups = group_rows(entries, configurations=1, tokens=tokens, device=engine.device)
    plans = [LayerPlan(layer, route, NEURONS) for layer, route in routes.items()]
    captured = [passes.baseline(group, plans)[1] for group in groups]
    cells = [
        LayerCells(plan, CELLS[plan.layer], [left[place] for left in captured], WEIGHTS)
        for place, plan in enumerate(plans)
    ]
    filled = np.full((5, 7), np.nan)
    CellPasses(passes, groups).run(cells, items, filled)
    return filled


def expected(model: Any) -> Any:
    return np.array(
        [
            [
                value
                for number, row in enumerate(ROWS)
                for value in plain(
                    model, row, Intervention(layer, amplified_of(cell, number), cell.multiplier)
                )
            ]
            for layer, cells in CELLS.items()
            for cell in cells
        ]
    )


def engine_of(name: str) -> Engine:
    model = build_model(name)
    sites = find_sites(model)
    return Engine(model, sites, probe(model, sites))


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        (name, routes)
        for name in ("gpt2", "gpt_neox", "llama", "gemma2", "gemma3_text", "opt")
        for routes in ROUTES
        if not name.startswith("gemma") or "behind" not in routes.values()  # it normalises there
    ],
)
def test_equals_plain_hooks(name: str, routes: dict[int, Route]) -> None:
    engine = engine_of(name)
    found = scattered(engine, routes, 200)
    np.testing.assert_allclose(found, expected(engine.model), rtol=0, atol=1e-5)


@pytest.mark.parametrize("tokens", [1, 30, 5000])
def test_results_do_not_depend_on_the_size_of_a_pass(tokens: int) -> None:
    engine = engine_of("llama")
    found = scattered(engine, ROUTES[0], tokens)
    np.testing.assert_allclose(found, expected(engine.model), rtol=0, atol=1e-5)


def test_items_that_are_not_asked_for_do_not_run() -> None:
    engine = engine_of("gpt2")
    found = scattered(engine, ROUTES[0], 200, frozenset({1, 3}))
    assert np.isnan(found[:, [0, 1, 5]]).all()
    kept = [2, 3, 4, 6]
    np.testing.assert_allclose(found[:, kept], expected(engine.model)[:, kept], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("joins", "passes"), [(True, 1), (False, 3)])
def test_layers_share_a_pass(joins: bool, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five cells of three layers and four rows, in one pass of 200 tokens; else a pass a layer."""
    engine = engine_of("gpt2")
    ran: list[int] = []
    whole = Engine.log_likelihoods

    def counted(self: Engine, batch: Any) -> torch.Tensor:
        ran.append(len(batch.rows))
        return whole(self, batch)

    monkeypatch.setattr(GridPasses, "joins", joins)
    monkeypatch.setattr(GridPasses, "shortcuts", GridPasses(engine, 200).shortcuts)
    monkeypatch.setattr(Engine, "log_likelihoods", counted)
    found = scattered(engine, ROUTES[0], 200)
    assert (len(ran), sum(ran)) == (passes, 20)
    np.testing.assert_allclose(found, expected(engine.model), rtol=0, atol=1e-5)


def test_nothing_wanted_runs_nothing() -> None:
    engine = engine_of("gpt2")
    filled = np.empty((0, 7))
    CellPasses(GridPasses(engine, 200), []).run([], None, filled)
    assert not filled.size


def test_a_little_padding_is_cheaper_than_a_pass() -> None:
    """Of 10, 9 and 5 tokens, six are padded: a fifth, which a pass of its own is worth or not."""
    assert alike([10, 9, 5]) == 2
    assert alike([10, 9, 5], spare=5) == 2
    assert alike([10, 9, 5], spare=6) == 3
