"""A comparison as a table: for a terminal, as Markdown, or in the layout of lm_eval's results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytablewriter import MarkdownTableWriter, SpaceAlignedTableWriter
from pytablewriter.writer import AbstractTableWriter

from sna_eval.study.compare.comparability import grouped
from sna_eval.study.compare.comparison import Comparison, MetricRow
from sna_eval.study.compare.effects import MetricChange
from sna_eval.study.compare.formatting import (
    UNKNOWN,
    at_most,
    between,
    count,
    listed,
    number,
    probability,
    signed,
)
from sna_eval.study.compare.panels import Panel
from sna_eval.study.statistics.clusters import FEW

FORCED_MARK = "!"
"""Before the name of a task whose two results are not comparable."""

Cells = list[list[str]]


def as_text(comparisons: Sequence[Comparison]) -> str:
    """For a terminal."""
    return "\n\n".join(
        "\n".join(_blocks(comparison, SpaceAlignedTableWriter, "")) for comparison in comparisons
    )


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """For a report or an issue."""
    return "\n\n".join(
        "\n".join(_blocks(comparison, MarkdownTableWriter, "- ")) for comparison in comparisons
    )


def task_label(row: MetricRow) -> str:
    """The task with its marks."""
    mark = f"{FORCED_MARK} " if row.forced else ""
    kind = " (group)" if row.is_group else ""
    gate = " (descriptive: gate sees the answer)" if row.sees_answer else ""
    return f"{mark}{row.task}{kind}{' (oracle)' if row.oracle else gate}"


def arrow(row: MetricRow) -> str:
    """lm_eval's sign for the better direction."""
    return "" if row.higher_is_better is None else "↑" if row.higher_is_better else "↓"


def metric_label(row: MetricRow) -> str:
    """The metric and its better direction."""
    return f"{row.metric} {arrow(row)}".rstrip()


def heading(comparison: Comparison) -> Iterator[str]:
    """Which runs, and whether they may be compared at all."""
    for label, run in (("A", comparison.a), ("B", comparison.b)):
        yield f"{label}: {run.title} ({run.path.name})"
    if comparison.differences:
        yield f"NOT COMPARABLE, forced; tasks marked {FORCED_MARK}:"
        yield from grouped(comparison.differences)


def _blocks(
    comparison: Comparison, writer: type[AbstractTableWriter], bullet: str
) -> Iterator[str]:
    for line in heading(comparison):
        yield f"{bullet}{line}"
    yield ""
    yield table(writer, _headers(comparison), [_cells(row, comparison) for row in comparison.rows])
    parted = [row for row in comparison.rows if len(row.zones) > 1]
    if comparison.panels:
        scales = [cells for panel in comparison.panels for cells in _scale_cells(panel)]
        yield table(writer, _scale_headers(comparison), scales)
    zones = [cells for row in parted for cells in _zone_cells(row)]
    if zones:
        yield table(writer, _zone_headers(comparison), zones)
    for line in _notes(comparison):
        yield f"{bullet}{line}"


def table(writer: type[AbstractTableWriter], headers: Sequence[str], cells: Cells) -> str:
    """One table; cells are texts already."""
    made = writer()
    made.headers = list(headers)
    made.value_matrix = cells
    made.type_hints = ["string"] * len(headers)
    return str(made.dumps())


def _headers(comparison: Comparison) -> list[str]:
    interval = f"{100 * comparison.options.confidence:g}% interval"
    return [
        "task", "metric", "n", "A", "B", "B - A", interval, "p", "Holm", "BH", "better/worse",
        "harm in zone 3", "detectable", *_no_larger(comparison), "clusters", "test",
    ]  # fmt: skip


def _no_larger(comparison: Comparison) -> list[str]:
    """The head of the column of equivalence tests, where one was asked for."""
    smallest = comparison.options.smallest
    return [] if smallest is None else [f"p, not within {smallest:g}"]


def _cells(row: MetricRow, comparison: Comparison) -> list[str]:
    effect = row.effect
    return [
        task_label(row),
        metric_label(row),
        *_effect_cells(effect),
        probability(row.p_holm),
        probability(row.p_bh),
        _moved(effect),
        f"{row.harm.harmed} of {row.harm.items} (<= {at_most(row.harm.at_most)})"
        if row.harm
        else UNKNOWN,
        number(effect.detectable),
        *(probability(effect.p_equivalence) for _ in _no_larger(comparison)),
        _clusters(effect),
        effect.test,
    ]


def _clusters(effect: MetricChange) -> str:
    """How many items go together, and what that does to the variance."""
    if math.isnan(effect.design_effect):
        return count(effect.clusters)
    return f"{effect.clusters} (x{effect.design_effect:.1f})"


def _scale_headers(comparison: Comparison) -> list[str]:
    interval = f"{100 * comparison.options.confidence:g}% interval"
    return ["task", "scale", "n", "A", "B", "B - A", interval, "p"]


def _scale_cells(panel: Panel) -> Iterator[list[str]]:
    for scale in panel.scales:
        yield [
            panel.task,
            scale.scale.replace("_", "-"),
            count(panel.n),
            number(scale.before),
            number(scale.after),
            signed(scale.difference),
            between(scale.interval),
            probability(scale.p),
        ]


def _zone_headers(comparison: Comparison) -> list[str]:
    interval = f"{100 * comparison.options.confidence:g}% interval"
    return ["task", "metric", "zone", "n", "A", "B", "B - A", interval, "p", "better/worse"]


def _zone_cells(row: MetricRow) -> Iterator[list[str]]:
    for part in row.zones:
        effect = part.effect
        yield [
            task_label(row),
            metric_label(row),
            str(part.zone),
            *_effect_cells(effect),
            _moved(effect),
        ]


def _effect_cells(effect: MetricChange) -> list[str]:
    """From the number of items to the uncorrected p."""
    return [
        count(effect.n),
        number(effect.before),
        number(effect.after),
        signed(effect.difference),
        between(effect.interval),
        probability(effect.p),
    ]


def _moved(effect: MetricChange) -> str:
    return UNKNOWN if effect.better is None else f"{effect.better}/{effect.worse}"


def _few(effect: MetricChange) -> bool:
    return effect.test == "clusters" and (effect.clusters or 0) < FEW


def _notes(comparison: Comparison) -> Iterator[str]:
    tests = {row.effect.test for row in comparison.rows}
    if "unpaired z" in tests:
        yield (
            "unpaired z: from standard errors alone, as if the runs had seen different documents; "
            "too cautious where they saw the same"
        )
    if "none" in tests:
        yield "none: no items and no standard errors, so nothing could be tested"
    few = [row.task for row in comparison.rows if _few(row.effect)]
    if few:
        yield (
            f"caution: fewer than {FEW} clusters of items that share their answer, so intervals "
            f"and p-values are rough: {listed(list(dict.fromkeys(few)))}"
        )
    for caution in comparison.cautions:
        yield f"caution: {caution}"
    for label, names in (("A", comparison.only_a), ("B", comparison.only_b)):
        if names:
            yield f"only in {label}: {listed(names)}"


_SIDE_HEADERS = [
    "Tasks", "Version", "Filter", "n-shot", "Metric", "", "A", "", "Stderr", "B", "", "Stderr",
    "B - A", "p", "Test",
]  # fmt: skip


def as_side_by_side(comparisons: Sequence[Comparison]) -> str:
    """One table per comparison, as `lm_eval.utils.make_table` lays them out."""
    return "\n\n".join(map(_side_by_side, comparisons))


def _side_by_side(comparison: Comparison) -> str:
    cells = []
    previous = None
    for row in comparison.rows:
        cells.append(_side_cells(row, repeated=row.task == previous))
        previous = row.task
    return "\n".join([*heading(comparison), "", table(MarkdownTableWriter, _SIDE_HEADERS, cells)])


def _side_cells(row: MetricRow, *, repeated: bool) -> list[str]:
    shots = "" if row.shots is None else str(row.shots)
    stderrs = ["N/A" if side.stderr is None else number(side.stderr) for side in (row.a, row.b)]
    return [
        "" if repeated else task_label(row),
        "" if repeated else row.version or "N/A",
        row.metric.filter,
        shots,
        row.metric.metric,
        arrow(row),
        number(row.a.value),
        "±",
        stderrs[0],
        number(row.b.value),
        "±",
        stderrs[1],
        signed(row.effect.difference),
        probability(row.effect.p),
        row.effect.test,
    ]
