"""A sweep's figures and tables, as in its report, interactive."""

from __future__ import annotations

from html import escape

import streamlit as st

from sna_eval.app.core.runs import SweepFolder, saved_choice
from sna_eval.app.core.taking import take_best
from sna_eval.app.ui import pieces, state
from sna_eval.app.ui.boundary import messages, plain
from sna_eval.app.ui.controls import chosen
from sna_eval.app.ui.in_altair import chart
from sna_eval.app.ui.save_panel import save
from sna_eval.errors import InputError
from sna_eval.reporting.colours import short
from sna_eval.reporting.figures import baseline, grids, interference, layers, response
from sna_eval.reporting.figures import held_out as held_out_figure
from sna_eval.study.interference import Interference
from sna_eval.study.summary import Summary, TaskSummary, held_out

_TAKEN = "taken"


def show(opened: SweepFolder, measured: Interference | None) -> None:
    """Draws everything."""
    manifest, summary = opened.store.manifest, opened.summary
    count = sum(task.configurations for task in summary.tasks)
    st.html(
        pieces.note(
            f"{manifest['model']}: {count:,} configurations of {len(summary.tasks)} tasks on "
            f"{manifest['split']} items, every item amplified."
        )
    )
    _baseline(summary)
    _tasks(summary)
    st.subheader("Layers")
    st.altair_chart(chart(layers.draw(summary.layers).panels[0]), width="stretch")
    st.html(pieces.note("Mean improvement in % over the grid; colours within each task."))
    _grids(summary, opened)
    _responses(summary)
    if measured is not None:
        _held_out(opened, measured)
        show_interference(measured)
    _factors(summary)
    with st.expander("Save: plan file and command"), messages():
        save(
            saved_choice(opened),
            note="Each task's best configuration by its lower confidence bound, and its test:",
        )


def show_interference(measured: Interference) -> None:
    """What amplifying for one task does to the others and to plain text."""
    from sna_eval.reporting import tables

    st.subheader("Interference")
    st.altair_chart(chart(interference.tasks(measured)), width="stretch")
    _table(tables.text_table(measured))
    if measured.controls:
        st.subheader("Random neurons")
        _table(tables.control_table(measured.controls))


def _baseline(summary: Summary) -> None:
    from sna_eval.reporting import tables

    st.subheader("Baseline against improvement")
    st.html(
        pieces.note(
            "Improvement in percent has the baseline in its denominator and falls with it even "
            "where the change does not. Grey: where 95 % would lie if changes were dealt out to "
            "the tasks at random."
        )
    )
    st.altair_chart(chart(baseline.scatter(summary.tasks)), width="stretch")
    if summary.across:
        st.altair_chart(chart(baseline.correlations(summary.across)), width="stretch")
        with st.expander("Correlations as a table"):
            _table(tables.across_table(summary.across))


def _tasks(summary: Summary) -> None:
    from sna_eval.reporting import tables

    st.subheader("Tasks")
    _table(tables.task_table(summary.tasks))
    _table(tables.zone_table(summary.zones))


def _grids(summary: Summary, opened: SweepFolder) -> None:
    st.subheader("Counts and multipliers")
    left, middle, right = st.columns(3)
    names = [task.task for task in summary.tasks]
    number = names.index(chosen(left, "Task", names))
    measured, best = summary.measurements[number], summary.tasks[number]
    layer = chosen(middle, "Layer", measured.layers, first=best.best_layer)
    direction = chosen(right, "Direction", measured.directions, first=best.best.direction)
    st.altair_chart(chart(grids.panel(measured, layer, direction)), width="stretch")
    st.button(
        f"Take the best into Try it: {best.best.label}",
        on_click=_take,
        args=(opened, best),
    )
    task, said = st.session_state.get(_TAKEN, (None, ""))
    if task == best.task:
        st.caption(said)


def _take(opened: SweepFolder, best: TaskSummary) -> None:
    """The best configuration, its gate and its model become the setting of all pages."""
    try:
        taken = take_best(opened.store, best)
    except InputError as error:
        st.session_state[_TAKEN] = best.task, plain(f"Not taken. {error}")
        return
    state.put_setting(taken.setting)
    state.put_model(taken.model, model_hash=taken.model_hash)
    gate = taken.setting.gate
    seen = ", which looks at the right answer" if gate.sees_answer else ""
    st.session_state[_TAKEN] = (
        best.task,
        plain(
            f"Taken, with the model {taken.model} and the sweep's gate, "
            f"{pieces.signal_name(gate.signal)}{seen}."
        ),
    )


def _responses(summary: Summary) -> None:
    found = dict.fromkeys((curve.task, curve.direction) for curve in summary.curves)
    for task, direction in found:
        st.subheader(f"Response curves: {short(task)}, {direction}")
        curves = [c for c in summary.curves if (c.task, c.direction) == (task, direction)]
        st.altair_chart(chart(response.panel(curves)), width="stretch")
        oracle = "An oracle: it knows the right answer. " if curves[0].oracle else ""
        st.html(
            pieces.note(
                f"{oracle}Layer {curves[0].layer}, {curves[0].n_neurons} neurons a label; zones "
                "are the unmodified model's."
            )
        )


def _held_out(opened: SweepFolder, measured: Interference) -> None:
    from sna_eval.reporting import tables

    rows = held_out(opened.store, opened.summary.measurements, measured)
    if not rows:
        return
    st.subheader("Development against test")
    st.altair_chart(chart(held_out_figure.draw(rows).panels[0]), width="stretch")
    _table(tables.held_out_table(rows))


def _factors(summary: Summary) -> None:
    from sna_eval.reporting import tables

    if summary.factors is not None:
        st.subheader("Three factors")
        _table(tables.factor_table(summary.factors))


def _table(found: object) -> None:
    """A table of the report."""
    from sna_eval.reporting.tables import Table

    assert isinstance(found, Table)
    rows = ([escape(cell) for cell in row] for row in found.rows)
    st.html(pieces.table(found.headings, rows))
