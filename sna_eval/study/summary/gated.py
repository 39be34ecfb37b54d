"""What a plan gained behind its gate: where it was chosen, beside an evaluation through lm_eval.

The result file of an `sna` run holds the plan, and a chosen plan says what its configuration gained
on the development items. The test gain comes from the samples: both halves of every item, paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sna_eval.errors import InputError, reading
from sna_eval.plan import ChoiceRecord, acting_fingerprint
from sna_eval.study.compare.halves import split
from sna_eval.study.compare.pairing import Pairs, pair
from sna_eval.study.results.formats.lm_eval import is_oracle
from sna_eval.study.results.nested import mapping
from sna_eval.study.results.reading import read_raw, read_run
from sna_eval.study.results.records import MetricName, Run
from sna_eval.study.statistics import check_draws, paired_bootstrap
from sna_eval.typed import Json, build

_MEASURES = ("prob", "acc")


@dataclass(frozen=True)
class _Chosen:
    """What a task's entry in a result file says about how its plan was chosen."""

    measure: str
    gain: float
    n_items: int
    among: int
    sees_answer: bool
    amplified_fraction: float
    oracle: bool


@dataclass(frozen=True)
class GatedGain:
    """One task's gain of mean P(target) or of accuracy, closed items counting as no gain."""

    task: str
    measure: str
    """`prob` or `acc`, with the filter that the answers went through, if one did."""
    development: float
    n_development: int
    among: int
    """Configurations that the chosen one is the best of."""
    test: float
    low: float
    """Paired bootstrap interval of the test gain, over items."""
    high: float
    n_test: int
    amplified: float
    """Share of the test items whose gate opened."""
    sees_answer: bool
    """Whether gate or direction looked at the right answer."""
    oracle: bool = False
    """Whether the direction followed it."""

    @property
    def curse(self) -> float:
        """What of the gain did not carry over."""
        return self.development - self.test


def gated_gains(path: str | Path, *, draws: int = 10_000, seed: int = 0) -> tuple[GatedGain, ...]:
    """Every task of an lm_eval run whose plan was chosen on development items by `prob` or `acc`.

    **Arguments:**

    - `path`: folder that lm_eval wrote with `--output_path` and `--log_samples`, or a result file.

    **Raises:** `InputError` where there are no results and samples of an `sna` run, and where no
    task's plan, as it was run, says what it was chosen by.
    """
    check_draws(draws)
    run = read_run(path)
    halves = split(run)
    tasks = mapping(read_raw(run.path), "config", "sna", "tasks")
    found: list[GatedGain] = []
    for task, settings in tasks.items():
        with reading(
            str(run.path), expected=f"what {task} was chosen by, as lm_eval wrote it", got=task,
            hint="run lm_eval again with that plan",
        ):  # fmt: skip
            chosen = _chosen(settings)
        found += _gains(halves, task, chosen, draws=draws, seed=seed)
    if not found:
        raise InputError(
            "results", expected="a run of a plan chosen by `prob` or `acc` on development items",
            got=str(run.path), hint="run lm_eval with that plan, its gates and neurons unchanged, "
            "--output_path and --log_samples",
        )  # fmt: skip
    return tuple(found)


def _chosen(settings: Json) -> _Chosen | None:
    """How a task's one configuration was chosen, if it was, and by one of the measures here.

    A gate or neurons that were changed afterwards were not chosen: their gain is not on record.
    """
    entries = settings["interventions"]
    raw = mapping(entries[0], "found", "chosen") if len(entries) == 1 else {}
    record = ChoiceRecord.of(raw)
    if record.split != "development" or record.measure not in _MEASURES:
        return None
    if record.fingerprint != acting_fingerprint(settings):
        return None
    asked = {name: getattr(record, name) for name in ("measure", "gain", "n_items", "among")}
    return build(_Chosen, {
        **asked, "sees_answer": settings["sees_answer"],
        "amplified_fraction": settings.get("amplified_fraction", 0.0),
        "oracle": settings.get("oracle", is_oracle(settings)),
    })  # fmt: skip


def _gains(
    halves: tuple[Run, Run], task: str, chosen: _Chosen | None, *, draws: int, seed: int
) -> Iterator[GatedGain]:
    if chosen is None:
        return
    for metric in _filtered(halves, task, chosen.measure):
        pairs = pair(halves, task, metric)
        if pairs is not None:
            yield _gain(task, metric, pairs, chosen, draws=draws, seed=seed)


def _filtered(halves: tuple[Run, Run], task: str, measure: str) -> list[MetricName]:
    """The measure under every filter of the task."""
    if any(task not in half.tasks for half in halves):
        return []
    first, second = (half.tasks[task].scores for half in halves)
    return [name for name in first if name.metric == measure and name in second]


def _gain(
    task: str, metric: MetricName, pairs: Pairs, chosen: _Chosen, *, draws: int, seed: int
) -> GatedGain:
    before, after = pairs.before[:, 0], pairs.after[:, 0]
    interval = paired_bootstrap(before, after, draws=draws, seed=seed)
    return GatedGain(
        task=task,
        measure=str(metric),
        development=chosen.gain,
        n_development=chosen.n_items,
        among=chosen.among,
        test=float(after.mean() - before.mean()),
        low=interval.low,
        high=interval.high,
        n_test=len(before),
        amplified=chosen.amplified_fraction,
        sees_answer=chosen.sees_answer,
        oracle=chosen.oracle,
    )
