"""Figures of unusual values: what is missing stays empty, and no name lies on another."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from sna_eval.reporting.figures import controls, grids, layers
from sna_eval.reporting.in_matplotlib import drawn
from sna_eval.reporting.labels import label_points
from sna_eval.reporting.numbers import UNKNOWN, between, coefficient, probability, share
from sna_eval.reporting.style import new_figure
from sna_eval.reporting.tables import factor_table
from sna_eval.study.interference import random_null
from sna_eval.study.statistics import Interval
from sna_eval.study.summary import (
    Decomposition,
    LayerMap,
    Share,
    TaskMeasurements,
    summarise_task,
)


def written(figure: object) -> list[str]:
    """The numbers and names inside the axes."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]  # type: ignore[attr-defined]


def measurements(task: str) -> TaskMeasurements:
    change = np.linspace(-0.02, 0.08, 6).reshape(1, 1, 2, 3)
    return TaskMeasurements(task, 1, 5, 0.2, ("both",), (4,), (3, 5), (1.5, 2.0, 3.0), change)


def test_layers_that_were_not_swept_stay_empty() -> None:
    table = np.array([[1.0, np.nan, -4.0], [np.nan, np.nan, np.nan]])
    figure = drawn(layers.draw(LayerMap(("a", "b"), (0, 3, 7), table)))
    assert written(figure) == ["1.0", "-4.0"]
    (axes,) = figure.axes
    (frame,) = axes.patches  # the task without a value has no best layer
    assert frame.get_xy() == (-0.47, -0.46)  # type: ignore[attr-defined]


def test_many_layers_leave_no_room_for_numbers() -> None:
    figure = drawn(layers.draw(LayerMap(("a",), tuple(range(25)), np.arange(25.0)[None])))
    assert written(figure) == []
    assert len(figure.axes[0].patches) == 1


def test_draws_that_do_not_differ_have_no_scale() -> None:
    """Drawn all the same, a plan's neurons lay on the stroke whatever they had gained."""
    found = random_null([("a", 0.5, [0.1, 0.1]), ("b", 0.5, [0.1]), ("c", 0.5, [0.1, 0.2])])
    assert [controls.differ(one) for one in found] == [False, False, True]


def test_random_draws_in_standard_deviations() -> None:
    """Draws 0, 2 and 4 around 2 with deviation sqrt(8/3); the plan's 5 is 3 above."""
    figure = drawn(controls.draw(random_null([("a", 5.0, [0.0, 2.0, 4.0])])))
    randoms, claimed = (np.ravel(line.get_xdata()) for line in figure.axes[0].lines[:2])
    assert randoms == pytest.approx(np.array([-2, 0, 2]) / np.sqrt(8 / 3))
    assert claimed == pytest.approx([3 / np.sqrt(8 / 3)])


def test_panels_beyond_the_tasks_are_hidden() -> None:
    made = [measurements(name) for name in "abcd"]
    figure = drawn(grids.draw(made, [summarise_task(one) for one in made]))
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2


def test_a_task_without_a_percentage_has_an_empty_panel() -> None:
    nothing = replace(measurements("a"), baseline=0.0)
    figure = drawn(grids.draw([nothing], [summarise_task(nothing)]))
    assert "nan" in figure.axes[0].get_title("left")
    assert not figure.axes[0].patches
    assert written(figure) == []


def test_names_of_crowded_points_do_not_overlap() -> None:
    figure = new_figure(6, 4)
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    points = [(0.5 + 0.004 * n, 0.5, f"task number {n}") for n in range(6)]
    label_points(axes, [*points, (0.995, 0.5, "a name at the right end")])
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in axes.texts]  # without their lines
    assert len(boxes) == 7
    assert any(text.arrow_patch is not None for text in axes.texts)  # some had to move away
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert boxes[-1].x1 <= figure.bbox.x1


def test_a_name_without_a_free_place_is_written_all_the_same() -> None:
    figure = new_figure(2, 2)
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    label_points(axes, [(0.5, 0.5, "the same place " * 3)] * 9)
    assert len(axes.texts) == 9


def test_values_that_are_not_known() -> None:
    nothing = float("nan")
    found = [probability(nothing), share(nothing), coefficient(nothing)]
    assert found == [UNKNOWN] * 3
    assert between(Interval(nothing, 0.5)) == f"{UNKNOWN} to +0.500"


def test_shares_of_variance() -> None:
    factors = Decomposition((Share("baseline", 0.58, Interval(0.1, 0.9), 0.09),), 0.42, 12, 5)
    assert factor_table(factors).rows == (
        ("baseline", "58.0 %", "10.0 % to 90.0 %", "9.0 %"),
        ("unexplained", "42.0 %", "", ""),
    )
