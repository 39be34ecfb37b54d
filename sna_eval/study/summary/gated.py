"""What a plan gained behind its gate: where it was chosen, beside an evaluation through lm_eval.

The result file of an `sna` run holds the plan, and a chosen plan says what its configuration gained
on the development items. The test gain comes from the samples: both halves of every item, paired.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError
from sna_eval.study.compare.halves import split
from sna_eval.study.compare.pairing import pair
from sna_eval.study.compare.reading import read_run
from sna_eval.study.compare.records import MetricName, Run
from sna_eval.study.statistics import paired_bootstrap

_MEASURES = ("prob", "acc")


@dataclass(frozen=True)
class GatedGain:
    """One task's gain of mean P(target) or of accuracy, closed items counting as no gain."""

    task: str
    measure: str
    """`prob` or `acc`."""
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
    """Whether gate or direction knew the right answer."""

    @property
    def curse(self) -> float:
        """What of the gain did not carry over."""
        return self.development - self.test


def gated_gains(path: str | Path, *, draws: int = 10_000, seed: int = 0) -> tuple[GatedGain, ...]:
    """Every task of an lm_eval run whose plan was chosen on development items by `prob` or `acc`.

    **Arguments:**

    - `path`: folder that lm_eval wrote with `--output_path` and `--log_samples`, or a result file.

    **Raises:** `InputError` where there are no results and samples of an `sna` run, and where no
    task's plan says what it was chosen by.
    """
    run = read_run(path)
    halves = split(run)
    config = json.loads(run.path.read_text(encoding="utf-8"))["config"]["sna"]
    found = tuple(
        gain
        for task, own in config["tasks"].items()
        for gain in _gains(halves, task, own, draws=draws, seed=seed)
    )
    if not found:
        raise InputError(
            "results", expected="a run of a plan chosen by `prob` or `acc` on development items",
            got=str(run.path), hint="run lm_eval with that plan, --output_path and --log_samples",
        )  # fmt: skip
    return found


def _gains(
    halves: tuple[Run, Run], task: str, own: Mapping[str, Any], *, draws: int, seed: int
) -> Iterator[GatedGain]:
    entries = own["interventions"]
    chosen = (entries[0].get("found") or {}).get("chosen") if len(entries) == 1 else None
    if chosen is None or chosen["split"] != "development" or chosen["measure"] not in _MEASURES:
        return
    metric = MetricName(chosen["measure"])
    known = all(metric in half.tasks[task].scores for half in halves if task in half.tasks)
    pairs = pair(halves, task, metric) if known and task in halves[0].tasks else None
    if pairs is None:
        return
    before, after = pairs.before[:, 0], pairs.after[:, 0]
    interval = paired_bootstrap(before, after, draws=draws, seed=seed)
    yield GatedGain(
        task=task,
        measure=metric.metric,
        development=chosen["gain"],
        n_development=chosen["n_items"],
        among=chosen["among"],
        test=float(after.mean() - before.mean()),
        low=interval.low,
        high=interval.high,
        n_test=len(before),
        amplified=own.get("amplified_fraction", 0.0),
        sees_answer=own["sees_answer"],
    )
