"""Saving what was tried, and saving a run: the plan file, and the command with all it needs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.saving import PLAN_FILE, Saved, save_state
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import pieces
from sna_eval.app.ui.boundary import messages


def show(
    workspace: Workspace, setting: Setting, questions: Sequence[TypedQuestion], *, key: str
) -> None:
    """Draws the panel for a setting and the items it was tried on."""
    with st.expander("Save: plan file and command"), messages():
        saved = save_state(workspace, setting, questions)
        left, right = st.columns(2)
        left.download_button(
            "Plan file", saved.plan, PLAN_FILE, "application/yaml", key=f"{key}-plan",
            on_click="ignore",
        )  # fmt: skip
        right.download_button(
            "Plan, items and command", saved.archive(), "sna-eval.zip", "application/zip",
            key=f"{key}-zip", on_click="ignore",
        )  # fmt: skip
        st.caption("Unpack the second file, and run in its folder:")
        st.code(saved.command, language="sh", wrap_lines=True)


def save(saved: Saved, *, note: str) -> None:
    """The plan of a run and the command for it."""
    st.html(pieces.note(note))
    st.download_button(
        "Plan file", saved.plan, PLAN_FILE, "application/yaml", key="run-plan", on_click="ignore"
    )
    st.code(saved.command, language="sh", wrap_lines=True)
