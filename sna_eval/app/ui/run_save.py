"""Saving what a run's folder says: the plan and the command for it."""

from __future__ import annotations

import streamlit as st

from sna_eval.app.core.saving import PLAN_FILE, Saved
from sna_eval.app.ui import pieces


def save(saved: Saved, *, note: str) -> None:
    """The plan of a run and the command for it."""
    st.html(pieces.note(note))
    st.download_button(
        "Plan file", saved.plan, PLAN_FILE, "application/yaml", key="run-plan", on_click="ignore"
    )
    st.code(saved.command, language="sh", wrap_lines=True)
