"""A sweep made ready: model and tasks loaded, grids settled, units ready to be computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import cached_property, partial
from typing import Any

from sna_eval.directions import BOTH
from sna_eval.errors import InputError
from sna_eval.gating import (
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    Gate,
    NextTokenSignal,
    usual_signal,
)
from sna_eval.harness.loading import load_lm, load_tasks, model_arguments, pretrained_name
from sna_eval.harness.model.numerics import numerics
from sna_eval.harness.scoring.decisions import with_usable_signal
from sna_eval.harness.tasks.live_tasks import examples_of
from sna_eval.hashing import digest
from sna_eval.intervention import Row, Sites
from sna_eval.measuring.grid import (
    LABEL_COUNTS,
    LABEL_MULTIPLIERS,
    PAPER_COUNTS,
    PAPER_MULTIPLIERS,
    Grid,
    check_directions,
    label_layers,
)
from sna_eval.measuring.items import TaskItems, answered_rows, load_items, rows_of
from sna_eval.measuring.layout import RowGroup, group_rows, tokens_per_pass
from sna_eval.measuring.passes import Passes
from sna_eval.measuring.routes import find_routes
from sna_eval.measuring.starts import Route
from sna_eval.methods import Examples
from sna_eval.neurons import Search, SearchConfig, find_ranking
from sna_eval.neurons.progress import SearchBar
from sna_eval.paths import REFERENCE_MODEL, reference_model_path
from sna_eval.plan import (
    PlanArguments,
    load_plan,
    match_task,
    model_fingerprint,
    prompt_fingerprint,
)
from sna_eval.study.sweep.manifest import ASKED
from sna_eval.study.sweep.options import SweepOptions
from sna_eval.study.sweep.schemas import Unit, UnitTables
from sna_eval.study.sweep.screening.screened_task import ScreenedTask
from sna_eval.study.sweep.tables import unit_tables
from sna_eval.study.sweep.task_sweep import LayerResult, Subject, TaskSweep
from sna_eval.study.versions import versions


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
        lm: Any | None = None,
        tasks: Mapping[str, Any] | None = None,
    ) -> None:
        self.options = options
        self.from_options = lm is None and tasks is None
        self._lm, self._tasks = lm, tasks
        self._swept: dict[str, TaskSweep] = {}
        self._searches: dict[str, Search] = {}
        self.quiet = True
        """Whether to show no progress of the search for neurons, and of a task that is screened."""

    @cached_property
    def lm(self) -> Any:
        return self._lm or load_lm(self.options.model_args, gate="never")

    @cached_property
    def tasks(self) -> Mapping[str, Any]:
        if self._tasks is not None:
            return self._tasks
        return load_tasks(self.options.tasks, include_path=self.options.include_path)

    @cached_property
    def subjects(self) -> dict[str, Subject]:
        """What is swept over each task."""
        return {name: self._subject(name, task) for name, task in self.tasks.items()}

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
        return self.lm.sites

    @cached_property
    def passes(self) -> Passes:
        engine = self.lm.engine
        return Passes(engine, self.options.tokens_per_pass or tokens_per_pass(engine.device))

    @cached_property
    def routes(self) -> dict[int, Route]:
        return find_routes(self.passes.engine, self._layers)

    def compute(self, task: str, layers: Sequence[int]) -> Iterator[UnitTables]:
        """Computes units of one task."""
        swept, search = self.task_sweep(task), self.search(task)
        subject = swept.subject
        results = (
            swept.run(layers) if self.options.screen is None else self._screened(swept, layers)
        )
        for result in results:
            found = {
                count: search.record(count, result.ranking) for count in subject.grid.n_neurons
            }
            yield unit_tables(subject, result, model=self.model_name, found=found)

    def _screened(self, swept: TaskSweep, layers: Sequence[int]) -> Iterator[LayerResult]:
        """The wanted layers of a screened task, which is computed as a whole."""
        assert self.options.screen is not None
        task = ScreenedTask(
            swept, self.options.screen, self.lm.max_length, self.options.seed, quiet=self.quiet
        )
        return (result for result in task.run() if result.layer in layers)

    def task_sweep(self, task: str) -> TaskSweep:
        """The sweep of one task, its neurons ranked."""
        if task not in self._swept:
            subject = self.subjects[task]
            search = self.search(task)
            bar = SearchBar(quiet=self.quiet, task=task, leave=False)
            with _named_as_asked(), closing(bar):
                search.observed.progress = bar
                bar.expect(len(search.examples.prompts))
                rankings = search.every(subject.grid.largest_count)
            self._swept[task] = TaskSweep(
                subject, self.groups(task), self.passes, self.routes, rankings
            )
        return self._swept[task]

    def search(self, task: str) -> Search:
        """The search for one task's neurons, in all layers of its grid."""
        if task not in self._searches:
            subject, asked = self.subjects[task], self.options
            config = SearchConfig(
                subject.method, asked.pooling, asked.seed, asked.max_prompts, asked.sinks
            )
            self._searches[task] = Search(
                self.lm.bench, subject.examples, config, subject.grid.layers,
                answered=None if subject.examples.questions else partial(self._answered, task),
            )  # fmt: skip
        return self._searches[task]

    def _answered(self, task: str) -> list[Row]:
        """Development items with their right answers, of tasks that are not scored by them."""
        items = load_items(
            self.tasks[task], self.lm, split="development", limit=self.options.max_prompts,
            spread=True, prompting=self.options.prompting,
        )  # fmt: skip
        return answered_rows(items, max_length=self.lm.max_length)

    def groups(self, task: str) -> list[RowGroup]:
        """How a task's rows travel."""
        subject, engine = self.subjects[task], self.passes.engine
        rows = rows_of(subject.items, max_length=self.lm.max_length, packs=engine.abilities.packs)
        return group_rows(
            rows,
            configurations=subject.grid.per_layer,
            tokens=self.passes.tokens,
            device=engine.device,
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
            "pooling": self.options.pooling,
            "seed": self.options.seed,
            "max_prompts": self.options.max_prompts,
            "sinks": self.options.sinks,
            "tokens_per_pass": self.passes.tokens,
            **({"screen": asdict(self.options.screen)} if self.options.screen else {}),
            "tasks": {name: _described(subject) for name, subject in self.subjects.items()},
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
        own = {name: value for name, value in given.items() if name not in PlanArguments.names()}
        folder = {} if asked.include_path is None else {"include_path": str(asked.include_path)}
        return {"model_args": own, **folder}

    @cached_property
    def _layers(self) -> tuple[int, ...]:
        """Layers that any task sweeps."""
        return tuple(sorted({unit.layer for unit in self.units}))

    def _subject(self, name: str, task: Any) -> Subject:
        items = load_items(
            task, self.lm, split=self.options.split, limit=self.options.limit,
            spread=self.options.spread, prompting=self.options.prompting,
        )  # fmt: skip
        examples = examples_of(task, self.options.max_prompts)
        method = self.options.select or _default_method(examples)
        labels = examples.label_names if method == "contrastive" else ()
        grid = self._grid(method)
        grid.check(self.sites)
        check_directions(grid.directions, labels, allow_oracle=self.options.allow_oracle)
        gate = self._gate(name, items)
        return Subject(name, self.options.split, items, examples, grid, method, gate)

    def _grid(self, method: str) -> Grid:
        asked, labelled = self.options, method == "contrastive"
        every = self.sites.layers
        return Grid(
            asked.layers or (_at(every, label_layers(len(every))) if labelled else every),
            asked.n_neurons or (LABEL_COUNTS if labelled else PAPER_COUNTS),
            asked.multipliers or (LABEL_MULTIPLIERS if labelled else PAPER_MULTIPLIERS),
            asked.directions or (BOTH,),
        )

    def _gate(self, name: str, items: TaskItems) -> Gate:
        if self.options.gate is not None:
            return with_usable_signal(self.options.gate, items.items[0])
        planned = match_task(load_plan(self.options.plan), name) if self.options.plan else None
        if planned is not None:
            return with_usable_signal(planned.gate, items.items[0])
        return default_gate(items)


def default_gate(items: TaskItems) -> Gate:
    """The paper's: margin between choices, else the target's probability.

    Text that is generated has no target to look at, so there it is the likeliest next token's. A
    rolling text is amplified as it is: its beginning says nothing of the whole's confidence.
    """
    kind: type[ConfidenceSignal] = ChoicesSignal if items.has_choices else AnswerSignal
    if items.kind == "generate_until":
        kind = NextTokenSignal
    rolling = items.kind == "loglikelihood_rolling"
    return Gate.by(usual_signal(kind), mode="always" if rolling else "confidence")


def _at(layers: Sequence[int], places: Sequence[int]) -> tuple[int, ...]:
    """Some of the layers that have neurons, by their place among them."""
    return tuple(layers[place] for place in places)


def _default_method(examples: Examples) -> str:
    return "contrastive" if len(set(examples.label_names)) == 2 else "differential"


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


def _described(subject: Subject) -> dict[str, Any]:
    return {
        "select": subject.method,
        "n_items": len(subject.items.items),
        "items_hash": prompt_fingerprint(subject.items.described()),
        "prompts_hash": subject.examples.fingerprint,
        **find_ranking(subject.method).record(subject.examples),
        "gate": asdict(subject.gate),
        "grid": asdict(subject.grid),
    }
