"""The results of a run: by task and zone, and item by item."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from sna_eval.app.core.runs import VIEW_FILE, ItemPoint, ResultFolder, page_to_read, saved_run
from sna_eval.app.ui import pieces
from sna_eval.app.ui.boundary import messages
from sna_eval.app.ui.in_altair import chart
from sna_eval.app.ui.save_panel import save
from sna_eval.reporting.colours import ZONE_COLOURS, short
from sna_eval.reporting.figures.marks import Axis, Line, Panel, Points, Series


def show(opened: ResultFolder) -> None:
    """Draws everything."""
    st.subheader("Baseline and amplified")
    rows = (
        (
            escape(row.label if row.zone == "all" else ""), row.zone, str(row.n_items), row.measure,
            pieces.number(row.baseline), pieces.number(row.amplified), pieces.change(row.change),
        )
        for row in opened.rows
    )  # fmt: skip
    headings = ("task", "zone", "items", "measure", "baseline", "amplified", "change")
    st.html(pieces.table(headings, rows))
    if opened.oracles:
        marked = ", ".join(opened.oracles)
        st.html(pieces.note(f"Oracles, amplified by the right answer: {marked}."))
    if opened.items:
        st.subheader("Items")
        names = list(dict.fromkeys(item.task for item in opened.items))
        chosen = st.multiselect("Tasks", names, default=names)
        shown = [item for item in opened.items if item.task in chosen]
        if shown:
            st.altair_chart(chart(item_panel(shown), height=360), width="stretch")
    with st.expander("Read: prompts and both answers of every item"), messages():
        st.download_button(
            "Page to read them on", partial(page_to_read, opened), VIEW_FILE, "text/html",
            key="run-view", on_click="ignore",
        )  # fmt: skip
        st.caption("Or, beside the results:")
        st.code(f"sna-eval view {shlex.quote(str(opened.folder))}", language="sh", wrap_lines=True)
    with st.expander("Save: plan file and command"), messages():
        save(saved_run(opened), note="The plan of this run, and the command that runs it again:")


def item_panel(items: Sequence[ItemPoint]) -> Panel:
    """Probability before, and how far the run moved it: a point an item, in its zone's colour."""
    zones = sorted({item.zone for item in items})
    return Panel(
        Axis("P(target) before"),
        Axis("change"),
        (Line("x"), *(_zone(items, zone) for zone in zones)),
    )


def _zone(items: Sequence[ItemPoint], zone: int) -> Points:
    inside = [item for item in items if item.zone == zone]
    return Points(
        Series(f"zone {zone}", ZONE_COLOURS[zone]),
        tuple(item.before for item in inside),
        tuple(item.after - item.before for item in inside),
        tuple(
            {"task": short(item.task), "item": item.item, "amplified": item.amplified,
             "before": item.before, "after": item.after, "change": item.after - item.before}
            for item in inside
        ),
    )  # fmt: skip
