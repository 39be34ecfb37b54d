"""Baseline against improvement, and what the correlation is worth."""

from __future__ import annotations

from collections.abc import Sequence

from sna_eval.reporting.colours import MUTED, ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import (
    Axis,
    Band,
    Drawing,
    Line,
    Mark,
    Panel,
    Points,
    Series,
    Spans,
)
from sna_eval.study.summary import AcrossTasks, TaskSummary
from sna_eval.study.summary.across_tasks import null_band

_BAND = Series("95 % if changes were dealt out at random", MUTED)
_NULL = Series("null of the percentages", MUTED)
_PERCENT = Series("with improvement in %", ZONE_COLOURS[1])
_ABSOLUTE = Series("with the absolute change", ZONE_COLOURS[3])
_OUTCOMES = {"best": "best configuration", "mean": "mean of all"}
_SHIFT = 0.14
"""Of two intervals in one row."""


def draw(tasks: Sequence[TaskSummary], across: Sequence[AcrossTasks]) -> Drawing:
    """Tasks on the left; on the right each correlation with its interval and its null."""
    panels = (scatter(tasks), correlations(across)) if across else (scatter(tasks),)
    return Drawing(panels, 11, 4.6)


def scatter(tasks: Sequence[TaskSummary]) -> Panel:
    """A point a task, before the band of the null."""
    shown = [task for task in tasks if task.baseline > 0]
    return Panel(
        Axis("baseline P(target), log scale", log=True),
        Axis("improvement of the best configuration, %", limits=_limits(shown)),
        (*_band(shown), *(_zone(shown, zone) for zone in sorted({task.zone for task in shown})),
         Line("x")),
        title="Baseline against improvement",
        width=3,
    )  # fmt: skip


def _zone(tasks: Sequence[TaskSummary], zone: int) -> Points:
    inside = [task for task in tasks if task.zone == zone]
    told = tuple(
        {"task": short(task.task), "baseline": task.baseline,
         "improvement": task.best_improvement, "best": task.best.label}
        for task in inside
    )  # fmt: skip
    return Points(
        Series(f"zone {zone}", ZONE_COLOURS[zone]),
        tuple(task.baseline for task in inside),
        tuple(task.best_improvement for task in inside),
        told,
        names=tuple(short(task.task) for task in inside),
    )


def _band(tasks: Sequence[TaskSummary]) -> list[Mark]:
    """Where improvements would lie if the changes had nothing to do with the baselines."""
    band = null_band(tasks)
    return [] if band is None else [Band(_BAND, band.baseline, band.low, band.middle, band.high)]


def _limits(tasks: Sequence[TaskSummary]) -> tuple[float, float]:
    """Room for the tasks; the band may leave at the top."""
    values = [0.0, *(task.best_improvement for task in tasks)]
    reach = max(values) - min(values) or 1.0
    return min(values) - 0.15 * reach, max(values) + 0.3 * reach


def correlations(across: Sequence[AcrossTasks]) -> Panel:
    """Each correlation with its interval; grey, the null of the percentages."""
    names = tuple(f"{correlation.kind}\n{_OUTCOMES[correlation.outcome]}" for correlation in across)
    rows = tuple(map(float, range(len(across))))
    nulls = [correlation.result.null_interval for correlation in across]
    marks: list[Mark] = [
        Spans(_NULL, tuple(n.low for n in nulls), tuple(n.high for n in nulls), rows,
              width=20, opacity=0.25),
    ]  # fmt: skip
    for shift, series, percent in ((-_SHIFT, _PERCENT, True), (_SHIFT, _ABSOLUTE, False)):
        found = [
            correlation.result.improvement if percent else correlation.result.absolute
            for correlation in across
        ]
        places = tuple(row + shift for row in rows)
        plain = Series("", series.colour)
        marks += [
            Spans(plain, tuple(bar.interval.low for bar in found),
                  tuple(bar.interval.high for bar in found), places, width=1.4),
            Points(series, tuple(bar.coefficient for bar in found), places, tuple(
                {"correlation": bar.coefficient, "low": bar.interval.low,
                 "high": bar.interval.high, "with": series.name}
                for bar in found
            )),
        ]  # fmt: skip
    return Panel(
        Axis("correlation of the baseline, 95 % intervals", limits=(-1.05, 1.05)),
        Axis(names=names),
        (*marks, Line("y")),
        title="What the correlation is worth",
        width=2,
    )
