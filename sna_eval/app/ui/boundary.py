"""Whatever goes wrong becomes a message on the page, never a traceback."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from sna_eval.app.core.models import SHELF
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import Workspace
from sna_eval.app.ui import state
from sna_eval.errors import InputError

_LOGGER = logging.getLogger(__name__)
_FAILED = "model_failed"


@contextmanager
def messages() -> Iterator[None]:
    """Errors in the body end it, and are shown; the rest of the page stays usable."""
    try:
        yield
    except InputError as error:
        st.error(plain(str(error)))
    except Exception as error:
        _LOGGER.exception("a page failed")
        first = (str(error).strip() or "no details").splitlines()[0]
        st.error(
            plain(f"{type(error).__name__}: {first[:200]}; the server's terminal has the details")
        )


def plain(text: str) -> str:
    """A text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:])", r"\\\1", " ".join(text.split()))


def workspace() -> Workspace:
    """The chosen model; loads it if no session has.

    **Raises:** `InputError` where it cannot be loaded. Another try is made when another name is
    typed, or when asked for.
    """
    found = _loaded()
    with st.spinner("Scoring a few items, to begin with what fits the model", show_time=True):
        look = found.first_look
    state.begin_with(look)
    meant = state.value("meant")
    if meant is not None and meant[0] == found.name and meant[1] != found.lm.model_hash:
        st.warning(
            plain(
                f"The sweep was of a {found.name} with other weights, or in another dtype: the "
                "neurons found here need not be the sweep's."
            )
        )
    return found


def _loaded() -> Workspace:
    name = state.model_name()
    failed = st.session_state.get(_FAILED)
    if failed is not None and failed[0] == name:
        st.button("Load it again", on_click=_forget_failure)
        raise failed[1]
    try:
        if SHELF.is_ready(name):
            return SHELF.get(name)
        with st.spinner(
            plain(f"Loading {name}. From the hub, the first time takes minutes."), show_time=True
        ):
            return SHELF.get(name)
    except InputError as error:
        st.session_state[_FAILED] = (name, error)
        st.button("Load it again", on_click=_forget_failure)
        raise


def search(model: Workspace, setting: Setting) -> None:
    """Looks for a setting's neurons, and shows that it does where that was not done before."""
    asked = (setting.source, setting.method, setting.pooling, setting.unit)
    if not model.has_ranked(*asked):
        where = setting.source.task or "your prompts"
        with st.spinner(plain(f"Looking for neurons on {where}"), show_time=True):
            model.ranked(*asked)


def _forget_failure() -> None:
    st.session_state.pop(_FAILED, None)
