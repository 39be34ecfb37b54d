"""Prompt and target, typed or taken from a task's items."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from sna_eval.app.core.question import Question
from sna_eval.app.core.tasks import task_names, task_questions
from sna_eval.app.ui import state
from sna_eval.app.ui.boundary import messages


def show() -> None:
    """Draws the form; its values lie in the session's state."""
    st.text_area("Prompt", key="prompt", height=90)
    left, right = st.columns(2)
    left.text_input("Target", key="target", help="The continuation whose probability is wanted.")
    left.checkbox("A space before the target", key="space")
    right.text_area(
        "Other choices, one a line", key="others", height=90,
        help="Wrong answers; with them there is a margin.",
    )  # fmt: skip
    with st.expander("Take an item of a task"):
        _items()


def _items() -> None:
    left, right = st.columns(2)
    task = left.selectbox("Task", task_names(), index=task_names().index("sna_math_easy"))
    split: Literal["development", "test"] = right.selectbox("Split", ("development", "test"))
    if split == "test":
        st.caption("Test items are for results: a setting chosen by looking at them proves little.")
    with messages():
        questions = task_questions(task, split)
        number = st.selectbox(
            "Item",
            range(len(questions)),
            format_func=lambda place: f"{place + 1}. {_short(questions[place])}",
        )
        st.button("Take it", on_click=state.put_question, args=(questions[number],))


def _short(question: Question) -> str:
    text = " ".join(question.prompt.split())
    return f"{text if len(text) <= 90 else '...' + text[-87:]} | {question.target.strip()}"
