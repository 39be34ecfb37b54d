"""What the texts are worth that a model writes for a task's documents, by the task's own score.

The score is the first metric that the task's YAML lists, behind its first filter. The unmodified
model writes once, and says which gates open; under a plan every text is written with the gate held
open, as many times as there are plans. What stands behind a gate that stayed closed is the
unmodified model's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.gating import Decision, Gate
from sna_eval.harness.scoring.ledger import GENERATED
from sna_eval.harness.scoring.suits import check_signal
from sna_eval.harness.tasks.contexts import Contexts, left_out_of_its_own_examples, prompt_alike
from sna_eval.harness.tasks.development import development_docs
from sna_eval.harness.tasks.questions import seed_examples
from sna_eval.harness.values import decision_of
from sna_eval.intervention import Affine
from sna_eval.measuring.values import Floats
from sna_eval.plan import TaskPlan, plain_interventions
from sna_eval.study.keeping import Kept
from sna_eval.study.methods.evaluating import samples_under
from sna_eval.typed import Json, build

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class Written:
    """The unmodified model's texts, by document."""

    scores: tuple[float, ...]
    zones: tuple[int, ...]
    amplified: tuple[bool, ...]
    """Whether the gate opens."""
    items_hash: str = ""
    """Of the documents."""


class WrittenTexts:
    """What the unmodified model wrote, kept: it writes once for all plans.

    **Arguments:**

    - `folder`: of a table; `None`: nothing is kept.
    - `settings`: of the table.
    """

    def __init__(self, folder: str | Path | None, settings: Json) -> None:
        self._folder, self._settings = folder, settings

    @cached_property
    def _kept(self) -> Kept:
        path = None if self._folder is None else Path(self._folder) / "texts"
        return Kept(path, self._settings, command="methods")

    def get(self, name: str, items_hash: str, write: Callable[[], Written]) -> Written:
        """Of the documents of this name, written where it is not kept.

        **Raises:** `InputError` where it was written for other documents.
        """
        kept: Written | None = self._kept.read(name, _written)
        if kept is not None:
            self._kept.check_items(name, kept.items_hash, items_hash)
            return kept
        written = replace(write(), items_hash=items_hash)
        self._kept.write(name, asdict(written))
        return written


def _written(raw: Any) -> Written:
    """As it was kept; `ValueError` for scores, zones and decisions that are not one to one."""
    written = build(Written, raw)
    if len({len(written.scores), len(written.zones), len(written.amplified)}) > 1:
        raise ValueError("as many scores, zones and decisions as documents are needed")
    if not written.scores or not all(map(math.isfinite, written.scores)):
        raise ValueError("a score is no number")
    return written


class ScoredDocuments:
    """Some documents of a task, and what their texts score under any plan.

    **Arguments:**

    - `gate`: the plan's.
    - `development`: whether they are development documents.
    - `seed`: of texts that are drawn at random; those of all plans begin with it.
    - `items_hash`: of the documents.
    - `known`: gives what the unmodified model writes, where it was kept.
    """

    def __init__(
        self,
        lm: SNALM,
        name: str,
        task: Any,
        docs: Sequence[Any],
        gate: Gate,
        *,
        development: bool,
        seed: int,
        items_hash: str,
        known: Callable[[Callable[[], Written]], Written],
        quiet: bool = True,
    ) -> None:
        self._lm, self._name, self._gate, self._quiet = lm, name, gate, quiet
        self._development, self._seed, self._known = development, seed, known
        self.measure, self.items_hash = first_metric(name, task), items_hash
        self._task, self._docs = task, docs
        self._scores: dict[tuple[tuple[Affine, ...], tuple[int, ...]], Floats] = {}

    @cached_property
    def unmodified(self) -> Written:
        """What the unmodified model writes, and whether the plan's gate opens for it."""
        return self._known(self._unmodified)

    def scores(self, plan: TaskPlan) -> Floats:
        """With a plan's interventions at every document, gate held open, `[document]`.

        **Arguments:**

        - `plan`: resolved.
        """
        return self._scores_at(plan, tuple(range(len(self._docs))))

    def gain(self, plan: TaskPlan) -> float:
        """Mean change of the score behind the gate; of all documents where it opens for none.

        Nothing is written for documents that do not count.
        """
        before, opened = self.unmodified, np.array(self.unmodified.amplified)
        places = np.flatnonzero(opened if opened.any() else ~opened)
        change = self._scores_at(plan, tuple(places.tolist())) - np.array(before.scores)[places]
        return float(change.sum() / len(opened))

    def _scores_at(self, plan: TaskPlan, places: tuple[int, ...]) -> Floats:
        """At some of the documents, `[place]`."""
        acting = plain_interventions(plan)
        if (acting, places) not in self._scores:
            held_open = replace(plan, gate=replace(plan.gate, mode="always"))
            samples = self._samples(held_open, [self._docs[place] for place in places])
            scores = [self._score(sample) for sample in samples]
            self._scores[acting, places] = np.array(scores)
        return self._scores[acting, places]

    def _unmodified(self) -> Written:
        samples = self._samples(TaskPlan(self._gate, ()), self._docs)
        decisions = [_decision(sample) for sample in samples]
        return Written(
            tuple(self._score(sample) for sample in samples),
            tuple(decision.zone for decision in decisions),
            tuple(decision.amplified for decision in decisions),
        )

    def _samples(self, plan: TaskPlan, docs: Sequence[Any]) -> list[Json]:
        asking = _asking_of(self._task, docs, self.measure)
        apart = left_out_of_its_own_examples(self._task) if self._development else nullcontext()
        with apart, _one_text(self._lm), _drawn_by(self._seed):
            return samples_under(self._lm, self._name, asking, plan, quiet=self._quiet)

    def _score(self, sample: Json) -> float:
        value = sample[self.measure]
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise InputError(
                "tasks", expected=f"a first metric of {self._name} that is a number of each text",
                got=f"{self.measure}: {type(value).__name__}",
                hint="a metric of all texts together cannot be paired text by text",
            )  # fmt: skip
        return float(value)


def first_metric(name: str, task: Any) -> str:
    """The metric that a task lists first.

    **Raises:** `InputError` where more of it is worse.
    """
    metric = str(next(iter(task.aggregation())))
    if task.higher_is_better().get(metric) is False:
        raise InputError(
            "tasks", expected=f"a first metric of {name} of which more is better", got=metric,
            hint="list another one first",
        )  # fmt: skip
    return metric


def check_texts(lm: SNALM, name: str, task: Any, plan: TaskPlan) -> None:
    """Raises `InputError` for a task or a plan whose texts cannot be set beside one another, and
    for a task without development documents."""
    check_signal(name, GENERATED, plan.gate)
    development_docs(task)
    first_metric(name, task)
    if lm.decide_at != "start":
        raise InputError(
            "model_args.decide_at", expected="start, for methods on tasks that generate text",
            got=lm.decide_at, hint="a gate that decides at every token leaves no text alone",
        )  # fmt: skip


def documents_hash(lm: SNALM, task: Any, docs: Sequence[Any], *, development: bool) -> str:
    """Of some documents, as they are asked and judged."""
    seed_examples(task)
    contexts = Contexts.of(task, lm)
    apart = left_out_of_its_own_examples(task) if development else nullcontext()
    with apart:
        shown = [contexts.of_document(task, doc) for doc in docs]
    asked = [[str(context), repr(doc)] for context, doc in zip(shown, docs, strict=True)]
    return digest([asked, repr(task.config.generation_kwargs), next(iter(task.aggregation()))])


def _decision(sample: Json) -> Decision:
    decision = decision_of(sample["resps"][0][0])
    assert isinstance(decision, Decision), "every text of a planned task is decided on"
    return decision


def _asking_of(task: Any, docs: Sequence[Any], measure: str) -> Any:
    """The task, evaluated on these documents by this metric alone.

    Other metrics may cost passes of their own, as `kl_from_baseline` does.
    """
    asking = copy.copy(task)
    prompt_alike(asking, task)
    asking.has_test_docs = lambda: True
    asking.test_docs = lambda: [copy.copy(doc) for doc in docs]  # a task may note things on them
    asking.process_results = lambda doc, results: _only(task.process_results(doc, results), measure)
    asking.aggregation = lambda: {measure: len}  # the mean is taken here, of each text's own
    asking.higher_is_better = lambda: _only(task.higher_is_better(), measure)
    return asking


def _only(table: Json, name: str) -> dict[str, Any]:
    return {name: table[name]} if name in table else {}


@contextmanager
def _one_text(lm: SNALM) -> Iterator[None]:
    """In the body the model writes under its plan alone, and not unmodified beside it."""
    before, lm.report_baseline = lm.report_baseline, False
    try:
        yield
    finally:
        lm.report_baseline = before


@contextmanager
def _drawn_by(seed: int) -> Iterator[None]:
    """In the body PyTorch draws by a seed; behind it, as if nothing had been drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
