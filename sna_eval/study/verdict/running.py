"""Reaches a verdict on what was registered and nothing else; taken up where it was stopped.

1. Model, development and test items are compared with the registration.
2. Every task's search and its nulls (`study.nulls`); test items are opened here, and it is noted.
3. Rivals on the same test items: temperature, strengths, the other tasks' claims; harm beyond.
4. Hypotheses in order, p-values adjusted over tasks as registered.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from sna_eval.clusters import cluster_codes
from sna_eval.errors import writing
from sna_eval.files import write_whole, write_whole_json
from sna_eval.measuring.moved import Moved
from sna_eval.measuring.values import Floats
from sna_eval.study.bars import Begin, PartsBar
from sna_eval.study.keeping import Kept
from sna_eval.study.nulls import SearchedNull
from sna_eval.study.nulls.records import CLAIM
from sna_eval.study.nulls.searching import Draw, draw_here, run_search
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.verdict.beside import REGISTRATION
from sna_eval.study.verdict.harm import Beyond, PlainText
from sna_eval.study.verdict.hypotheses import (
    Finding,
    HarmData,
    Judged,
    OverTasks,
    judge,
    no_harm,
    over_random,
    over_rival,
    over_tasks,
    zone_effect,
)
from sna_eval.study.verdict.opened import note_opening
from sna_eval.study.verdict.registering import (
    check_registered,
    registered_search,
    registered_tasks,
)
from sna_eval.study.verdict.registration import Limits, Registration
from sna_eval.study.verdict.rivals import (
    Rival,
    TaskRivals,
    claimed,
    other_claims,
    task_rivals,
)
from sna_eval.typed import build, fitted

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

CONFIDENT = 3
STAGES = 7
"""Of what a task is held against beside random rankings."""


@dataclass(frozen=True, eq=False)
class TaskVerdict:
    """One task, with what it was judged by."""

    null: SearchedNull
    clusters: tuple[int, ...]
    """Of each test item."""
    rivals: TaskRivals
    others: tuple[Rival, ...]
    """Other tasks' claims on this task's items."""
    beyond: Beyond
    tested: Mapping[str, Finding]
    """Each hypothesis by itself."""
    judged: Mapping[str, Judged]


@dataclass(frozen=True, eq=False)
class Verdict:
    """All tasks."""

    registration: Registration
    tasks: Mapping[str, TaskVerdict]

    @property
    def together(self) -> OverTasks:
        """H1 over all tasks at once."""
        nulls = [task.null for task in self.tasks.values()]
        claims = np.array([null.claim.gain for null in nulls])
        return over_tasks(claims, np.stack([null.null_gains for null in nulls]))

    def searches(self) -> pd.DataFrame:
        """A row for each ranking of each task, the claim's first: what it chose, and its gain."""
        columns = (
            "layer", "n_neurons", "searched_multiplier", "multiplier", "predicted",
            "development_gain", "kl", "gain",
        )  # fmt: skip
        rows = [
            {
                "task": name,
                "ranking": "claim" if found.draw == CLAIM else found.draw,
                **{column: getattr(found, column) for column in columns},
            }
            for name, task in self.tasks.items()
            for found in (task.null.claim, *task.null.nulls)
        ]
        return pd.DataFrame(rows)

    def as_json(self) -> dict[str, dict[str, dict[str, Any]]]:
        """As `verdict.json` holds it; `null` where there is nothing to say."""
        return {
            name: {
                hypothesis: {
                    "estimate": _number(judged.estimate),
                    "interval": [_number(end) for end in judged.interval],
                    "p": judged.p,
                    "draws": judged.draws,
                    "verdict": judged.verdict,
                }
                for hypothesis, judged in task.judged.items()
            }
            for name, task in self.tasks.items()
        }

    def save(self, folder: Path) -> Path:
        """Writes `verdict.json`, `searches.csv`, and a copy of the registration beside them."""
        path, searches = folder / "verdict.json", folder / "searches.csv"
        self.registration.save(folder / REGISTRATION)
        with writing(searches):
            write_whole(searches, self.searches().to_csv(index=False).encode())
        with writing(path):
            write_whole_json(path, self.as_json())
        return path


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was measured of one task, before anything is tested."""

    null: SearchedNull
    rivals: TaskRivals
    others: tuple[Rival, ...]
    beyond: Beyond


Executor = Callable[
    [Registration, Mapping[str, TaskSearch], Mapping[str, Path]], AbstractContextManager[Draw]
]
"""Gives what random rankings are searched by: of tasks' searches, each with the folder that it goes
on in."""


def local_executor(
    registration: Registration, searches: Mapping[str, TaskSearch], folders: Mapping[str, Path]
) -> AbstractContextManager[Draw]:
    """One portion after the other, in this process."""
    return nullcontext(draw_here)


def reach_verdict(
    lm: SNALM,
    registration: Registration,
    path: Path,
    output: Path,
    *,
    executor: Executor = local_executor,
    quiet: bool = False,
) -> Verdict:
    """The verdict on a registration.

    **Arguments:**

    - `path`: the registration's file; openings are noted beside it.
    - `output`: folder of what is measured; a run that was stopped goes on there.
    - `executor`: where random rankings are searched.

    **Raises:** `InputError` where model, items or folder are not what was registered.
    """
    tasks = registered_tasks(registration)
    searches = {
        name: registered_search(registration, lm, name, tasks[name]) for name in registration.tasks
    }
    check_registered(registration, searches, lm)
    kept = Kept(output, {"registration": registration.hash}, command="verdict")
    note_opening(registration, path, output)
    nulls, folders = {}, {name: output / "nulls" / name for name in searches}
    with executor(registration, searches, folders) as draw:
        for name in tqdm(searches, desc="Verdict", unit="task", disable=quiet):
            nulls[name] = run_search(searches[name], output=folders[name], draw=draw, quiet=quiet)
    text = PlainText(lm, quiet=quiet)
    measured = {
        name: _measure(searches[name], nulls, text, kept, quiet=quiet)
        for name in tqdm(searches, desc="Rivals", unit="task", disable=quiet)
    }
    clusters = {
        name: tuple(int(code) for code in cluster_codes(search.test_items.clusters))
        for name, search in searches.items()
    }
    return _judged(registration, measured, clusters)


def _measure(
    search: TaskSearch,
    nulls: Mapping[str, SearchedNull],
    text: PlainText,
    kept: Kept,
    *,
    quiet: bool,
) -> _Measured:
    """Rivals and harm of one task, from its file where they were measured before."""
    null = nulls[search.name]
    found = kept.read(search.name, _rivals_of)
    if found is None:
        others = {name: null.claim for name, null in nulls.items() if name != search.name}
        with _stages(search.name, quiet=quiet) as begin:
            found = (
                task_rivals(search, null.claim, begin),
                tuple(other_claims(search, null.claim, others, begin)),
                text.harm(claimed(null.claim), begin),
            )
        rivals, other, beyond = found
        kept.write(
            search.name,
            {
                "rivals": asdict(rivals),
                "others": [asdict(claim) for claim in other],
                "beyond": asdict(beyond),
            },
        )
    return _Measured(null, *found)


@contextmanager
def _stages(name: str, *, quiet: bool) -> Iterator[Begin]:
    """A bar over the stages of one task's rivals."""
    with PartsBar(STAGES, name, quiet=quiet) as bar:
        begun = itertools.count()

        def begin(stage: str) -> Moved:
            bar.reach(next(begun), stage)
            return bar.update

        yield begin


def _rivals_of(raw: Any) -> tuple[TaskRivals, tuple[Rival, ...], Beyond]:
    return (
        build(TaskRivals, raw["rivals"], "rivals"),
        fitted(tuple[Rival, ...], raw["others"], "others"),
        build(Beyond, raw["beyond"], "beyond"),
    )


def _judged(
    registration: Registration,
    measured: Mapping[str, _Measured],
    clusters: Mapping[str, tuple[int, ...]],
) -> Verdict:
    limits = registration.limits
    tested = {name: _tested(task, clusters[name], limits) for name, task in measured.items()}
    words = judge(tested, alpha=limits.alpha, correct=registration.correction == "holm")
    return Verdict(
        registration,
        {
            name: TaskVerdict(
                task.null, clusters[name], task.rivals, task.others, task.beyond, tested[name],
                words[name],
            )
            for name, task in measured.items()
        },
    )  # fmt: skip


def _tested(task: _Measured, clusters: tuple[int, ...], limits: Limits) -> dict[str, Finding]:
    items, claim = task.null.items, task.null.claim
    opened = np.array(items.opened, dtype=np.float64)
    open_gain = np.array(claim.specific)
    open_nulls = np.array([draw.specific for draw in task.null.nulls])
    others = [np.array(rival.specific) * opened for rival in task.others]
    return {
        "H1": over_random(
            open_gain * opened, open_nulls * opened, clusters=clusters, limits=limits
        ),
        "H2": zone_effect(open_gain, open_nulls, items.zones, clusters=clusters, limits=limits),
        "H3": over_rival(
            open_gain * opened, np.array(task.rivals.temperature.specific) * opened,
            clusters=clusters, limits=limits,
        ),
        "H4": _over_others(open_gain * opened, others, clusters, limits),
        "H5": no_harm(harm_data(task.null, task.beyond), limits=limits),
    }  # fmt: skip


def _over_others(
    claim: Floats, others: list[Floats], clusters: tuple[int, ...], limits: Limits
) -> Finding:
    """Over the mean of the other tasks' neurons; nothing where there is no other task."""
    if not others:
        return Finding(math.nan, math.nan, math.nan, math.nan, 0, excluded=False)
    return over_rival(claim, np.mean(others, axis=0), clusters=clusters, limits=limits)


def harm_data(null: SearchedNull, beyond: Beyond) -> HarmData:
    """What H5 is judged by: items of zone 3 that the unmodified model has right."""
    right = np.array(null.items.baseline.correct) & (np.array(null.items.zones) == CONFIDENT)
    lost = right & ~np.array(null.claim.after.correct)
    return HarmData(
        int(lost.sum()), int(right.sum()), np.array(beyond.loss_per_token),
        np.array(beyond.repetition),
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(f"{value:.8g}") if math.isfinite(value) else None
