"""Runs: the folder of a sweep, of interference or of lm_eval's results, to be looked into."""

from __future__ import annotations

import streamlit as st

from sna_eval.app.core.runs import (
    InterferenceFolder,
    Opened,
    ResultFolder,
    SweepFolder,
    open_folder,
)
from sna_eval.app.ui import pieces, result_view, state, sweep_view
from sna_eval.app.ui.boundary import messages
from sna_eval.study.interference import Interference

_RESULT = "opened"


def show() -> None:
    """The page."""
    st.title("Runs")
    left, right = st.columns([3, 2])
    left.text_input("Folder", key="folder", placeholder="sweeps/gpt2")
    right.text_input(
        "Interference of a plan chosen from it (optional)", key="interference",
        placeholder="interference/gpt2",
    )  # fmt: skip
    st.html(
        pieces.note(
            "What sna-eval sweep or sna-eval interference wrote, or lm_eval with --model sna, "
            "--output_path and --log_samples."
        )
    )
    if st.button("Open", type="primary"):
        _open()
    if _RESULT in st.session_state:
        with messages():
            _view(*st.session_state[_RESULT])


def _open() -> None:
    st.session_state.pop(_RESULT, None)
    with messages(), st.spinner("Reading"):
        opened = open_folder(state.value("folder"))
        named = state.value("interference").strip()
        measured = Interference.load(named) if named else None
        st.session_state[_RESULT] = (opened, measured)


def _view(opened: Opened, measured: Interference | None) -> None:
    if isinstance(opened, SweepFolder):
        sweep_view.show(opened, measured)
    elif isinstance(opened, InterferenceFolder):
        sweep_view.show_interference(opened.measured)
    elif isinstance(opened, ResultFolder):
        result_view.show(opened)
