"""The tool's own error rates: the whole chain on planted circuits, and on nothing.

Each repetition searches, repeats the search with random rankings and tests, as a verdict does.
*Power*: the model is a weakened copy (`planted`) and the claim's ranking is the task's own; planted
is what the chain is predicted to show in 80 % of repetitions (`findable`). *False positives*: the
model is as it is and the claim is a random ranking. What counts is H1 at the registered level;
rates come with Clopper and Pearson's bounds.

Few neurons make poor circuits: a small model misses 25 of them little, while random sets of 25 that
push as far vary widely. So the search tries `COUNTS` where it is not told which.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tqdm import tqdm

from sna_eval.study.keeping import Kept
from sna_eval.study.nulls.options import RANDOM
from sna_eval.study.nulls.searching import run_search
from sna_eval.study.statistics import upper_bound
from sna_eval.study.verdict.findable import chain, findable, planted
from sna_eval.study.verdict.planted import Circuit
from sna_eval.study.verdict.registering import RegisterOptions, asked_tasks
from sna_eval.typed import build

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

PLANTED, NOTHING = "planted", "nothing"
COUNTS = (10, 30, 100)
"""Neurons of a layer that are tried, as far as it has as many again."""


@dataclass(frozen=True)
class Trial:
    """One repetition on one task."""

    task: str
    kind: str
    """`planted` or `nothing`."""
    number: int
    p: float
    """Of H1."""
    shown: bool
    gain: float
    """Over random rankings, in log-odds."""
    layer: int
    """That the claim chose."""
    planted_layer: int | None = None
    effect: float | None = None
    """Of the circuit, in log-odds."""
    detectable: float | None = None
    """What a registration of the copy says is shown in 80 % of tests."""
    chance: float | None = None
    """That the whole chain shows the circuit, as predicted on other halves."""


@dataclass(frozen=True)
class Rate:
    """How often H1 was shown."""

    task: str
    kind: str
    shown: int
    trials: int

    @property
    def share(self) -> float:
        return self.shown / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, two-sided."""
        low = 1 - upper_bound(self.trials - self.shown, self.trials, confidence=0.975)
        return low, upper_bound(self.shown, self.trials, confidence=0.975)


@dataclass(frozen=True)
class SelfCheck:
    """All repetitions."""

    trials: tuple[Trial, ...]

    def rates(self) -> list[Rate]:
        """By task and kind, and of all tasks together."""
        tasks = list(dict.fromkeys(trial.task for trial in self.trials))
        kinds = [kind for kind in (PLANTED, NOTHING) if any(t.kind == kind for t in self.trials)]
        return [self._rate(task, kind) for task in [*tasks, "all"] for kind in kinds]

    def planted(self) -> list[Trial]:
        """A trial of each task, for the circuit that it was tried with."""
        first = {trial.task: trial for trial in reversed(self.trials) if trial.kind == PLANTED}
        return list(first.values())[::-1]

    def _rate(self, task: str, kind: str) -> Rate:
        alike = [t for t in self.trials if t.kind == kind and task in (t.task, "all")]
        return Rate(task, kind, sum(trial.shown for trial in alike), len(alike))


def self_check(
    lm: SNALM,
    asked: RegisterOptions,
    *,
    repetitions: int,
    output: Path | None = None,
    quiet: bool = False,
) -> SelfCheck:
    """Repeats the chain with circuits planted and with none.

    **Arguments:**

    - `asked`: what each repetition registers; tasks one by one.
    - `repetitions`: of each kind, for each task.
    - `output`: folder that finished repetitions are kept in.
    """
    tasks = asked_tasks(asked)
    asked = _with_counts(lm, asked)
    settings = {**asdict(asked), "model_hash": lm.model_hash}
    kept = Kept(output, settings, command="selfcheck")
    found: list[Trial] = []
    total = 2 * repetitions * len(tasks)
    with tqdm(total=total, desc="Self-check", unit="trial", disable=quiet) as bar:
        for name in tasks:
            one = replace(asked, tasks=(name,))
            for trial in _trials(lm, one, repetitions, kept, quiet=quiet):
                found.append(trial)
                bar.update()
    return SelfCheck(tuple(found))


def _with_counts(lm: SNALM, asked: RegisterOptions) -> RegisterOptions:
    if asked.search.n_neurons is not None:
        return asked
    room = lm.sites.n_units // 2
    counts = tuple(count for count in COUNTS if count <= room) or (1,)
    return replace(asked, search=replace(asked.search, n_neurons=counts))


def _trials(
    lm: SNALM, asked: RegisterOptions, repetitions: int, kept: Kept, *, quiet: bool
) -> Iterator[Trial]:
    (name,) = asked.tasks
    circuit: Circuit | None = None
    for kind in (PLANTED, NOTHING):
        for number in range(repetitions):
            key = f"{name}-{kind}-{number}"
            trial = kept.read(key, lambda raw: build(Trial, raw))
            if trial is None:
                seeded = replace(asked, search=replace(asked.search, seed=number))
                if kind == PLANTED:
                    circuit = circuit or _known_circuit(lm, asked, kept, quiet=quiet)
                    trial = _trial(lm, seeded, circuit, number, quiet=quiet)
                else:
                    trial = _nothing(lm, seeded, number, quiet=quiet)
                kept.write(key, asdict(trial))
            yield trial


def _known_circuit(lm: SNALM, asked: RegisterOptions, kept: Kept, *, quiet: bool) -> Circuit:
    """From its file where it was found before."""
    key = f"{asked.tasks[0]}-circuit"
    found = kept.read(key, lambda raw: build(Circuit, raw))
    if found is None:
        found = findable(lm, asked, quiet=quiet)
        kept.write(key, asdict(found))
    return found


def _trial(
    lm: SNALM, asked: RegisterOptions, circuit: Circuit, number: int, *, quiet: bool
) -> Trial:
    with planted(lm, asked, circuit) as (copy, there):
        trial = _tested(copy, there, PLANTED, number, quiet=quiet)
    return replace(
        trial,
        planted_layer=circuit.layer,
        effect=circuit.effect,
        detectable=circuit.detectable,
        chance=circuit.chance,
    )


def _nothing(lm: SNALM, asked: RegisterOptions, number: int, *, quiet: bool) -> Trial:
    search = replace(asked.search, select=RANDOM, claim_seed=number)
    return _tested(lm, replace(asked, search=search), NOTHING, number, quiet=quiet)


def _tested(lm: SNALM, asked: RegisterOptions, kind: str, number: int, *, quiet: bool) -> Trial:
    """Searches and tests, as a verdict on what was registered would."""
    search = chain(lm, asked)
    with TemporaryDirectory(prefix="sna-selfcheck-") as folder:
        null = run_search(search, output=Path(folder) / "null", quiet=quiet)
    return Trial(
        task=search.name,
        kind=kind,
        number=number,
        p=null.p,
        shown=null.p <= asked.limits.alpha,
        gain=null.claim.gain - float(null.null_gains.mean()),
        layer=null.claim.layer,
    )
