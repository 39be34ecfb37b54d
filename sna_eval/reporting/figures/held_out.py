"""Development against test: where a configuration was chosen, and where it was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from sna_eval.reporting.style import MUTED, ZONE_COLOURS, new_figure, short
from sna_eval.study.summary import GatedGain, HeldOut


class _Line(NamedTuple):
    name: str
    development: float
    test: float
    low: float
    high: float


def draw(rows: Sequence[HeldOut]) -> Figure:
    """Ungated gains, in percent."""
    lines = [_Line(_name(o), o.development, o.test, o.low, o.high) for o in rows]
    return _draw(lines, "improvement of the chosen configuration, %")


def draw_gated(rows: Sequence[GatedGain]) -> Figure:
    """Gains behind the gate."""
    lines = [_Line(f"{_name(o)} ({o.measure})", o.development, o.test, o.low, o.high) for o in rows]
    return _draw(lines, "change of mean P(target) or accuracy behind the gate")


def _name(row: HeldOut | GatedGain) -> str:
    return f"{short(row.task)} (oracle)" if row.oracle else short(row.task)


def _draw(lines: Sequence[_Line], label: str) -> Figure:
    """One line a task, from its development gain to its test gain with an interval."""
    figure = new_figure(8, 1.3 + 0.3 * len(lines))
    axes = figure.subplots()
    for number, own in enumerate(reversed(lines)):
        first = number == 0
        axes.plot([own.development, own.test], [number] * 2, color=MUTED, linewidth=0.8)
        axes.plot(
            [own.low, own.high], [number] * 2, color=ZONE_COLOURS[3], linewidth=2.5, alpha=0.3
        )
        axes.plot(
            own.development, number, "o", markerfacecolor="white", color=ZONE_COLOURS[1],
            label="development items, chosen on" if first else None,
        )  # fmt: skip
        axes.plot(
            own.test, number, "o", color=ZONE_COLOURS[3],
            label="test items, 95 % interval" if first else None,
        )  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(lines)), [own.name for own in reversed(lines)])
    axes.set_xlabel(label)
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return figure
