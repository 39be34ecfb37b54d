"""Interference: what each intervention does to each task, and to plain text."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sna_eval.reporting.figures.heat import heat
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
            left.text(tasks.index(name) - 0.44, row - 0.4, "•", fontsize=8, color=INK, va="center")
    left.set_title("Change of P(target), % (dot: the task's own)", loc="left", fontsize=9)
    left.set_ylabel("amplified for")
    text = table[:, [found.subjects.index(PLAIN_TEXT)]]
    heat(right, np.asarray(text), [""] * len(rows), ["plain text"], reverse=True, numbers=False)
    for row, value in enumerate(text[:, 0]):
        right.text(0, row, f"{value:+.2f}", ha="center", va="center", fontsize=6.5)
    right.set_title("Perplexity, %", loc="left", fontsize=9)
    return figure
