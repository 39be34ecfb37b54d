"""The report's figures, interactive: the same values, with every one to be pointed at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from sna_eval.app.core.runs import ItemPoint
from sna_eval.app.ui.charts import SVG, diverging
from sna_eval.app.ui.look import MUTED, ZONE_COLOURS
from sna_eval.study.interference import PLAIN_TEXT, Interference
from sna_eval.study.summary import (
    AcrossTasks,
    HeldOut,
    LayerMap,
    ResponseCurve,
    TaskMeasurements,
    TaskSummary,
)
from sna_eval.study.summary.across_tasks import null_band

_ZONES = alt.Scale(
    domain=[f"zone {zone}" for zone in ZONE_COLOURS], range=list(ZONE_COLOURS.values())
)
_BELOW = alt.Legend(orient="bottom", title=None)


def short(task: str) -> str:
    """A task's name as it stands in a figure."""
    return task.removeprefix("sna_").replace("_", " ")


def baseline_chart(tasks: Sequence[TaskSummary]) -> Any:
    """Baseline against the best improvement, before the band of the null."""
    shown = [own for own in tasks if own.baseline > 0]
    points = pd.DataFrame(
        {
            "task": [short(own.task) for own in shown],
            "baseline": [own.baseline for own in shown],
            "improvement": [own.best_improvement for own in shown],
            "zone": [f"zone {own.zone}" for own in shown],
            "best": [own.best.label for own in shown],
        }
    )  # fmt: skip
    x = alt.X(
        "baseline:Q", scale=alt.Scale(type="log", padding=40), title="baseline P(target), log scale"
    )
    y = alt.Y("improvement:Q", title="best improvement, %")
    marks = (
        alt.Chart(points)
        .mark_circle(size=90, opacity=1, clip=True)
        .encode(
            x=x, y=y, color=alt.Color("zone:N", scale=_ZONES, legend=_BELOW),
            tooltip=["task", alt.Tooltip("baseline:Q", format=".4f"),
                     alt.Tooltip("improvement:Q", format="+.2f"), "best"],
        )
    )  # fmt: skip
    names = marks.mark_text(align="left", dx=7, dy=-5, fontSize=10).encode(
        text="task:N", color=alt.value(MUTED)
    )
    return _sized(alt.layer(*_band(shown), marks, names), 320)


def _band(tasks: Sequence[TaskSummary]) -> list[Any]:
    """Where improvements would lie if changes had nothing to do with baselines."""
    band = null_band(tasks)
    if band is None:
        return []
    top = 1.3 * max(own.best_improvement for own in tasks)
    rows = pd.DataFrame(
        {"baseline": band.baseline, "low": band.low, "high": np.minimum(band.high, max(top, 1.0))}
    )
    area = alt.Chart(rows).mark_area(opacity=0.15, color=MUTED, clip=True)
    return [area.encode(x="baseline:Q", y=alt.Y("low:Q"), y2="high:Q")]


def correlation_chart(across: Sequence[AcrossTasks]) -> Any:
    """Each correlation with its interval; grey bars, the null of the percentages."""
    rows = pd.DataFrame(
        [
            {
                "row": f"{own.kind}, {own.outcome}", "with": name,
                "correlation": found.coefficient, "low": found.interval.low,
                "high": found.interval.high, "null low": own.result.null_interval.low,
                "null high": own.result.null_interval.high,
            }
            for own in across
            for name, found in (
                ("improvement in %", own.result.improvement),
                ("absolute change", own.result.absolute),
            )
        ]
    )  # fmt: skip
    y = alt.Y("row:N", title=None)
    colour = alt.Color(
        "with:N", legend=_BELOW,
        scale=alt.Scale(
            domain=["improvement in %", "absolute change"],
            range=[ZONE_COLOURS[1], ZONE_COLOURS[3]],
        ),
    )  # fmt: skip
    limits = alt.Scale(domain=[-1, 1])
    base = alt.Chart(rows)
    null = base.mark_bar(color=MUTED, opacity=0.2, size=26).encode(
        x=alt.X("null low:Q", scale=limits, title="correlation of the baseline, 95 % intervals"),
        x2="null high:Q", y=y,
    )  # fmt: skip
    lines = base.mark_rule(strokeWidth=2).encode(
        x="low:Q", x2="high:Q", y=y, color=colour, yOffset="with:N"
    )
    dots = base.mark_circle(size=70, opacity=1).encode(
        x="correlation:Q", y=y, color=colour, yOffset="with:N",
        tooltip=["row", "with", alt.Tooltip("correlation:Q", format="+.3f"),
                 alt.Tooltip("low:Q", format="+.3f"), alt.Tooltip("high:Q", format="+.3f")],
    )  # fmt: skip
    return _sized(null + lines + dots, 260)


def layer_chart(found: LayerMap) -> Any:
    """Mean improvement by task and layer, coloured within each task."""
    size = np.nanmax(np.abs(found.improvement), axis=1, initial=0)
    rows = pd.DataFrame(
        [
            {
                "task": short(task), "layer": layer, "mean improvement, %": value,
                "relative": value / size[row] if size[row] else 0.0,
            }
            for row, task in enumerate(found.tasks)
            for layer, value in zip(found.layers, found.improvement[row], strict=True)
            if np.isfinite(value)
        ]
    )  # fmt: skip
    return _heat(
        rows, "layer:O", "task:N", "relative:Q", 1.0, ["task", "layer", "mean improvement, %"],
        written="mean improvement, %" if len(found.layers) <= 12 else None,
    )  # fmt: skip


def grid_chart(own: TaskMeasurements, layer: int, direction: str) -> Any:
    """Count against multiplier of one task at one layer, in percent."""
    table = own.improvement[own.directions.index(direction), own.layers.index(layer)]
    rows = pd.DataFrame(
        [
            {"neurons": count, "multiplier": multiplier, "improvement, %": table[row, column]}
            for row, count in enumerate(own.n_neurons)
            for column, multiplier in enumerate(own.multipliers)
        ]
    )
    limit = float(np.nanmax(np.abs(own.improvement), initial=0)) or 1.0
    return _heat(
        rows, "multiplier:O", "neurons:O", "improvement, %:Q", limit,
        ["neurons", "multiplier", "improvement, %"], written=None,
    )  # fmt: skip


def response_chart(curves: Sequence[ResponseCurve]) -> Any:
    """Change of accuracy by zone as the multiplier grows, for one direction of one task."""
    rows = pd.DataFrame(
        [
            {"zone": f"zone {curve.zone}", "multiplier": multiplier, "points": point,
             "items": curve.n_items}
            for curve in curves
            for multiplier, point in zip(
                (1.0, *curve.multipliers), (0.0, *curve.points), strict=True
            )
        ]
    )  # fmt: skip
    chart = alt.Chart(rows).mark_line(point=True)
    return _sized(
        chart.encode(
            x=alt.X("multiplier:Q"),
            y=alt.Y("points:Q", title="change of accuracy, points"),
            color=alt.Color("zone:N", scale=_ZONES, legend=_BELOW),
            tooltip=["zone", "multiplier", alt.Tooltip("points:Q", format="+.1f"), "items"],
        ),
        260,
    )


def interference_chart(measured: Interference) -> Any:
    """What amplifying for one task does to every other."""
    rows = pd.DataFrame(
        [
            {"amplified for": short(own.intervention), "task": short(own.subject),
             "change, %": own.percent, "p": own.p}
            for own in measured.effects
            if own.subject != PLAIN_TEXT
        ]
    )  # fmt: skip
    limit = float(rows["change, %"].abs().max()) or 1.0
    return _heat(
        rows, "task:N", "amplified for:N", "change, %:Q", limit,
        ["amplified for", "task", "change, %", "p"], written=None,
    )  # fmt: skip


def held_out_chart(rows: Sequence[HeldOut]) -> Any:
    """Gains where a configuration was chosen and where it was not."""
    table = pd.DataFrame(
        [
            {"task": short(own.task), "items": items, "improvement, %": value,
             "low": own.low, "high": own.high}
            for own in rows
            for items, value in (("development", own.development), ("test", own.test))
        ]
    )  # fmt: skip
    colour = alt.Color(
        "items:N", legend=_BELOW,
        scale=alt.Scale(
            domain=["development", "test"], range=[ZONE_COLOURS[1], ZONE_COLOURS[3]]
        ),
    )  # fmt: skip
    base = alt.Chart(table)
    bars = base.mark_rule(strokeWidth=5, opacity=0.25, color=ZONE_COLOURS[3]).encode(
        x="low:Q", x2="high:Q", y=alt.Y("task:N", title=None)
    )
    dots = base.mark_circle(size=70, opacity=1).encode(
        x=alt.X("improvement, %:Q"), y="task:N", color=colour,
        tooltip=["task", "items", alt.Tooltip("improvement, %:Q", format="+.2f")],
    )  # fmt: skip
    return _sized(bars + dots, 60 + 24 * len(rows))


def item_chart(items: Sequence[ItemPoint]) -> Any:
    """Every item of a run: probability before, and how far the run moved it."""
    table = pd.DataFrame(
        [
            {"task": short(own.task), "item": own.item, "zone": f"zone {own.zone}",
             "before": own.before, "after": own.after, "change": own.after - own.before,
             "amplified": own.amplified}
            for own in items
        ]
    )  # fmt: skip
    dots = (
        alt.Chart(table)
        .mark_circle(size=45)
        .encode(
            x=alt.X("before:Q", title="P(target) before"),
            y=alt.Y("change:Q", title="change"),
            color=alt.Color("zone:N", scale=_ZONES, legend=_BELOW),
            tooltip=["task", "item", "amplified", alt.Tooltip("before:Q", format=".4f"),
                     alt.Tooltip("after:Q", format=".4f"),
                     alt.Tooltip("change:Q", format="+.4f")],
        )
    )  # fmt: skip
    return _sized(dots, 360)


def _heat(
    rows: pd.DataFrame,
    x: str,
    y: str,
    colour: str,
    limit: float,
    tooltip: Sequence[str],
    *,
    written: str | None,
) -> Any:
    """A heat map around zero; `written` names the column that cells hold as text."""
    shown = [alt.Tooltip(f"{name}:Q", format="+.2f") if "%" in name else name for name in tooltip]
    base = alt.Chart(rows).encode(
        x=alt.X(x, axis=alt.Axis(labelAngle=-40 if x == "task:N" else 0)),
        y=alt.Y(y, sort=None, title=None if y == "task:N" else y.split(":")[0],
                axis=alt.Axis(labelLimit=140)),
    )  # fmt: skip
    chart: Any = base.mark_rect().encode(
        color=alt.Color(
            colour, scale=diverging(limit),
            legend=None if colour == "relative:Q" else alt.Legend(title=colour.split(":")[0]),
        ),
        tooltip=shown,
    )  # fmt: skip
    if written is not None:
        chart = chart + base.mark_text(fontSize=10).encode(
            text=alt.Text(f"{written}:Q", format=".1f"),
            color=alt.condition(
                "abs(datum.relative) > 0.65", alt.value("white"), alt.value("#222222")
            ),
        )
    return _sized(chart, 60 + 24 * rows[y.split(":")[0]].nunique())


def _sized(chart: Any, height: int) -> Any:
    return chart.properties(height=max(180, height), usermeta=SVG)
