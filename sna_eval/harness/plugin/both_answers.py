"""Every metric of every task twice: `baseline_METRIC` beside `METRIC`, by the task's own code.

lm_eval's `evaluate` keeps the tasks of a run in a table of its own, and takes them from there once
all requests are answered. A `BothAnswers` takes a task's place in that table. It lets the task's
filters and `process_results` run a second time, on a copy of the task whose requests were answered
by the unmodified model, and it goes with the table when the run ends, however that ends: tasks
stay as they are. Only groups are told of more metrics, while lm_eval aggregates, and forget them
with the table.
"""

from __future__ import annotations

import copy
import logging
import random
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from sna_eval.harness.metric_names import COMPARISONS
from sna_eval.harness.plugin.running import evaluator_variables
from sna_eval.harness.values import Evidence, baseline_of, decision_of

_LOGGER = logging.getLogger(__name__)
V = TypeVar("V")

PREFIX = "baseline_"
_CAPPED = ("bleu", "chrf", "chrf++", "ter")
"""Metrics of which lm_eval draws a hundred bootstrap samples at most, by their names."""


def report_both() -> None:
    """From here on the tasks of the running evaluation report on the unmodified model too.

    Does nothing where no evaluation is running, or where its tasks do so already.
    """
    variables = evaluator_variables("evaluate")
    if not variables:
        return
    table = variables.get("eval_results_acc")
    if not isinstance(table, dict):
        _LOGGER.warning("this release of lm_eval keeps its tasks elsewhere: no baseline_ metrics")
        return
    if any(isinstance(entry["task"], BothAnswers) for entry in table.values()):
        return
    run = _Run(variables.get("groups") or {})
    for entry in table.values():
        entry["task"] = BothAnswers(entry["task"], entry["logged_samples"], run)


class BothAnswers:
    """Stands for a task after its requests were answered; what it does not do, the task does.

    **Arguments:**

    - `samples`: the list that lm_eval logs the task's samples in.
    """

    def __init__(self, task: Any, samples: list[dict[str, Any]], run: _Run) -> None:
        self._task, self._samples, self._run = task, samples, run
        self._twin: Any = None
        """The task, as if the unmodified model had answered."""
        self._documents: Mapping[int, _Document] = {}
        self._filters: list[str] = []
        """Filters that lm_eval has not come to yet: it goes through all documents for each."""
        self._now: tuple[_Document, str] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def apply_filters(self) -> Any:
        """Filters both sets of answers."""
        answer = self._task.apply_filters()
        instances = self._task.instances
        twins = [_unmodified(instance) for instance in instances]
        self._twin = copy.copy(self._task)
        self._twin._instances = twins
        with self._run.baseline_draws():
            self._twin.apply_filters()
        self._documents = _documents(instances, twins)
        self._filters = list(instances[0].filtered_resps)
        return answer

    def doc_iterator(self, *args: Any, **kwargs: Any) -> Iterator[tuple[int, Any]]:
        """The documents of the next filter, each noted while lm_eval is at it."""
        name = self._filters.pop(0)
        for number, doc in self._task.doc_iterator(*args, **kwargs):
            document = self._documents.get(number, _NOTHING_ASKED)
            self._now = (document, name)
            logged = len(self._samples)
            yield number, doc
            for sample in self._samples[logged:]:
                sample.update({**document.sample(name), **sample})
        if not self._filters:  # a second set of all answers is let go before the next task's
            self._documents, self._twin, self._now = {}, None, None

    def process_results(self, doc: Any, results: Sequence[Any]) -> dict[str, Any]:
        """The task's metrics, and those of the unmodified model's answers."""
        assert self._now is not None
        document, name = self._now
        untouched = _untouched(doc)  # tasks may change the document they judge
        metrics: dict[str, Any] = self._task.process_results(doc, results)
        with self._run.baseline_draws():
            before = self._twin.process_results(untouched, document.baseline_results(name))
        return _with_baseline(metrics, before)

    def aggregation(self) -> dict[str, Any]:
        return _doubled(self._task.aggregation())

    def higher_is_better(self) -> dict[str, Any]:
        return _doubled(self._task.higher_is_better())

    def dump_config(self) -> Any:
        """Asked for when the task's metrics are aggregated, and its groups' are next."""
        self._run.double_groups()
        return self._task.dump_config()


@dataclass(frozen=True, eq=False)
class _Document:
    """A document's requests in the order of its choices, as answered by either model."""

    instances: Sequence[Any]
    twins: Sequence[Any]

    def baseline_results(self, name: str) -> list[Any]:
        """The unmodified model's answers behind the filter of this name."""
        return [twin.filtered_resps[name] for twin in self.twins]

    def sample(self, name: str) -> dict[str, Any]:
        """What a sample carries beside lm_eval's own entries and the metrics."""
        answers = [answer for instance in self.instances for answer in instance.resps]
        found = [decision for decision in map(decision_of, answers) if decision is not None]
        decided = next(
            (decision for decision in found if decision.amplified), found[0] if found else None
        )
        return {
            "baseline_resps": [twin.resps for twin in self.twins],
            "baseline_filtered_resps": self.baseline_results(name),
            "zone": None if decided is None else float(decided.zone),
            "confidence": None if decided is None else decided.confidence,
            "decision": float(decided is not None and decided.amplified),
            "oracle": float(isinstance(decided, Evidence) and decided.oracle),
        }


_NOTHING_ASKED = _Document((), ())
"""Of a document without a request."""


class _Run:
    """What the tasks of one evaluation share."""

    def __init__(self, groups: Mapping[str, Any]) -> None:
        self._groups = groups
        self._state = _drawing()
        self._doubled = False

    @contextmanager
    def baseline_draws(self) -> Iterator[None]:
        """Random numbers in the body go on where the last body ended.

        Some tasks draw while they judge. The amplified answers draw what they would draw alone, and
        so do the baseline's.
        """
        outside = _drawing()
        _draw_from(self._state)
        try:
            yield
        finally:
            self._state = _drawing()
            _draw_from(outside)

    def double_groups(self) -> None:
        """Groups aggregate the baseline's metrics too, until the run is gone."""
        if self._doubled:
            return
        self._doubled = True
        for group in _all_groups(self._groups.values()):
            listed = group.aggregate_metric_list
            if listed:
                weakref.finalize(self, setattr, group, "aggregate_metric_list", listed)
                group.aggregate_metric_list = _aggregated(listed)


def _drawing() -> tuple[Any, Any, torch.Tensor]:
    """Where the generators are that lm_eval seeds, and tasks draw from."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _draw_from(state: tuple[Any, Any, torch.Tensor]) -> None:
    python, numpy, pytorch = state
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(pytorch)


def _untouched(doc: Any) -> Any:
    """A document as it is now, whatever is done to it or to what it holds."""
    try:
        return copy.deepcopy(doc)
    except Exception:  # an open file, say: nothing that a judge would change
        return copy.copy(doc)


def _all_groups(groups: Any) -> list[Any]:
    found = [member for group in groups for member in (group, *group.get_all_groups())]
    return list({id(group): group for group in found}.values())


def _aggregated(listed: Sequence[Any]) -> list[Any]:
    """A group's metrics and their baselines, aggregated alike."""
    names = {listing.metric for listing in listed}
    more = [listing for listing in listed if _has_baseline(listing.metric, names)]
    return [*listed, *(_renamed(listing, PREFIX + listing.metric) for listing in more)]


def _renamed(config: Any, metric: str) -> Any:
    renamed = copy.copy(config)
    renamed.metric = metric
    return renamed


def _unmodified(instance: Any) -> Any:
    """A request as the unmodified model answered it."""
    twin = copy.copy(instance)
    twin.resps, twin.filtered_resps = [baseline_of(answer) for answer in instance.resps], {}
    return twin


def _documents(instances: Sequence[Any], twins: Sequence[Any]) -> dict[int, _Document]:
    pairs: dict[int, list[tuple[Any, Any]]] = defaultdict(list)
    for pair in zip(instances, twins, strict=True):
        pairs[pair[0].doc_id].append(pair)
    in_order = {
        number: sorted(together, key=lambda pair: pair[0].idx) for number, together in pairs.items()
    }
    return {
        number: _Document([instance for instance, _ in pair], [twin for _, twin in pair])
        for number, pair in in_order.items()
    }


def _has_baseline(name: str, others: Any) -> bool:
    """Whether a metric is told twice: not what is a baseline, or holds one against the other."""
    return not name.startswith(PREFIX) and name not in COMPARISONS and PREFIX + name not in others


def _with_baseline(metrics: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    more = {_name(key): value for key, value in before.items() if _has_baseline(key, metrics)}
    return {**metrics, **more}


def _doubled(table: Mapping[str, V]) -> dict[str, V]:
    """A table by metric, with the baseline's entries."""
    more = {PREFIX + key: value for key, value in table.items() if _has_baseline(key, table)}
    return {**table, **more}


def _name(metric: str) -> str:
    return _Capped(PREFIX + metric) if metric in _CAPPED else PREFIX + metric


class _Capped(str):
    """The name of a baseline metric that lm_eval finds among those whose bootstrap is capped.

    A hundred thousand BLEU scores of a whole set take days.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or other == self.removeprefix(PREFIX)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
