"""A sweep made ready: model and tasks loaded, grids settled, units ready to be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.files import REFERENCE_MODEL, reference_model_path
from sna_eval.harness.loading import load_lm, load_tasks, model_arguments, pretrained_name
from sna_eval.harness.model.kept import numerics
from sna_eval.intervention import Row, Sites
from sna_eval.measuring.items import answered_rows, load_items
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.passes import GridPasses, RowGroup, tokens_per_pass
from sna_eval.measuring.starts import Route, routes_of
from sna_eval.measuring.task_grid import LayerResult, TaskGrid
from sna_eval.neurons import Search, SearchConfig
from sna_eval.neurons.statistics import SearchBar
from sna_eval.neurons.universal import Universal
from sna_eval.plan import (
    PlanArguments,
    Provenance,
    model_fingerprint,
)
from sna_eval.study.same_settings import versions
from sna_eval.study.sweep.manifest import ASKED
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.schemas import Unit, UnitTables
from sna_eval.study.sweep.screening.screened_task import ScreenedTask
from sna_eval.study.sweep.swept_task import SweptTask, swept_task
from sna_eval.study.sweep.tables import unit_tables

if TYPE_CHECKING:
    from lm_eval.api.task import Task

    from sna_eval.harness.lm import SNALM


class Sweep:
    """Everything a sweep's units are computed with; parts are made when first needed.

    **Arguments:**

    - `options`: what is asked.
    - `lm`: an `SNALM` that is loaded already; `None` loads `options.model_args`.
    - `tasks`: lm_eval tasks that are loaded already, by name; `None` loads `options.tasks`.
    """

    def __init__(
        self,
        options: SweepOptions,
        *,
        lm: SNALM | None = None,
        tasks: Mapping[str, Task] | None = None,
    ) -> None:
        self.options = options
        self.from_options = lm is None and tasks is None
        self._lm, self._tasks = lm, tasks
        self._grids: dict[str, TaskGrid] = {}
        self._searches: dict[str, Search] = {}
        self.quiet = True
        """Whether to show no progress of the search for neurons, and of a task that is screened."""
        self.progress: Moved | None = None
        """Told of configurations as they are done, in parts."""

    @cached_property
    def lm(self) -> SNALM:
        return self._lm or load_lm(self.options.model_args, gate="never")

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        if self._tasks is not None:
            return self._tasks
        asked = self.options
        return load_tasks(
            asked.tasks, include_path=asked.include_path, model_args=asked.model_args,
            arguments=asked.arguments,
        )  # fmt: skip

    @cached_property
    def subjects(self) -> dict[str, SweptTask]:
        """What is swept over each task."""
        return {
            name: swept_task(name, task, self.lm, self.options) for name, task in self.tasks.items()
        }

    @property
    def units(self) -> list[Unit]:
        """Everything there is to compute, in order."""
        return [
            Unit(name, layer)
            for name, subject in self.subjects.items()
            for layer in subject.grid.layers
        ]

    @property
    def sites(self) -> Sites:
        return self.lm.sites.of(self.options.unit)

    @cached_property
    def passes(self) -> GridPasses:
        engine = replace(self.lm.engine, sites=self.sites)
        return GridPasses(engine, self.options.tokens_per_pass or tokens_per_pass(engine.device))

    @cached_property
    def routes(self) -> dict[int, Route]:
        return routes_of(self.lm, self.passes.engine, self._layers)

    def compute(self, task: str, layers: Sequence[int]) -> Iterator[UnitTables]:
        """Computes units of one task."""
        swept, search = self.subjects[task], self.search(task)
        for result in self._results(task, layers):
            found = {
                count: Provenance.of(search.record(count, result.ranking))
                for count in swept.grid.n_neurons
            }
            yield unit_tables(swept, result, model=self.model_name, found=found)

    def _results(self, task: str, layers: Sequence[int]) -> Iterator[LayerResult]:
        """The wanted layers of a task; one that is screened is computed as a whole."""
        swept, screen = self.task_grid(task), self.options.screen
        if screen is None:
            return swept.run(layers, progress=self.progress)
        screened = ScreenedTask(
            task, swept, screen, self.lm.max_length, self.options.seed, quiet=self.quiet
        )
        return (result for result in screened.run() if result.layer in layers)

    def task_grid(self, task: str) -> TaskGrid:
        """The grid of one task, its neurons ranked."""
        if task not in self._grids:
            subject = self.subjects[task]
            search = self.search(task)
            bar = SearchBar(quiet=self.quiet, task=task, leave=False)
            with _named_as_asked(), closing(bar):
                search.observed.progress = bar
                bar.expect(len(search.examples.prompts))
                rankings = search.every(subject.grid.largest_count)
            self._grids[task] = TaskGrid(
                subject.items, subject.grid, subject.gate,
                self.groups(task), self.passes, self.routes, rankings,
            )  # fmt: skip
        return self._grids[task]

    def search(self, task: str) -> Search:
        """The search for one task's neurons, in all layers of its grid."""
        if task not in self._searches:
            subject, asked = self.subjects[task], self.options
            config = SearchConfig(
                subject.method,
                asked.pooling,
                asked.seed,
                asked.max_prompts,
                asked.sinks,
                asked.unit,
                pairs=asked.prompts,
                universal=Universal() if asked.drop_universal else None,
            )
            self._searches[task] = Search(
                self.lm.bench, subject.examples, config, subject.grid.layers,
                answered=None if subject.examples.questions else partial(self._answered, task),
            )  # fmt: skip
        return self._searches[task]

    def _answered(self, task: str) -> list[Row]:
        """Development items with their right answers, of tasks that are not scored by them."""
        subject = self.subjects[task]
        items = load_items(
            self.tasks[task], self.lm, split="development", limit=self.options.max_prompts,
            spread=True, prompting=self.options.prompting, cluster=subject.cluster,
            half=subject.half,
        )  # fmt: skip
        return answered_rows(items, max_length=self.lm.max_length)

    def groups(self, task: str) -> list[RowGroup]:
        """How a task's rows travel; what a screen measures runs a few configurations at a time."""
        swept, screen = self.subjects[task], self.options.screen
        return self.passes.groups(
            swept.items,
            max_length=self.lm.max_length,
            configurations=swept.grid.per_layer if screen is None else 1,
        )

    @property
    def model_name(self) -> str:
        """The model as the user named it, so that a store does not hold a machine's paths."""
        if self._lm is None:
            return pretrained_name(self.options.model_args)
        named = getattr(self._lm, "pretrained", None)
        if isinstance(named, str):
            return REFERENCE_MODEL if named == str(reference_model_path()) else named
        return type(self._lm.model).__name__

    def manifest(self) -> dict[str, Any]:
        """What is run, and with what: two sweeps with equal manifests give equal stores."""
        settings = {
            "model": self.model_name,
            "model_hash": model_fingerprint(self.lm.model),
            "n_layers": self.sites.n_layers,
            "d_mlp": self.sites.d_mlp,
            **numerics(self.lm),
            "split": self.options.split,
            "limit": self.options.limit,
            **({"spread": True} if self.options.spread else {}),
            **({"unit": asked.unit} if (asked := self.options).unit != "mlp" else {}),
            "pooling": self.options.pooling,
            "seed": self.options.seed,
            "max_prompts": self.options.max_prompts,
            "sinks": self.options.sinks,
            **({"prompts": Path(asked.prompts).name} if asked.prompts else {}),
            **({"universal": Universal().record()} if asked.drop_universal else {}),
            "tokens_per_pass": self.passes.tokens,
            **({"task_arguments": given} if (given := self.options.arguments.given()) else {}),
            **({"screen": asdict(self.options.screen)} if self.options.screen else {}),
            "tasks": {name: swept.described() for name, swept in self.subjects.items()},
        }
        return {
            **settings,
            "plan_fingerprint": digest(settings),
            ASKED: self._asked(),
            "versions": versions("transformer-lens", "pyarrow"),
        }

    def _asked(self) -> dict[str, Any]:
        """What model and tasks were loaded with, where this sweep did it, to repeat its command."""
        if self._lm is not None:
            return {}
        asked = self.options
        given = model_arguments(asked.model_args)
        of_model = {
            name: value for name, value in given.items() if name not in PlanArguments.names()
        }
        folder = {} if asked.include_path is None else {"include_path": str(asked.include_path)}
        return {"model_args": of_model, **folder}

    @cached_property
    def _layers(self) -> tuple[int, ...]:
        """Layers that any task sweeps."""
        return tuple(sorted({unit.layer for unit in self.units}))


_ASKED_BY = {"select.method": "select", "select.prompts": "tasks", "select.top_k": "n_neurons"}
"""A plan's keys, as a sweep's options name the same."""


@contextmanager
def _named_as_asked() -> Iterator[None]:
    """Complaints of the search name what a sweep was asked."""
    try:
        yield
    except InputError as error:
        field = _ASKED_BY.get(error.field, error.field)
        raise InputError(field, expected=error.expected, got=error.got, hint=error.hint) from error
