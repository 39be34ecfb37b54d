"""The table as text: one block a task, and the means over tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from sna_eval.gating import DESCRIPTIVE
from sna_eval.study.methods.table import MethodRow, MethodTable

_HEAD = (
    f"{'gain':>8} {'95 % interval':>20} {'over random':>12} {'specific':>9} {'p random':>9} "
    f"{'tried':>6} "
    f"{'harm zone 3':>12} {'strength':>9} {'seconds':>8}"
)
_WIDTH = 16
"""Of the methods' names, if no mark makes one longer."""


def format_table(table: MethodTable) -> str:
    """Every row, task by task. Gains in percentage points of probability, accuracy or another score
    of 0 to 1; of scores beyond that as they are."""
    tasks = dict.fromkeys(row.task for row in table.rows)
    blocks = [block for task in tasks for block in _block(table, task)]
    return "\n".join([*blocks, *(_means(table) if len(tasks) > 1 else ())])


def format_summary(table: MethodTable) -> str:
    """A Markdown table: methods by tasks, gains in points, and means over tasks."""
    tasks = list(dict.fromkeys(row.task for row in table.rows))
    methods = dict.fromkeys(row.method for row in table.rows)
    cells = {(row.method, row.task): row for row in table.rows}
    short = [task.removeprefix("sna_") for task in tasks]
    lines = [
        f"| method | {' | '.join(short)} | mean | over random | specific | harm zone 3 | seconds |",
        "|---|" + "---:|" * (len(tasks) + 5),
    ]
    for method in methods:
        rows = [cells[method, task] for task in tasks if (method, task) in cells]
        marked = [_marked(cells.get((method, task))) for task in tasks]
        gain, over, specific, harm = (
            _mean(rows, name) for name in ("gain", "over_random", "specific", "harm_zone3")
        )
        lines.append(
            f"| {_label(rows)} | {' | '.join(marked)} | {_signed(gain)} | {_signed(over)} | "
            f"{_signed(specific / 100, 3)} | {_signed(harm)} | "
            f"{np.mean([row.seconds for row in rows]):.1f} |"
        )
    if any(map(_behind_answers, table.rows)):
        lines += ["", f"† {DESCRIPTIVE}"]
    return "\n".join(lines)


def _block(table: MethodTable, task: str) -> Iterator[str]:
    rows = [row for row in table.rows if row.task == task]
    first = rows[0]
    yield (
        f"{task}: {first.measure} {first.scale * first.baseline:.2f} on {first.n_items} items, "
        f"{first.n_amplified} amplified, {first.n_zone3} in zone 3"
    )
    if _behind_answers(first):
        yield DESCRIPTIVE
    width = max(_WIDTH, *(len(row.label) for row in rows))
    head = f"{'method':<{width}} {_HEAD}"
    yield head
    yield "-" * len(head)
    for row in rows:
        yield f"{row.label:<{width}} {_line(row)}"
    yield ""


def _line(row: MethodRow) -> str:
    scale = row.scale
    interval = f"[{scale * row.low:+.2f}, {scale * row.high:+.2f}]"
    specific = _signed(row.specific, 3)
    chance = "" if math.isnan(row.p_random) else f"{row.p_random:.3f}"
    harm = _signed(scale * row.harm_zone3)
    strength = "" if row.strength is None else f"{row.strength:.3g}"
    return (
        f"{scale * row.gain:>+8.2f} {interval:>20} {scale * row.over_random:>+12.2f} "
        f"{specific:>9} {chance:>9} {row.tried or '-':>6} {harm:>12} {strength:>9} "
        f"{row.seconds:>8.1f}"
    )


def _means(table: MethodTable) -> Iterator[str]:
    methods: dict[str, list[MethodRow]] = {}
    for row in table.rows:
        methods.setdefault(row.method, []).append(row)
    width = max(_WIDTH, *(len(_label(rows)) for rows in methods.values()))
    yield "mean over tasks"
    yield f"{'method':<{width}} {'gain':>8} {'over random':>12} {'harm zone 3':>12}"
    for rows in methods.values():
        gain, over, harm = (_mean(rows, name) for name in ("gain", "over_random", "harm_zone3"))
        numbers = f"{_signed(gain):>8} {_signed(over):>12} {_signed(harm):>12}"
        yield f"{_label(rows):<{width}} {numbers}"


def _label(rows: Sequence[MethodRow]) -> str:
    """One method's name, marked where it is an oracle on any of the tasks."""
    return next((row.label for row in rows if row.oracle), rows[0].label)


def _mean(rows: Sequence[MethodRow], name: str) -> float:
    """In points, over the tasks that have a value and are told in points."""
    told = (getattr(row, name) for row in rows if row.scale != 1.0)
    values = [value for value in told if not math.isnan(value)]
    return 100 * float(np.mean(values)) if values else math.nan


def _signed(change: float, digits: int = 2) -> str:
    """A change as text; empty where no task has an item that it is told of."""
    return "" if math.isnan(change) else f"{change:+.{digits}f}"


def _marked(row: MethodRow | None) -> str:
    """A gain in points with its mark; empty where a method has nothing to amplify."""
    return "" if row is None else f"{row.scale * row.gain:+.2f}{_star(row)}"


def _star(row: MethodRow) -> str:
    """Marks gains whose interval leaves zero out, and those that no interval makes evidence."""
    if _behind_answers(row):
        return "†"
    return "\\*" if row.low > 0 or row.high < 0 else ""


def _behind_answers(row: MethodRow) -> bool:
    """Whether its gate looks at right answers; a direction that does is marked by its name."""
    return row.descriptive and not row.oracle
