"""The two runs side by side in the layout of lm_eval's own result table."""

from __future__ import annotations

from collections.abc import Sequence

from pytablewriter import MarkdownTableWriter

from sna_eval.study.compare.comparison import Comparison, MetricRow
from sna_eval.study.compare.formatting import number, probability, signed
from sna_eval.study.compare.tables import arrow, heading, table, task_label

_HEADERS = [
    "Tasks", "Version", "Filter", "n-shot", "Metric", "", "A", "", "Stderr", "B", "", "Stderr",
    "B - A", "p", "Test",
]  # fmt: skip


def as_side_by_side(comparisons: Sequence[Comparison]) -> str:
    """One table per comparison, as `lm_eval.utils.make_table` lays them out."""
    return "\n\n".join(map(_one, comparisons))


def _one(comparison: Comparison) -> str:
    cells = []
    previous = None
    for row in comparison.rows:
        cells.append(_cells(row, repeated=row.task == previous))
        previous = row.task
    return "\n".join([*heading(comparison), "", table(MarkdownTableWriter, _HEADERS, cells)])


def _cells(row: MetricRow, *, repeated: bool) -> list[str]:
    shots = "" if row.shots is None else str(row.shots)
    stderrs = ["N/A" if own.stderr is None else number(own.stderr) for own in (row.a, row.b)]
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
