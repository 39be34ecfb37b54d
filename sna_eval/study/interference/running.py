"""Measures a whole plan: every task's intervention on every task and on plain text."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Intervention
from sna_eval.neurons import neutral_sentences
from sna_eval.plan import (
    PlannedIntervention,
    plain_interventions,
    plan_fingerprint,
    task_fingerprint,
)
from sna_eval.study.interference.controls import random_null, random_sets
from sna_eval.study.interference.effects import changes, effects
from sna_eval.study.interference.measuring import log_likelihoods
from sna_eval.study.interference.result import ALL, PLAIN_TEXT, Effect, Interference, Part, Source
from sna_eval.study.interference.subjects import Subject, task_subject, text_subject
from sna_eval.study.sweep.items import Split
from sna_eval.study.sweep.passes import tokens_per_pass

_VERSIONED = ("sna-eval", "torch", "transformers", "lm_eval")
_TEXT_TOKENS = 2048


@dataclass(frozen=True)
class Interfering:
    """What is measured."""

    split: Split = "test"
    """Items of the tasks."""
    limit: int | None = None
    """Items per task at most; `None`: all."""
    text: str | None = None
    """File of plain text, one text a line; `None`: the bundled neutral sentences."""
    random_draws: int = 20
    """Random stand-ins for each task's own intervention; 0 for none."""
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
            lines = Path(self.text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                "text", expected="a text file, one text a line", got=self.text, hint=str(error)
            ) from error
        return tuple(line.strip() for line in lines if line.strip())


def measure_interference(
    lm: Any,
    tasks: Mapping[str, Any],
    asked: Interfering | None = None,
    *,
    model_name: str = "",
    quiet: bool = False,
) -> Interference:
    """Measures what `lm.plan` does to each of `tasks` and to plain text, ungated.

    **Arguments:**

    - `lm`: an `SNALM` with a plan; its gates are not looked at.
    - `tasks`: lm_eval tasks by name. Those that the plan has an entry for are sources of
        interventions too.

    **Raises:** `InputError` where the plan does nothing to any of the tasks, or picks neurons by
    an item's own choices, which other tasks' items do not have.
    """
    asked = asked or Interfering()
    texts = asked.texts()  # before anything long
    sources = _sources(lm, tasks)
    alone = {name: plain_interventions(plan) for name, plan in sources.items()}
    measure = _Measure(lm, asked, alone, quiet)
    found: list[Effect] = []
    controls = []
    for name, task in tasks.items():
        subject = task_subject(name, task, lm, split=asked.split, limit=asked.limit)
        drawn = random_sets(
            lm, task, alone.get(name, ()), draws=asked.random_draws if name in alone else 0,
            seed=asked.seed,
        )  # fmt: skip
        own, randoms = measure.task(subject, drawn)
        found += own
        if randoms:
            change = next(effect.change for effect in own if effect.intervention == name)
            controls.append((name, change, randoms))
    found += measure.text(text_subject(PLAIN_TEXT, texts, lm))
    return Interference(
        model=model_name or str(getattr(lm, "pretrained", "")),
        plan_fingerprint=plan_fingerprint(lm.plan),
        split=asked.split,
        limit=asked.limit,
        text=asked.text or "bundled neutral sentences",
        sources=tuple(
            Source(name, task_fingerprint(plan), tuple(map(_part, plan.interventions)))
            for name, plan in sources.items()
        ),
        effects=tuple(found),
        controls=random_null(controls),
        versions={"python": platform.python_version(), **{n: version(n) for n in _VERSIONED}},
    )


@dataclass(eq=False)
class _Measure:
    """Applies the same sets of interventions to one subject after the other."""

    lm: Any
    asked: Interfering
    alone: Mapping[str, tuple[Affine, ...]]
    quiet: bool

    @property
    def sets(self) -> dict[str, tuple[Affine, ...]]:
        """What is applied, by name; everything at once only where that is more than one thing."""
        together = tuple(own for parts in self.alone.values() for own in parts)
        return {**self.alone, **({ALL: together} if len(self.alone) > 1 else {})}

    def task(
        self, subject: Subject, drawn: list[list[Intervention]]
    ) -> tuple[list[Effect], list[float]]:
        """A task's effects, and the changes by random neurons."""
        scores = self._scores(subject, [*self.sets.values(), *drawn])
        split = 1 + len(self.sets)
        own = effects(
            subject, list(self.sets), scores[:split], draws=self.asked.draws, seed=self.asked.seed
        )
        randoms = changes(subject, scores[[0, *range(split, len(scores))]])
        return own, [float(value) for value in randoms]

    def text(self, subject: Subject) -> list[Effect]:
        """Effects on plain text."""
        scores = self._scores(subject, list(self.sets.values()))
        return effects(
            subject, list(self.sets), scores, draws=self.asked.draws, seed=self.asked.seed
        )

    def _scores(self, subject: Subject, sets: list[Any]) -> Any:
        engine = self.lm.engine
        tokens = tokens_per_pass(engine.device)
        if subject.items is None:  # every position is read: the vocabulary fills the memory
            tokens = min(tokens, _TEXT_TOKENS)
        return log_likelihoods(engine, subject, sets, tokens=tokens, quiet=self.quiet)


def _sources(lm: Any, tasks: Mapping[str, Any]) -> dict[str, Any]:
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


def _part(own: PlannedIntervention) -> Part:
    count = max(map(len, (own.neurons or {}).values()), default=0)
    return Part(own.direction, own.layer, count, own.multiplier)
