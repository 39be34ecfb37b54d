"""From `select:` to neuron indices, scores and a record of how they were found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from sna_eval.cache import digest, prompt_fingerprint, read_entry, write_entry
from sna_eval.errors import InputError
from sna_eval.intervention import Sites
from sna_eval.intervention.decoder import config_fingerprint
from sna_eval.methods import Examples, MethodConfig, Resolution, Workbench
from sna_eval.neurons import SHARE, Search, SearchConfig, Selected, neutral_sentences
from sna_eval.neurons.pairs import pair_examples, read_pairs
from sna_eval.neurons.statistics import SILENT, Progress
from sna_eval.neurons.universal import counted
from sna_eval.plan.entries import parameters_from_lists, parameters_to_lists
from sna_eval.plan.schema import Plan, PlannedIntervention, TaskPlan
from sna_eval.plan.selection import Provenance
from sna_eval.typed import Json


def check_model(plan: Plan, sites: Sites) -> None:
    """Raises `InputError` if the plan was made for a model of other dimensions."""
    for name, expected, actual in (
        ("n_layers", plan.model.n_layers, sites.n_layers),
        ("d_mlp", plan.model.d_mlp, sites.d_mlp),
    ):
        if expected is not None and expected != actual:
            raise InputError(
                f"model.{name}",
                expected=f"{actual}, as the loaded model has",
                got=expected,
                hint=f"this plan was made for {plan.model.name or 'another model'}; load that one",
            )
    for name, task in plan.tasks.items():
        check_task(task, sites, field=f"tasks.{name}")


def check_task(task: TaskPlan, sites: Sites, *, field: str) -> None:
    """Raises `InputError` if a layer or neuron does not exist in the model."""
    for number, entry in enumerate(task.interventions):
        where = f"{field}.interventions[{number}]"
        seen = sites.of(entry.unit, field=f"{where}.unit")
        if entry.across_layers:
            continue
        if entry.how.chooses_neurons or not 0 <= entry.layer < sites.n_layers:
            seen.check_layer(entry.layer, field=f"{where}.layer")
        for neurons in (entry.neurons or {}).values():
            seen.check_neurons(neurons, field=f"{where}.neurons")
        told = None if entry.found is None else entry.found.dictionary_hash
        if told not in (None, seen.described.get("dictionary_hash")):
            raise InputError(
                f"{where}.found.dictionary_hash", expected=told,
                got=seen.described.get("dictionary_hash"),
                hint="give the dictionary that these features were found in",
            )  # fmt: skip
        if entry.resolved:
            _check_parameters(entry, sites, where)


def _check_parameters(entry: PlannedIntervention, sites: Sites, where: str) -> None:
    try:
        for intervention in entry.built():
            intervention.check(sites)
    except InputError as error:
        raise InputError(
            f"{where}.{error.field}", expected=error.expected, got=error.got, hint=error.hint
        ) from error


Development = Callable[[int | None], Examples]
"""Gives a task's development items: so many at most, spread evenly over the split; for `None` those
that methods other than choices of neurons learn from."""


def resolve_task(
    task: TaskPlan, bench: Workbench, development: Development, *, progress: Progress = SILENT
) -> TaskPlan:
    """The same plan with what every entry's method finds: neurons or parameters."""
    return Resolving(task, bench, development, progress).resolved()


class Resolving:
    """A task's plan on its way: what lies in the cache is there, the rest is to be searched for.

    Entries that search alike share one search, whichever layers they ask for.
    """

    def __init__(
        self, task: TaskPlan, bench: Workbench, development: Development, progress: Progress
    ) -> None:
        self._task, self._bench, self._progress = task, bench, progress
        items = cache(development)
        self._entries = {
            number: _Entry(entry, bench, items)
            for number, entry in enumerate(task.interventions)
            if not entry.resolved
        }
        self._searches = self._shared()

    @property
    def prompts(self) -> int:
        """How many prompts will be read, neutral text left out."""
        searched = sum(len(search.examples.prompts) for search in self._searches.values())
        learned = (entry for entry in self._entries.values() if entry.known is None)
        return searched + sum(entry.learned for entry in learned)

    def resolved(self) -> TaskPlan:
        interventions = tuple(
            found
            for number, entry in enumerate(self._task.interventions)
            for found in (
                self._entries[number].resolved(self._searches, self._progress)
                if number in self._entries
                else (entry,)
            )
        )
        return replace(self._task, interventions=interventions)

    def _shared(self) -> dict[SearchConfig, Search]:
        layers: dict[SearchConfig, set[int]] = {}
        lacking = [entry for entry in self._entries.values() if entry.known is None]
        for entry in lacking:
            if entry.search is not None:
                layers.setdefault(entry.search.config, set()).update(entry.search.layers)
        examples = {
            entry.search.config: entry.examples for entry in lacking if entry.search is not None
        }
        return {
            config: Search(
                self._bench, examples[config], config, sorted(wanted), progress=self._progress
            )
            for config, wanted in layers.items()
        }


class _Entry:
    """One entry that is not resolved yet."""

    def __init__(
        self, entry: PlannedIntervention, bench: Workbench, development: Development
    ) -> None:
        self._entry, self._bench = entry, bench.of(entry.unit)
        select = entry.select
        self.examples = _examples(entry, bench, development)
        self.search: Search | None = None
        self._count = 0
        if select is not None:
            config = replace(select.config, unit=entry.unit)
            layers = self._bench.sites.layers if entry.across_layers else [entry.layer]
            self.search = Search(bench, self.examples, config, layers)
            self._count = select.top_k or counted(select.share or SHARE, self.search.n_all)
            self.search.check(1 if entry.across_layers else self._count)
        self._found = self._record()
        self._name = digest({**self._read(), **self._found})
        self.known = None
        if not entry.how.reads_files:
            self.known = _from_cache(bench.same(lambda: read_entry(self._name)))

    @property
    def learned(self) -> int:
        """Items that a method learns from which chooses no neurons."""
        return 0 if self.search is not None else len(self.examples.prompts)

    def resolved(
        self, searches: Mapping[SearchConfig, Search], progress: Progress
    ) -> tuple[PlannedIntervention, ...]:
        """The entry with what its method finds, or found before; across layers one for each."""
        found = self.known
        if found is None:
            found = self._find(searches)
            if not self._entry.how.reads_files:
                write_entry(self._name, _to_cache(found))
            progress.read(self.learned)
        return tuple(map(self._planned, found))

    def _planned(self, resolution: Resolution) -> PlannedIntervention:
        entry = self._entry
        found = Provenance.of({**self._found, **resolution.remarks})
        layer = entry.layer if resolution.layer is None else resolution.layer
        if not entry.how.chooses_neurons:
            return replace(entry, layer=layer, parameters=dict(resolution.parameters), found=found)
        return replace(
            entry,
            layer=layer,
            select=None,
            neurons={label: chosen.neurons for label, chosen in resolution.selected.items()},
            scores={label: chosen.scores for label, chosen in resolution.selected.items()},
            found=found,
        )

    def _find(self, searches: Mapping[SearchConfig, Search]) -> list[Resolution]:
        entry, wanted = self._entry, self._wanted(searches)
        if not entry.across_layers:
            return [self._told(entry.how.find(self._bench, self.examples, wanted), wanted)]
        assert wanted.search is not None, "neurons of all layers are compared in one search"
        counts = wanted.search.across(self._count)
        if not counts:
            raise InputError(
                "select.across_layers", expected="neurons that the prompts activate more",
                got="none", hint="use `method: absolute`, or other prompts",
            )  # fmt: skip
        return [self._in_layer(layer, count, wanted) for layer, count in counts.items()]

    def _in_layer(self, layer: int, counts: Mapping[str, int], wanted: MethodConfig) -> Resolution:
        """What the method finds in one layer, as many neurons of each label as that layer has."""
        there = replace(wanted, layer=layer, top_k=max(counts.values()))
        found = self._entry.how.find(self._bench, self.examples, there)
        selected = {
            label: chosen.first(counts.get(label, 0)) for label, chosen in found.selected.items()
        }
        return self._told(replace(found, selected=selected, layer=layer), wanted)

    def _told(self, found: Resolution, wanted: MethodConfig) -> Resolution:
        """With the universal neurons that were left out, where they were."""
        universal = wanted.config.universal if wanted.search is not None else None
        if universal is None or wanted.search is None:
            return found
        said = {"universal": universal.said(wanted.search.observed.left_out)}
        return replace(found, remarks={**found.remarks, **said})

    def _wanted(self, searches: Mapping[SearchConfig, Search]) -> MethodConfig:
        entry = self._entry
        options = entry.how.settle(entry.options)
        if self.search is None:
            return MethodConfig(entry.layer, options)
        config = self.search.config
        search = searches.get(config, self.search)
        return MethodConfig(entry.layer, options, config, self._count, search)

    def _record(self) -> dict[str, Any]:
        """All that the result depends on beside the layer and how texts are read."""
        entry = self._entry
        by = {"by": entry.method, "options": entry.how.settle(entry.options)}
        if self.search is not None and entry.select is not None:
            found = self.search.record(self._count)
            if entry.across_layers:
                share = {} if entry.select.share is None else {"share": entry.select.share}
                found |= {"across_layers": True, **share}
            return found | (by if entry.method != "sna" else {})
        examples = self.examples
        prompts = [*examples.prompts, *examples.label_names, *map(str, examples.labels or ())]
        for question in examples.questions:
            prompts += [*question.choices, str(question.right)]
        return {
            **by,
            "model_hash": self._bench.model_hash,
            "prompt_hash": prompt_fingerprint(prompts),
            "reference_hash": prompt_fingerprint(neutral_sentences()),
            "n_prompts": len(examples.prompts),
        }

    def _read(self) -> dict[str, Any]:
        """How the model reads the prompts, and what else of them a method may take up."""
        bench, examples = self._bench, self.examples
        return {
            "layer": self._entry.layer,
            "tokens": [list(bench.encode(prompt)) for prompt in examples.prompts],
            "window": bench.max_length,
            "dtype": str(next(bench.model.parameters()).dtype),
            "config": config_fingerprint(bench.model),
            "shown": [
                (question.context, question.described, *filter(None, [question.plain]))
                for question in examples.questions
            ],
            "delimiter": examples.delimiter,
            **({"prefix": bench.prefix} if examples.unconditional else {}),
        }


def _examples(entry: PlannedIntervention, bench: Workbench, development: Development) -> Examples:
    """What an entry is found on: a task's development items, or a file's pairs."""
    select = entry.select
    if entry.how.reads_files:
        return Examples(())
    if select is not None and select.pairs is not None:
        return pair_examples(read_pairs(select.pairs), bench.chat)
    return development(None if select is None else select.max_prompts)


def _to_cache(found: Sequence[Resolution]) -> dict[str, Any]:
    return {
        "found": [
            {
                "selected": {label: asdict(selected) for label, selected in one.selected.items()},
                "remarks": dict(one.remarks),
                "parameters": parameters_to_lists(one.parameters),
                "layer": one.layer,
            }
            for one in found
        ]
    }


def _from_cache(entry: Json | None) -> list[Resolution] | None:
    if entry is None:
        return None
    try:
        return [_one_from_cache(one) for one in entry["found"]]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _one_from_cache(entry: Json) -> Resolution:
    selected = {
        str(label): Selected(
            tuple(int(index) for index in chosen["neurons"]),
            tuple(float(score) for score in chosen["scores"]),
        )
        for label, chosen in entry["selected"].items()
    }
    parameters = parameters_from_lists(lists) if (lists := entry.get("parameters")) else {}
    return Resolution(selected, dict(entry["remarks"]), parameters, entry.get("layer"))
