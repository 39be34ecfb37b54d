"""A loaded model with what is worth keeping of it, shared by every browser session.

Passes hang hooks on the model, so only one session at a time may run any: whoever calls the model
holds `Workspace.passes()`. Settings and results never lie here; a setting becomes a plan here, its
neurons found.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import torch

from sna_eval.app.core.question import (
    FIRST_TASK,
    development_examples,
    development_rows,
    task_questions,
)
from sna_eval.app.core.setting import MOST_NEURONS, MOST_PROMPTS, PromptSource, Setting
from sna_eval.app.core.starting import FirstLook, first_look
from sna_eval.errors import InputError
from sna_eval.intervention import Engine, Sites, Unit
from sna_eval.intervention.rows import Row
from sna_eval.measuring.grid import Configuration, check_directions
from sna_eval.measuring.passes import GridPasses, tokens_per_pass
from sna_eval.measuring.starts import Route, find_routes
from sna_eval.methods import Examples
from sna_eval.neurons import MAX_PROMPTS, Pooling, Ranked, Search, SearchConfig
from sna_eval.plan import ModelSpec, Plan, PlannedIntervention, Provenance, TaskPlan

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

_KEPT = 32  # rankings; a few KiB to a few MiB each


@dataclass(frozen=True, eq=False)
class Searched:
    """Every layer's neurons in order, and the search that found them."""

    search: Search
    layers: Mapping[int, Ranked]

    @property
    def examples(self) -> Examples:
        return self.search.examples


@dataclass(eq=False)
class Workspace:
    """One model."""

    name: str
    """As the user named it."""
    lm: SNALM
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ranked: OrderedDict[Any, Searched] = field(default_factory=OrderedDict)

    @contextmanager
    def passes(self) -> Iterator[Engine]:
        """The engine, for nobody else as long as the body runs."""
        with self._lock, torch.no_grad():
            yield self.lm.engine

    @property
    def sites(self) -> Sites:
        sites: Sites = self.lm.sites
        return sites

    def warm_up(self) -> None:
        """Finds out what batches and maps may do with the model, so that the first need not."""
        with self.passes():
            _ = self.lm.scoring_engine, self.routes("mlp"), self.grid_passes("mlp").shortcuts

    @cached_property
    def first_look(self) -> FirstLook:
        """What the controls begin with."""
        with self.passes():
            return first_look(self.name, self.lm, task_questions(FIRST_TASK, "development"))

    @cached_property
    def routes(self) -> Callable[[Unit], Mapping[int, Route]]:
        """How a sweep of each unit may enter each layer."""

        def found(unit: Unit) -> Mapping[int, Route]:
            engine = self.grid_passes(unit).engine
            return find_routes(engine, engine.sites.layers)

        return cache(found)

    @cached_property
    def grid_passes(self) -> Callable[[Unit], GridPasses]:
        """The passes of a grid of each unit."""

        def made(unit: Unit) -> GridPasses:
            engine = replace(self.lm.engine, sites=self.sites.of(unit))
            return GridPasses(engine, tokens_per_pass(engine.device))

        return cache(made)

    def has_ranked(
        self, source: PromptSource, method: str, pooling: Pooling, unit: Unit = "mlp"
    ) -> bool:
        """Whether `ranked` has its answer at hand."""
        return (source, method, pooling, unit) in self._ranked

    def ranked(
        self, source: PromptSource, method: str, pooling: Pooling, unit: Unit = "mlp"
    ) -> Searched:
        """The neurons, or heads, of all layers, searched once."""
        key = (source, method, pooling, unit)
        with self.passes():
            if key not in self._ranked:
                self._ranked[key] = self._rank(source, method, pooling, unit)
            self._ranked.move_to_end(key)
            while len(self._ranked) > _KEPT:
                self._ranked.popitem(last=False)
            return self._ranked[key]

    def _rank(self, source: PromptSource, method: str, pooling: Pooling, unit: Unit) -> Searched:
        name = source.task
        examples = (
            Examples(source.prompts) if name is None else development_examples(name, source.half)
        )

        def answered() -> list[Row]:
            if name is None:
                raise InputError(
                    "selection", expected=f"a task, for `{method}`", got="own prompts",
                    hint="it needs the right answers; use `differential`",
                )  # fmt: skip
            return development_rows(name, self.lm, source.half)

        config = SearchConfig(
            method, pooling, max_prompts=MAX_PROMPTS if name else MOST_PROMPTS,
            reference=source.reference or None, unit=unit,
        )  # fmt: skip
        sites = self.sites.of(unit)
        search = Search(self.lm.bench, examples, config, sites.layers, answered=answered)
        most = sites.n_units if unit == "head" and search.ranking.orders else sites.n_units // 2
        return Searched(search, search.every(min(MOST_NEURONS, most)))


ITEM_TASK = "own_prompts"
"""The name that items typed or uploaded in the app go by, in plans and in saved tasks."""


def resolved_entry(workspace: Workspace, setting: Setting) -> PlannedIntervention:
    """The intervention, its neurons found."""
    workspace.sites.of(setting.unit).check_layer(setting.layer)
    ranked = workspace.ranked(setting.source, setting.method, setting.pooling, setting.unit)
    ranking = ranked.layers[setting.layer]
    check_directions([setting.direction], ranking.labels, allow_oracle=False)
    wanted = Configuration(setting.layer, setting.count, setting.multiplier, setting.direction)
    entry = wanted.planned(ranking.first(setting.count), found_by(ranked, setting))
    return replace(entry, positions=setting.positions)


def found_by(ranked: Searched, setting: Setting) -> Provenance:
    """How the neurons were found, as a plan file records it."""
    ranking = ranked.layers[setting.layer]
    found = Provenance.of(ranked.search.record(setting.count, ranking))
    if setting.source.task is None:
        return found.saying(prompts="own")
    return found.saying(task=setting.source.task)


def plan_of(workspace: Workspace, setting: Setting, *, task: str = ITEM_TASK) -> Plan:
    """The whole plan, for items of the given name.

    **Arguments:**

    - `task`: a task's name or a glob.
    """
    entry = resolved_entry(workspace, setting)
    spec = ModelSpec(workspace.name, workspace.sites.n_layers, workspace.sites.d_mlp)
    return Plan({task: TaskPlan(setting.gate, (entry,))}, spec)
