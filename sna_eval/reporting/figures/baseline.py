"""Baseline against improvement, and what the correlation is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from sna_eval.reporting.figures.labels import label_points
from sna_eval.reporting.style import INK, MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.summary import AcrossTasks, TaskSummary
from sna_eval.study.summary.across_tasks import null_band

_BELOW: Any = {
    "frameon": False,
    "fontsize": 7,
    "loc": "upper center",
    "bbox_to_anchor": (0.5, -0.13),
    "ncols": 4,
}
_LABELS = {"best": "best configuration", "mean": "mean of all"}


def draw(tasks: Sequence[TaskSummary], across: Sequence[AcrossTasks]) -> Figure:
    """Tasks on the left; on the right each correlation with its interval and its null."""
    figure = new_figure(11, 4.6)
    if not across:
        _scatter(figure.subplots(), tasks)
        return figure
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _scatter(left, tasks)
    _correlations(right, across)
    return figure


def _scatter(axes: Any, tasks: Sequence[TaskSummary]) -> None:
    shown = [own for own in tasks if own.baseline > 0]
    _null_band(axes, shown)
    for own in shown:
        axes.plot(own.baseline, own.best_improvement, "o", color=ZONE_COLOURS[own.zone])
    for zone in sorted({own.zone for own in shown}):
        axes.plot([], [], "o", color=ZONE_COLOURS[zone], label=f"zone {zone}")
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_xscale("log")
    axes.set_ylim(*_limits(shown))
    axes.margins(x=0.12)
    axes.set_xlabel("baseline P(target), log scale")
    axes.set_ylabel("improvement of the best configuration, %")
    axes.set_title("Baseline against improvement", loc="left")
    axes.legend(**_BELOW)
    label_points(axes, [(own.baseline, own.best_improvement, short(own.task)) for own in shown])


def _null_band(axes: Any, tasks: Sequence[TaskSummary]) -> None:
    """Where improvements would lie if the changes had nothing to do with the baselines."""
    band = null_band(tasks)
    if band is None:
        return
    axes.fill_between(
        band.baseline, band.low, band.high, color=MUTED, alpha=0.15, linewidth=0,
        label="95 % if changes were dealt out at random",
    )  # fmt: skip
    axes.plot(band.baseline, band.middle, ":", color=MUTED, linewidth=1)


def _limits(tasks: Sequence[TaskSummary]) -> tuple[float, float]:
    """Room for the tasks; the band may leave at the top."""
    values = [0.0, *(own.best_improvement for own in tasks)]
    reach = max(values) - min(values) or 1.0
    return min(values) - 0.15 * reach, max(values) + 0.3 * reach


def _correlations(axes: Any, across: Sequence[AcrossTasks]) -> None:
    labels = []
    for number, own in enumerate(reversed(across)):
        null, percent, absolute = (
            own.result.null_interval, own.result.improvement, own.result.absolute,
        )  # fmt: skip
        axes.barh(
            number, null.high - null.low, left=null.low, height=0.62, color=MUTED, alpha=0.25,
            label="null of the percentages" if number == 0 else None,
        )  # fmt: skip
        for shift, colour, what, found in (
            (0.14, ZONE_COLOURS[1], "with improvement in %", percent),
            (-0.14, ZONE_COLOURS[3], "with the absolute change", absolute),
        ):
            ends = [found.interval.low, found.interval.high]
            axes.plot(ends, [number + shift] * 2, color=colour, linewidth=1.4)
            axes.plot(
                found.coefficient, number + shift, "o", color=colour, markersize=5,
                label=what if number == 0 else None,
            )  # fmt: skip
        labels.append(f"{own.kind}\n{_LABELS[own.outcome]}")
    axes.axvline(0, color=INK, linewidth=0.6)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlim(-1.05, 1.05)
    axes.set_xlabel("correlation of the baseline, 95 % intervals")
    axes.set_title("What the correlation is worth", loc="left")
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
