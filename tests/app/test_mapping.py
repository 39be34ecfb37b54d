"""The map agrees with single questions, and leaves the model to others in between."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sna_eval.app.core.mapping import LayerMultiplierMap, MapConfig, map_layers
from sna_eval.app.core.setting import PromptSource
from sna_eval.app.core.trying import TryConfig, try_it
from sna_eval.app.core.workspace import Workspace
from sna_eval.errors import InputError
from tests.app.conftest import SENTIMENT, TEN, a_setting


def drawn(workspace: Workspace, asked: MapConfig) -> LayerMultiplierMap:
    rows = list(map_layers(workspace, asked))
    cells = tuple(cell for row in rows for cell in row.cells)
    assert [row.done for row in rows] == [(n + 1) / 8 for n in range(8)]
    return LayerMultiplierMap(asked, rows[0].baseline, cells)


@pytest.mark.parametrize("question", [TEN, SENTIMENT])
def test_cells_equal_single_questions(workspace: Workspace, question: object) -> None:
    asked = MapConfig(question, a_setting(), (0.5, 1.0, 3.0))  # type: ignore[arg-type]
    found = drawn(workspace, asked)
    for layer in (0, 4, 7):
        for multiplier in (0.5, 3.0):
            setting = a_setting(layer=layer, multiplier=multiplier)
            single = try_it(workspace, TryConfig(question, setting))  # type: ignore[arg-type]
            cell = found.at(layer, multiplier)
            assert cell is not None
            assert cell.prob == pytest.approx(single.amplified.prob, abs=1e-5)
            assert found.baseline == pytest.approx(single.before.prob, abs=1e-5)
        same = found.at(layer, 1.0)
        assert same is not None
        assert same.change == 0
    assert found.best.change == max(cell.change for cell in found.cells)
    assert found.at(4, 77.0) is None


def test_other_positions_have_no_map(workspace: Workspace) -> None:
    asked = MapConfig(TEN, a_setting(positions="last"))
    with pytest.raises(InputError, match="positions: expected `all` for a map, got 'last'"):
        next(map_layers(workspace, asked))


def test_sessions_at_once_get_what_each_gets_alone(workspace: Workspace) -> None:
    settings = [a_setting(layer=layer, multiplier=m) for layer in (1, 4, 6) for m in (0.0, 5.0)]
    alone = [try_it(workspace, TryConfig(TEN, setting)) for setting in settings]
    expected_map = drawn(workspace, MapConfig(TEN, a_setting(), (0.0, 5.0)))
    start = threading.Barrier(len(settings) + 1)

    def one(number: int) -> bool:
        start.wait()
        found = [try_it(workspace, TryConfig(TEN, settings[number])) for _ in range(3)]
        return all(
            (entry.before, entry.amplified) == (alone[number].before, alone[number].amplified)
            for entry in found
        )

    def a_map() -> bool:
        start.wait()
        return drawn(workspace, MapConfig(TEN, a_setting(), (0.0, 5.0))) == expected_map

    with ThreadPoolExecutor(len(settings) + 1) as pool:
        done = [pool.submit(one, number) for number in range(len(settings))]
        assert pool.submit(a_map).result()
        assert all(future.result() for future in done)


def test_an_abandoned_map_leaves_nothing_behind(workspace: Workspace) -> None:
    before = try_it(workspace, TryConfig(TEN, a_setting()))
    rows = map_layers(workspace, MapConfig(TEN, a_setting(multiplier=9.0)))
    next(rows)
    ids = torch.tensor([workspace.lm.tok_encode(TEN.prompt)])
    with torch.no_grad():
        prob = workspace.lm.model(ids).logits[0, -1].softmax(-1)
    (ten,) = workspace.lm.tok_encode(TEN.target)
    assert float(prob[ten]) == pytest.approx(before.before.prob, abs=1e-5)
    rows.close()
    after = try_it(workspace, TryConfig(TEN, a_setting()))
    assert (after.before, after.amplified) == (before.before, before.amplified)
    other = try_it(workspace, TryConfig(replace(TEN, target=" two"), a_setting()))
    assert other.before.top == before.before.top


def test_a_prediction_needs_a_choice(workspace: Workspace, shared_data: Path) -> None:
    """With one continuation, "predicted" amplified the right answer's label."""
    setting = a_setting(
        source=PromptSource("sna_sst2"), method="contrastive", direction="predicted", count=5
    )
    alone = replace(SENTIMENT, others=())
    with pytest.raises(InputError, match=r"direction: .* got 'predicted'; the only continuation"):
        list(map_layers(workspace, MapConfig(alone, setting)))
    with pytest.raises(InputError, match=r"direction: .* got 'predicted'; the only continuation"):
        try_it(workspace, TryConfig(alone, setting))
    assert try_it(workspace, TryConfig(SENTIMENT, setting)).amplified
