"""Where amplification helps a question: every layer and multiplier, by the sweep's own passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from sna_eval.app.core.question import TypedQuestion, question_items
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import ITEM_TASK, Workspace
from sna_eval.errors import InputError
from sna_eval.measuring.grid import Grid, check_directions
from sna_eval.measuring.task_grid import LayerResult, TaskGrid
from sna_eval.measuring.values import item_values

MULTIPLIERS = (0.0, 0.5, 1.2, 1.5, 2.0, 2.4, 3.0, 4.0, 6.0, 8.0, 12.0)


@dataclass(frozen=True)
class MapConfig:
    """What is mapped."""

    question: TypedQuestion
    setting: Setting
    """Its layer, multiplier and gate do not matter here."""
    multipliers: tuple[float, ...] = MULTIPLIERS

    def draws_as(self, other: MapConfig) -> bool:
        """Whether the other map would be the same one."""
        alike = replace(
            self.setting,
            layer=other.setting.layer,
            multiplier=other.setting.multiplier,
            gate=other.setting.gate,
        )
        return replace(self, setting=alike) == other


@dataclass(frozen=True)
class Cell:
    """One configuration."""

    layer: int
    multiplier: float
    prob: float
    """P(target) with the neurons amplified, whatever the gate says."""
    change: float
    """Against the unmodified model."""


@dataclass(frozen=True, eq=False)
class LayerRow:
    """One layer's cells, and how far the map has come."""

    cells: tuple[Cell, ...]
    baseline: float
    done: float
    """Share of the layers, 0 to 1."""


@dataclass(frozen=True)
class LayerMultiplierMap:
    """The finished map."""

    asked: MapConfig
    baseline: float
    cells: tuple[Cell, ...]

    def at(self, layer: int, multiplier: float) -> Cell | None:
        """The cell of a layer and a multiplier."""
        return self._table.get((layer, multiplier))

    @property
    def best(self) -> Cell:
        return max(self.cells, key=lambda cell: cell.change)

    @cached_property
    def _table(self) -> dict[tuple[int, float], Cell]:
        return {(cell.layer, cell.multiplier): cell for cell in self.cells}


def map_layers(workspace: Workspace, asked: MapConfig) -> Iterator[LayerRow]:
    """The map, layer by layer; the model is free for others in between."""
    with workspace.passes():
        swept = _task_grid(workspace, asked)
    layers = swept.grid.layers
    results = swept.run(layers)
    for number in range(len(layers)):
        with workspace.passes():
            result = next(results)
        cells, baseline = _cells(swept, result)
        yield LayerRow(cells, baseline, (number + 1) / len(layers))


def _task_grid(workspace: Workspace, asked: MapConfig) -> TaskGrid:
    setting = asked.setting
    if setting.positions != "all":
        raise InputError(
            "positions", expected="`all` for a map", got=setting.positions,
            hint="the sweep amplifies at every token",
        )  # fmt: skip
    sites = workspace.sites.of(setting.unit)
    ranked = workspace.ranked(setting.source, setting.method, setting.pooling, setting.unit)
    labels = next(iter(ranked.layers.values())).labels  # the same at every layer
    check_directions([setting.direction], labels, allow_oracle=False)
    grid = Grid(sites.layers, (setting.count,), asked.multipliers, (setting.direction,))
    grid.check(sites)
    items = question_items(workspace.lm, [asked.question], task=ITEM_TASK)
    always = replace(setting.gate, mode="always")  # the map does not ask the gate
    passes = workspace.grid_passes(setting.unit)
    routes = workspace.routes(setting.unit)
    groups = passes.groups(items, max_length=workspace.lm.max_length, configurations=grid.per_layer)
    return TaskGrid(items, grid, always, groups, passes, routes, ranked.layers)


def _cells(swept: TaskGrid, result: LayerResult) -> tuple[tuple[Cell, ...], float]:
    """A layer's cells and the baseline."""
    baseline = float(item_values(swept.items, result.baseline.log_likelihoods).prob[0])
    after = item_values(swept.items, result.log_likelihoods).prob[:, 0]
    cells = tuple(
        Cell(result.layer, configuration.multiplier, float(prob), float(prob) - baseline)
        for configuration, prob in zip(swept.grid.at(result.layer), after, strict=True)
    )
    return cells, baseline
