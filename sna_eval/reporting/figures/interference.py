"""Interference: what each intervention does to each task, and to plain text."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sna_eval.reporting.figures.heat import heat, largest
from sna_eval.reporting.style import INK, new_figure, short
from sna_eval.study.interference import PLAIN_TEXT, Interference


def draw(found: Interference) -> Figure:
    """Tasks on the left; perplexity of plain text, where a rise is a loss, on the right."""
    tasks = [name for name in found.subjects if name != PLAIN_TEXT]
    rows = [short(name) for name in found.interventions]
    figure = new_figure(3.4 + 0.62 * len(tasks), 2.2 + 0.36 * len(rows))
    left, right = figure.subplots(1, 2, width_ratios=[max(2, len(tasks)), 1])
    table = found.matrix()
    columns = [found.subjects.index(name) for name in tasks]
    heat(left, table[:, columns], rows, [short(name) for name in tasks])
    left.tick_params(axis="x", rotation=45, labelsize=8)
    for label in left.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    for row, name in enumerate(found.interventions):
        if name in tasks:
            place = (tasks.index(name) - 0.48, row - 0.46)
            left.add_patch(Rectangle(place, 0.96, 0.92, fill=False, edgecolor=INK, linewidth=1))
    left.set_title("Change of P(target), %; framed: the task's own", loc="left", fontsize=9)
    left.set_ylabel("amplified for")
    text = table[:, [found.subjects.index(PLAIN_TEXT)]]
    heat(right, text, [""] * len(rows), ["plain text"], reverse=True, numbers=False)
    for row, value in enumerate(text[:, 0]):
        colour = "white" if abs(value) > 0.65 * largest(text) else INK
        right.text(0, row, f"{value:+.2f}", ha="center", va="center", fontsize=6.5, color=colour)
    right.set_title("Perplexity, %", fontsize=9)
    return figure
