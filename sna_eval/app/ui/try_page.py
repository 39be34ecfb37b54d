"""Try it: one question, before and after."""

from __future__ import annotations

from html import escape

import streamlit as st

from sna_eval.app.core.trying import Side, TryConfig, TryResult, try_it
from sna_eval.app.ui import controls, pieces, save_panel, state
from sna_eval.app.ui.boundary import messages, plain, search, workspace

_RESULT = "tried"


def show() -> None:
    """The page."""
    controls.show()
    st.title("Try it")
    controls.ask()
    st.html(pieces.note(controls.summary()))
    pressed = st.button("Amplify", type="primary")
    with messages():
        model = workspace()
        if pressed:
            st.session_state.pop(_RESULT, None)
            asked = TryConfig(state.question(), state.setting())
            search(model, asked.setting)
            with st.spinner("Amplifying", show_time=True):
                tried = try_it(model, asked)
            st.session_state[_RESULT] = (model.name, tried)
        name, result = st.session_state.get(_RESULT, (None, None))
        if result is None:
            return
        if name != model.name:
            st.caption("The model has changed: press Amplify.")
            return
        _result(result)
        save_panel.show(model, result.asked.setting, [result.asked.question], key="try")


def _result(tried: TryResult) -> None:
    with messages():
        if tried.asked != TryConfig(state.question(), state.setting()):
            st.caption("The settings have changed since: press Amplify for a new answer.")
    st.html(_cards(tried))
    st.html(pieces.scale(tried.gate, tried.decision.confidence))
    _remarks(tried)
    name = "After" if tried.decision.amplified else "If amplified all the same"
    left, right = st.columns(2, gap="large")
    for column, title, side in ((left, "Before", tried.before), (right, name, tried.amplified)):
        with column:
            st.subheader(title)
            st.html(pieces.continued(tried.asked.question.prompt, side.continuation))
            st.html(_top_tokens(side, tried.before))
    st.subheader("Neurons")
    st.html(_neurons(tried))
    with st.expander("Exact numbers"):
        st.html(pieces.exact(_exact(tried)))


def _cards(tried: TryResult) -> str:
    before, after, forced = tried.before.prob, tried.after.prob, tried.amplified.prob
    verdict = "amplify" if tried.decision.amplified else "leave"
    note = (
        pieces.change(after - before)
        if tried.decision.amplified
        else f"amplified all the same: {pieces.number(forced)}"
    )
    return pieces.cards(
        pieces.card("P(target) before", pieces.number(before)),
        pieces.card("Verdict", verdict, pieces.chip(tried.decision.zone)),
        pieces.card("P(target) after", pieces.number(after), note),
    )


def _remarks(tried: TryResult) -> None:
    """What a reader should know before believing the numbers."""
    if len(tried.target_tokens) > 1:
        tokens = " ".join(repr(token) for token in tried.target_tokens)
        st.info(
            plain(
                f"The target is {len(tried.target_tokens)} tokens, {tokens}: its probability is "
                "that of all of them in a row. The tables show the next token alone."
            )
        )
    if tried.overflowed:
        st.warning("Amplified, the model's numbers overflow: the answer stays as it was.")
    if tried.asked.setting.gate.sees_answer:
        st.html(pieces.note("This gate looks at the right answer, which a deployed model cannot."))
    signals = (
        (escape(pieces.signal_name(signal)), pieces.number(value))
        for signal, value in tried.signals.items()
    )
    st.html(pieces.slim(pieces.table(("confidence of the unmodified model", "value"), signals)))


def _top_tokens(side: Side, before: Side) -> str:
    known = dict(before.top)
    rows = [
        (
            pieces.token(text),
            pieces.number(prob),
            "" if side is before else _moved(known, text, prob),
            pieces.bar(prob / side.top[0][1]),
        )
        for text, prob in side.top
    ]
    return pieces.table(("next token", "probability", "", ""), rows)


def _moved(known: dict[str, float], text: str, prob: float) -> str:
    return pieces.change(prob - known[text]) if text in known else "new"


def _neurons(tried: TryResult) -> str:
    labelled = any(neuron.label for neuron in tried.neurons)
    rows = [
        (
            *((escape(neuron.label),) if labelled else ()),
            str(neuron.neuron),
            f"{neuron.score:+.4f}",
            f"{neuron.last:+.3f}",
            f"{neuron.mean:+.3f}",
            " ".join(map(pieces.token, neuron.promotes)),
        )
        for neuron in tried.neurons
    ]
    if not rows:
        return pieces.note("No neuron responds more to these prompts than to the reference.")
    headings = (
        "neuron" if tried.entry.unit == "mlp" else "head",
        "score",
        "activation at the last token",
        "mean",
        "promotes",
    )
    if labelled:
        return pieces.table(("label", *headings), rows, text=2, wide=5)
    return pieces.table(headings, rows, wide=4)


def _exact(tried: TryResult) -> list[tuple[str, object]]:
    """What the saved command writes into its samples file, under the same names."""
    values: list[tuple[str, object]] = [
        ("baseline_prob", repr(tried.before.prob)),
        ("prob", repr(tried.after.prob)),
        ("amplified_prob", repr(tried.amplified.prob)),
        ("zone", tried.decision.zone),
        ("confidence", repr(tried.decision.confidence)),
        ("decision", float(tried.decision.amplified)),
        ("oracle", float(tried.entry.oracle)),
    ]
    values += [(f"signal {name}", repr(value)) for name, value in tried.signals.items()]
    for number, (base, amplified) in enumerate(
        zip(tried.before.log_likelihoods, tried.amplified.log_likelihoods, strict=True)
    ):
        values.append((f"log-likelihood {number} before", repr(base)))
        values.append((f"log-likelihood {number} amplified", repr(amplified)))
    return values
