"""Gains where a configuration was chosen, beside gains where it was not.

The difference is the winner's curse: the best of many configurations on some items owes part of its
lead to those items. Both gains are of the same intervention, ungated, so nothing else differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sna_eval.plan import neurons_fingerprint
from sna_eval.study.interference import AppliedPlan, CrossEffect, Interference
from sna_eval.study.summary.measurements import TaskMeasurements
from sna_eval.study.sweep import SweepStore, configuration_row, row_plan


@dataclass(frozen=True)
class HeldOut:
    """One task's chosen configuration on both kinds of items, in percent of each baseline."""

    task: str
    development: float
    test: float
    low: float
    """Interval of the test gain, in percent of the baseline as it was measured."""
    high: float
    oracle: bool = False
    """Whether its direction followed the right answer."""

    @property
    def curse(self) -> float:
        """What of the gain did not carry over, in percentage points."""
        return self.development - self.test


def held_out(
    store: SweepStore, measurements: Sequence[TaskMeasurements], measured: Interference
) -> tuple[HeldOut, ...]:
    """Every task whose intervention stands in the sweep, with the same neurons.

    **Arguments:**

    - `store`: a sweep of development items; nothing is held out from another.
    - `measurements`: the sweep's.
    - `measured`: on test items, of a plan that was chosen from that sweep.
    """
    if (store.manifest["split"], measured.split) != ("development", "test"):
        return ()
    sources = {source.task: source for source in measured.sources}
    return tuple(
        row
        for measurement in measurements
        if measurement.task in sources and _was_swept(store, sources[measurement.task])
        for row in _row(
            measurement,
            sources[measurement.task],
            measured.effect(measurement.task, measurement.task),
        )
    )


def _was_swept(store: SweepStore, source: AppliedPlan) -> bool:
    """Whether the store has this very configuration; another ranking has other neurons."""
    if len(source.parts) != 1:
        return False
    (part,) = source.parts
    row = configuration_row(store, source.task, part)
    if row is None:
        return False
    return neurons_fingerprint(row_plan(store, row).tasks[source.task]) == source.configuration


def _row(measured: TaskMeasurements, source: AppliedPlan, effect: CrossEffect) -> Iterator[HeldOut]:
    """Nothing where a baseline is 0."""
    gain = measured.improvement_of(source.parts[0])
    if gain is None or not effect.before:
        return
    scale = 100 / effect.before
    low, high = effect.low * scale, effect.high * scale
    yield HeldOut(measured.task, gain, effect.percent, low, high, source.oracle)
