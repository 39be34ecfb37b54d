"""Measures a whole plan: every task's intervention on every task and on plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

from tqdm import tqdm

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.files import MIB, read_text
from sna_eval.harness.model.kept import numerics
from sna_eval.intervention import Affine
from sna_eval.measuring.grid import Configuration
from sna_eval.measuring.items import Split, development_fingerprint, items_fingerprint
from sna_eval.measuring.passes import tokens_per_pass
from sna_eval.measuring.subjects import Subject, log_likelihoods, task_subject, text_subject
from sna_eval.neurons import neutral_sentences
from sna_eval.plan import (
    TaskPlan,
    neurons_fingerprint,
    plain_interventions,
    plan_fingerprint,
    prompt_fingerprint,
    task_fingerprint,
)
from sna_eval.study.interference.controls import TaskNull, searched_nulls, task_null
from sna_eval.study.interference.effects import effects
from sna_eval.study.interference.result import (
    ALL,
    PLAIN_TEXT,
    AppliedPlan,
    CrossEffect,
    Interference,
)
from sna_eval.study.keeping import Kept
from sna_eval.study.nulls.options import DRAWS
from sna_eval.study.same_settings import versions
from sna_eval.typed import build

if TYPE_CHECKING:
    from lm_eval.api.task import Task

    from sna_eval.harness.lm import SNALM

_TEXT_TOKENS = 2048
_LARGEST_TEXT = 16 * MIB


@dataclass(frozen=True)
class InterferenceOptions:
    """What is measured."""

    split: Split = "test"
    """Items of the tasks."""
    limit: int | None = None
    """Items per task at most; `None`: all."""
    text: str | None = None
    """File of plain text, one text a line; `None`: the bundled neutral sentences."""
    random_draws: int = DRAWS
    """Searches with random rankings beside each task's own intervention; 0 for none."""
    draws: int = 2_000
    """Bootstrap samples and permutations of each effect."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise InputError(
                "split", expected=f"one of {', '.join(get_args(Split))}", got=self.split
            )
        for name, least in (("limit", 1), ("random_draws", 0), ("draws", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(name, expected=f"at least {least}", got=value)

    def texts(self) -> tuple[str, ...]:
        """The plain texts."""
        if self.text is None:
            return neutral_sentences()
        try:
            lines = read_text(Path(self.text), largest=_LARGEST_TEXT).splitlines()
        except InputError:
            raise
        except (OSError, ValueError) as error:
            raise InputError(
                "text", expected="a text file, one text a line", got=self.text, hint=str(error)
            ) from error
        return tuple(line.strip() for line in lines if line.strip())


def measure_interference(
    lm: SNALM,
    tasks: Mapping[str, Task],
    asked: InterferenceOptions | None = None,
    *,
    output: str | Path | None = None,
    model_name: str = "",
    quiet: bool = False,
) -> Interference:
    """Measures what `lm.plan` does to each of `tasks` and to plain text, ungated.

    **Arguments:**

    - `lm`: an `SNALM` with a plan; its gates are not looked at.
    - `tasks`: lm_eval tasks by name. Those that the plan has an entry for are sources of
        interventions too.
    - `output`: folder that finished tasks are kept in; a run that was stopped goes on there.

    **Raises:** `InputError` where the plan does nothing to any of the tasks, or picks neurons by
    an item's own choices, which other tasks' items do not have; and where the folder holds what was
    measured otherwise.
    """
    asked = asked or InterferenceOptions()
    texts = asked.texts()  # before anything long
    sources = _sources(lm, tasks)
    alone = {name: plain_interventions(plan) for name, plan in sources.items()}
    folder = None if output is None else Path(output) / "nulls"
    measure = _Measure(lm, asked, sources, alone, folder, quiet)
    model = model_name or str(getattr(lm, "pretrained", ""))
    kept = Kept(
        None if output is None else Path(output) / "parts",
        {**_settings(lm, asked, sources, texts), "model": model}, command="interference",
    )  # fmt: skip
    found: list[CrossEffect] = []
    controls = []
    for name in tqdm((*tasks, PLAIN_TEXT), desc="Interference", disable=quiet):
        part = kept.read(name, lambda raw: build(_Measured, raw))
        if part is None:
            part = measure.text(texts) if name == PLAIN_TEXT else measure.task(name, tasks[name])
            kept.write(name, asdict(part))
        elif name in tasks:
            kept.check_items(name, part.items_hash, measure.items_hash(tasks[name]))
        found += part.effects
        if part.null is not None:
            change = next(effect.change for effect in part.effects if effect.intervention == name)
            controls.append((name, change, part.null))
    return Interference(
        model=model,
        plan_fingerprint=plan_fingerprint(lm.plan),
        split=asked.split,
        limit=asked.limit,
        text=asked.text or "bundled neutral sentences",
        sources=tuple(_source(name, plan) for name, plan in sources.items()),
        effects=tuple(found),
        controls=searched_nulls(controls),
        versions=versions(),
    )


@dataclass(frozen=True)
class _Measured:
    """What was measured on one subject."""

    effects: tuple[CrossEffect, ...]
    null: TaskNull | None = None
    """Of a task's own intervention."""
    items_hash: str = ""
    """Of a task's items, and of its development items."""


@dataclass(eq=False)
class _Measure:
    """Applies the same sets of interventions to one subject after the other."""

    lm: SNALM
    asked: InterferenceOptions
    sources: Mapping[str, TaskPlan]
    alone: Mapping[str, tuple[Affine, ...]]
    nulls: Path | None
    """Folder that searches with random rankings are kept in, task by task."""
    quiet: bool

    @property
    def sets(self) -> dict[str, tuple[Affine, ...]]:
        """What is applied, by name; everything at once only where that is more than one thing."""
        together = tuple(part for parts in self.alone.values() for part in parts)
        return {**self.alone, **({ALL: together} if len(self.alone) > 1 else {})}

    def task(self, name: str, task: Any) -> _Measured:
        """A task's effects, and what random rankings do to it."""
        asked = self.asked
        plan = self.lm.plans.for_task(task)
        subject = task_subject(
            name, task, self.lm, split=asked.split, limit=asked.limit,
            cluster=None if plan is None else plan.cluster,
        )  # fmt: skip
        null = self._null(name, task) if asked.random_draws and name in self.alone else None
        scores = self._scores(subject, list(self.sets.values()))
        return _Measured(self._effects(subject, scores), null, self.items_hash(task))

    def _null(self, name: str, task: Any) -> TaskNull:
        asked = self.asked
        return task_null(
            self.lm, name, task, self.sources[name], self.alone[name], draws=asked.random_draws,
            seed=asked.seed, split=asked.split, limit=asked.limit,
            output=None if self.nulls is None else self.nulls / quote(name, safe=""),
            quiet=self.quiet,
        )  # fmt: skip

    def items_hash(self, task: Any) -> str:
        """Of a task's items as they are now, and of those that random rankings search."""
        asked = self.asked
        measured = items_fingerprint(task, self.lm, split=asked.split, limit=asked.limit)
        return digest([measured, development_fingerprint(task, self.lm)])

    def text(self, texts: Sequence[str]) -> _Measured:
        """Effects on plain text."""
        subject = text_subject(PLAIN_TEXT, texts, self.lm)
        return _Measured(self._effects(subject, self._scores(subject, list(self.sets.values()))))

    def _effects(self, subject: Subject, scores: Any) -> tuple[CrossEffect, ...]:
        asked = self.asked
        return tuple(effects(subject, list(self.sets), scores, draws=asked.draws, seed=asked.seed))

    def _scores(self, subject: Subject, sets: list[Any]) -> Any:
        engine = self.lm.engine
        tokens = tokens_per_pass(engine.device)
        if subject.items is None:  # every position is read: the vocabulary fills the memory
            tokens = min(tokens, _TEXT_TOKENS)
        return log_likelihoods(engine, subject, sets, tokens=tokens, quiet=self.quiet)


def _sources(lm: SNALM, tasks: Mapping[str, Task]) -> dict[str, TaskPlan]:
    """The resolved plan of every task that has one."""
    plans = {name: lm.plans.for_task(task) for name, task in tasks.items()}
    found = {
        name: plan
        for name, plan in plans.items()
        if plan is not None and plan.interventions and plan.gate.mode != "never"
    }
    if not found:
        raise InputError(
            "plan",
            expected="an entry for one of the tasks",
            got=", ".join(lm.plan.tasks) or "none",
            hint=f"the tasks are {', '.join(list(tasks)[:4])}",
        )
    return found


def _settings(
    lm: SNALM, asked: InterferenceOptions, sources: Mapping[str, TaskPlan], texts: Sequence[str]
) -> dict[str, Any]:
    """What must be the same for parts to stand in one file."""
    return {
        **asdict(asked),
        "nulls": "searched",
        "text": prompt_fingerprint(texts),
        "model_hash": lm.model_hash,
        **numerics(lm),
        "plan_fingerprint": plan_fingerprint(lm.plan),
        "sources": {name: task_fingerprint(plan) for name, plan in sources.items()},
        "versions": versions(),
    }


def _source(name: str, plan: TaskPlan) -> AppliedPlan:
    return AppliedPlan(
        name,
        task_fingerprint(plan),
        tuple(map(Configuration.of_entry, plan.interventions)),
        configuration=neurons_fingerprint(plan),
    )
