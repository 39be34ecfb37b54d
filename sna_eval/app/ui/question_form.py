"""Prompt and target, typed or taken from a task's items."""

from __future__ import annotations

import streamlit as st

from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.tasks import FIRST_TASK, SPLITS, question_tasks, task_questions
from sna_eval.app.ui import state
from sna_eval.app.ui.boundary import messages
from sna_eval.app.ui.choosing import chosen


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
    task = chosen(left, "Task", question_tasks(), first=FIRST_TASK)
    split = chosen(right, "Split", SPLITS)
    if split == "test":
        st.caption("Test items are for results: a setting chosen by looking at them proves little.")
    with messages():
        questions = task_questions(task, split)
        number = chosen(
            st.container(),
            "Item",
            range(len(questions)),
            name=lambda place: f"{place + 1}. {_short(questions[place])}",
        )
        st.button("Take it", on_click=state.put_question, args=(questions[number],))


def _short(question: TypedQuestion) -> str:
    text = " ".join(question.prompt.split())
    return f"{text if len(text) <= 90 else '...' + text[-87:]} | {question.target.strip()}"
