"""What is typed and chosen: the settings at the side (model, neurons, gate) and the question.

The settings are the same on every page that runs the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sna_eval.app.core.models import OFFERED
from sna_eval.app.core.question import (
    FIRST_TASK,
    SPLITS,
    TypedQuestion,
    question_tasks,
    task_names,
    task_questions,
)
from sna_eval.app.ui import state
from sna_eval.app.ui.boundary import messages
from sna_eval.gating import SIGNALS, ConfidenceSignal
from sna_eval.intervention import Positions
from sna_eval.neurons import RANKINGS, Pooling

T = TypeVar("T")

_GATES = (*SIGNALS, "always", "never")
_UNITS: dict[str, str] = {"mlp": "neurons", "head": "attention heads"}


def show() -> None:
    """Draws the sidebar."""
    with st.sidebar:
        _model()
        _neurons()
        _gate()
        _more()


def summary() -> str:
    """The setting in a line, for screens whose sidebar is folded."""
    gate = state.value("gate")
    bounds = "" if gate in ("always", "never") else f" {state.value('low')}, {state.value('high')}"
    found = f"{state.value('count')} {_UNITS[state.value('unit')]} of {state.value('source')}"
    return (
        f"{state.model_name()}: layer {state.value('layer')}, {found}, "
        f"x{state.value('multiplier')}; gate {gate}{bounds}"
    )


def _model() -> None:
    st.selectbox("Model", (*OFFERED, state.OTHER_MODEL), key="model")
    if state.value("model") == state.OTHER_MODEL:
        st.text_input(
            "Hub name, folder or .gguf file", key="other_model", placeholder="EleutherAI/pythia-70m"
        )


def _neurons() -> None:
    st.subheader("Neurons")
    st.selectbox(
        "Found on", (*task_names(), state.OWN), key="source", on_change=state.put_method,
        help="Development prompts of a task, or prompts of your own.",
    )  # fmt: skip
    if state.value("source") == state.OWN:
        st.text_area("Task prompts, one a line", key="own_prompts")
        st.text_area(
            "Reference prompts, one a line", key="own_reference",
            help="Empty: the bundled neutral sentences.",
        )  # fmt: skip
    else:
        st.checkbox(
            "Half of the prompts", key="halved",
            help="The half that a sweep ranks neurons on; it measures them on the other.",
        )  # fmt: skip
    st.selectbox(
        "Selected by", tuple(RANKINGS), key="method",
        help="; ".join(f"{name}: {ranking.words}" for name, ranking in RANKINGS.items()),
    )  # fmt: skip
    st.selectbox(
        "What", list(_UNITS), key="unit", format_func=_UNITS.__getitem__,
        help="What is found and amplified; of attention heads a layer has a few.",
    )  # fmt: skip
    left, right = st.columns(2)
    left.number_input("Layer", step=1, key="layer")
    right.number_input("How many", step=1, key="count")
    st.number_input("Multiplier", step=0.1, format="%g", key="multiplier")


def _gate() -> None:
    st.subheader("Gate")
    st.selectbox(
        "Confidence by", _GATES, key="gate", on_change=state.put_gate_bounds,
        help="; ".join(f"{name}: {by.words}{_note(by)}" for name, by in SIGNALS.items()),
    )  # fmt: skip
    if state.value("gate") in ("always", "never"):
        return
    left, right = st.columns(2)
    left.number_input("Low", step=0.01, format="%g", key="low", help="Zone 1 lies below.")
    right.number_input("High", step=0.01, format="%g", key="high", help="Zone 3 lies above.")
    st.checkbox("Amplify zone 2 too", key="transition")


def _note(signal: ConfidenceSignal) -> str:
    return " (looks at the right answer)" if signal.sees_answer else ""


def _more() -> None:
    with st.expander("More"):
        st.selectbox("Pooling over prompt tokens", get_args(Pooling), key="pooling")
        st.selectbox("Amplified tokens", get_args(Positions), key="positions")
        st.text_input(
            "Direction", key="direction",
            help="Where neurons belong to labels: both, predicted, or a label.",
        )  # fmt: skip


def ask() -> None:
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


def chosen(
    place: DeltaGenerator,
    label: str,
    options: Sequence[T],
    *,
    first: T | None = None,
    name: Callable[[T], str] = str,
) -> T:
    """Draws the box and returns its choice.

    **Arguments:**

    - `first`: what is chosen at first; `None`: the first option.
    - `name`: how an option is shown.
    """
    start = 0 if first is None else list(options).index(first)
    answer = place.selectbox(label, options, index=start, format_func=name)
    return options[start] if answer is None else answer
