"""What one browser session has set; nothing of it is shared with other sessions.

Streamlit forgets the widgets of pages that are not shown, so `keep` takes every value over from run
to run. `question` and `setting` turn them into what `core` works with.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from sna_eval.app.core.mapping import MULTIPLIERS
from sna_eval.app.core.models import OFFERED
from sna_eval.app.core.question import FIRST_TASK, TypedQuestion, typed_question
from sna_eval.app.core.setting import PromptSource, Setting, typed_lines
from sna_eval.app.core.starting import BUNDLED, FirstLook
from sna_eval.app.server import started
from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, Gate

OWN = "own prompts"
OTHER_MODEL = "another model"
_LOOK = "look"
_NEXT = "next_values"


def _values_of(look: FirstLook) -> dict[str, Any]:
    """The controls of a first look."""
    return {
        "source": FIRST_TASK,
        "method": "differential",
        "layer": look.layer,
        "count": look.count,
        "multiplier": look.multiplier,
        "gate": Gate().signal,
        "low": look.low,
        "high": look.high,
        "prompt": look.question.prompt,
        "target": look.question.target.removeprefix(" "),
        "others": "",
    }


DEFAULTS: dict[str, Any] = {
    **_values_of(BUNDLED),
    "halved": False,
    "own_prompts": "",
    "own_reference": "",
    "transition": False,
    "pooling": "mean",
    "unit": "mlp",
    "positions": "all",
    "direction": "both",
    "space": True,
    "multipliers": ", ".join(f"{multiplier:g}" for multiplier in MULTIPLIERS),
    "folder": "",
    "interference": "",
    "meant": None,
    _LOOK: BUNDLED,
}
"""A first look at the bundled model."""


def keep() -> None:
    """Gives every value its default once, and saves it from being forgotten."""
    put(**st.session_state.pop(_NEXT, {}))
    for name, value in {**DEFAULTS, **_controls_of(started().model)}.items():
        st.session_state[name] = st.session_state.get(name, value)


def value(name: str) -> Any:
    return st.session_state[name]


def put(**values: Any) -> None:
    """Sets values; only before their widgets are shown, so in callbacks."""
    for name, new in values.items():
        st.session_state[name] = new


def begin_with(look: FirstLook) -> None:
    """Begins anew with what fits another model, where nothing was set since the last beginning."""
    before: FirstLook = value(_LOOK)
    if look == before:
        return
    untouched = all(value(name) == shown for name, shown in _values_of(before).items())
    put(**{_LOOK: look})
    if untouched:
        put(**{_NEXT: _values_of(look)})
        st.rerun()


def put_model(name: str, *, model_hash: str) -> None:
    """Chooses a model.

    **Arguments:**

    - `model_hash`: of the weights that are meant, compared once the model is loaded.
    """
    put(**_controls_of(name), meant=(name, model_hash))


def _controls_of(name: str) -> dict[str, str]:
    """Where a model's name stands in the controls."""
    if name in OFFERED:
        return {"model": name, "other_model": ""}
    return {"model": OTHER_MODEL, "other_model": name}


def put_setting(setting: Setting) -> None:
    """Sets the controls to what a setting says; its neurons are found on a task."""
    gate = setting.gate
    put(
        source=setting.source.task, halved=setting.source.half is not None, method=setting.method,
        layer=setting.layer, count=setting.count, multiplier=setting.multiplier,
        pooling=setting.pooling, unit=setting.unit, positions=setting.positions,
        direction=setting.direction, gate=gate.signal if gate.mode == "confidence" else gate.mode,
        low=gate.low, high=gate.high, transition=gate.transition == "amplify",
    )  # fmt: skip


def model_name() -> str:
    named = value("other_model") if value("model") == OTHER_MODEL else value("model")
    return str(named)


def question() -> TypedQuestion:
    """What was typed.

    **Raises:** `InputError` where it is no question.
    """
    return typed_question(
        value("prompt"), value("target"), typed_lines(value("others")), space=value("space")
    )


def put_question(asked: TypedQuestion) -> None:
    """Puts an item's texts into the form, as they would have been typed."""
    spaced = all(choice.startswith(" ") for choice in asked.choices)
    target, *others = (choice[1:] if spaced else choice for choice in asked.choices)
    put(prompt=asked.prompt, target=target, others="\n".join(others), space=spaced)


def gate() -> Gate:
    chosen = value("gate")
    transition = "amplify" if value("transition") else "leave"
    bounds = (_number("low"), _number("high"))
    if chosen in ("always", "never"):
        return Gate(mode=chosen)
    return Gate(chosen, *bounds, transition)  # type: ignore[arg-type]


def setting() -> Setting:
    """What was set.

    **Raises:** `InputError` for values that are none.
    """
    return Setting(
        source=_source(),
        layer=int(_number("layer")),
        count=int(_number("count")),
        multiplier=_number("multiplier"),
        method=value("method"),
        pooling=value("pooling"),
        unit=value("unit"),
        positions=value("positions"),
        direction=value("direction").strip() or "both",
        gate=gate(),
    )


def put_gate_bounds() -> None:
    """After another signal was chosen: the bounds that go with it."""
    signal = SIGNALS.get(value("gate"))
    if signal is not None:
        put(low=signal.low, high=signal.high)


def put_method() -> None:
    """After another source was chosen: classes are told apart, other tasks from neutral text."""
    contrasted = value("source") == "sna_sst2"
    put(method="contrastive" if contrasted else "differential", direction="both")


def _source() -> PromptSource:
    if value("source") != OWN:
        return PromptSource(value("source"), half="ranking" if value("halved") else None)
    return PromptSource(
        None, typed_lines(value("own_prompts")), typed_lines(value("own_reference"))
    )


def _number(name: str) -> float:
    number = value(name)
    if number is None:
        raise InputError(name, expected="a number", got=None, hint="type one")
    return float(number)
