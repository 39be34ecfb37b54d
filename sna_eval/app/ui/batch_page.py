"""Batch: a file of prompts and targets, scored at once."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from sna_eval.app.core.batch import BatchRow, as_csv, as_jsonl, run_batch, scorable
from sna_eval.app.core.batch_file import LARGEST_FILE, PromptFile, read_prompt_file
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import controls, pieces, save_panel, state
from sna_eval.app.ui.boundary import messages, plain, search, workspace

_RESULT = "batch"
_SHOWN = 200


def show() -> None:
    """The page."""
    controls.show()
    st.title("Batch")
    st.html(
        pieces.note(
            f"JSONL or CSV with prompt and target, up to {LARGEST_FILE // 2**20} MB. Wrong "
            "choices, where there are any, go into others; in CSV with | between them."
        )
    )
    uploaded = st.file_uploader("Prompts", type=["jsonl", "csv", "json", "txt"], key="batch_file")
    st.checkbox("A space before the target", key="space")
    st.html(pieces.note(controls.summary()))
    with messages():
        model = workspace()
        file = None
        if uploaded is not None:
            file = read_prompt_file(uploaded.name, uploaded.getvalue(), space=state.value("space"))
            _bad_rows(file)
        if st.button("Run", type="primary", disabled=file is None) and file is not None:
            setting = state.setting()
            st.session_state.pop(_RESULT, None)
            kept = scorable(model, file)
            rows = _run(model, setting, kept)
            st.session_state[_RESULT] = (model.name, setting, file, kept, rows)
        if _RESULT in st.session_state:
            _result(model, file)


def _bad_rows(file: PromptFile) -> None:
    kept = f"{len(file.rows)} row{'s' if len(file.rows) != 1 else ''} can be used"
    if not file.bad:
        st.success(f"{kept}.")
        return
    listed = "\n".join(f"- line {row.line}: {plain(row.why)}" for row in file.bad[:20])
    more = f"\n- and {len(file.bad) - 20} more" if len(file.bad) > 20 else ""
    st.warning(f"{kept}, {len(file.bad)} cannot:\n\n{listed}{more}")


def _run(model: Workspace, setting: Setting, file: PromptFile) -> tuple[BatchRow, ...]:
    """Scores the file, showing how far it is."""
    search(model, setting)
    bar = st.progress(0.0, "Scoring")
    rows: list[BatchRow] = []
    for portion in run_batch(model, setting, file.rows):
        rows += portion
        bar.progress(len(rows) / len(file.rows), f"{len(rows)} of {len(file.rows)}")
    bar.empty()
    return tuple(rows)


def _result(model: Workspace, shown: PromptFile | None) -> None:
    name, setting, file, kept, rows = st.session_state[_RESULT]
    if name != model.name:
        st.caption("The model has changed: press Run.")
        return
    with messages():
        if setting != state.setting() or shown not in (None, file):
            st.caption("The settings or the file have changed since: press Run for new answers.")
    if len(kept.bad) > len(file.bad):
        _bad_rows(kept)
    st.html(_cards(rows))
    st.html(_zones(rows))
    st.html(_table(rows[:_SHOWN]))
    if len(rows) > _SHOWN:
        st.caption(f"The first {_SHOWN} of {len(rows)} rows; the files hold all.")
    left, right = st.columns(2)
    left.download_button("Table as CSV", as_csv(rows), "batch.csv", "text/csv", on_click="ignore")
    right.download_button(
        "Table as JSONL", as_jsonl(rows), "batch.jsonl", "application/jsonl", on_click="ignore"
    )
    save_panel.show(model, setting, [row.question for row in kept.rows], key="batch")


def _cards(rows: Sequence[BatchRow]) -> str:
    before = sum(row.baseline_prob for row in rows) / len(rows)
    after = sum(row.prob for row in rows) / len(rows)
    amplified = sum(row.amplified for row in rows)
    return pieces.cards(
        pieces.card("P(target) before, mean", pieces.number(before)),
        pieces.card("Amplified", f"{amplified} of {len(rows)}"),
        pieces.card("P(target) after, mean", pieces.number(after), pieces.change(after - before)),
    )


def _zones(rows: Sequence[BatchRow]) -> str:
    """Means by zone, as a run's own table has them."""
    lines = []
    for zone in (1, 2, 3):
        inside = [row for row in rows if row.zone == zone]
        if inside:
            before = sum(row.baseline_prob for row in inside) / len(inside)
            after = sum(row.prob for row in inside) / len(inside)
            lines.append(
                (
                    pieces.chip(zone), str(len(inside)), pieces.number(before),
                    pieces.number(after), pieces.change(after - before),
                )
            )  # fmt: skip
    return pieces.table(("zone", "rows", "before", "after", "change"), lines)


def _table(rows: Sequence[BatchRow]) -> str:
    return pieces.table(
        ("line", "prompt", "target", "zone", "confidence", "before", "after", "change"),
        (
            (
                str(row.line),
                escape(row.prompt if len(row.prompt) <= 90 else "..." + row.prompt[-87:]),
                pieces.token(row.target),
                pieces.chip(row.zone),  # type: ignore[arg-type]
                pieces.number(row.confidence),
                pieces.number(row.baseline_prob),
                pieces.number(row.prob),
                pieces.change(row.delta_prob) if row.amplified else "left",
            )
            for row in rows
        ),
        text=4,
        wide=1,
    )
