"""The bundled model as the app holds it, and a setting that amplifies the first look's item."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from sna_eval.app.core.models import SHELF
from sna_eval.app.core.question import TypedQuestion
from sna_eval.app.core.setting import PromptSource, Setting
from sna_eval.app.core.workspace import Workspace
from sna_eval.gating import Gate

MATH = PromptSource("sna_math_easy")
TEN = TypedQuestion("Five plus five is", " ten")
SENTIMENT = TypedQuestion("Review: a film of great beauty Sentiment:", " positive", (" negative",))


@pytest.fixture(autouse=True)
def own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit runs a page as `__main__`, and leaves it there when the page's file is gone.

    Every process that `multiprocessing` makes later would look for that file, and end at once.
    """
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(scope="session")
def workspace() -> Workspace:
    return SHELF.get("sna-reference")


def a_setting(**changes: Any) -> Setting:
    """Layer 4, 25 neurons, x2.4, behind the paper's gate."""
    return Setting(**{"source": MATH, "layer": 4, "count": 25, "multiplier": 2.4, **changes})


def always() -> Gate:
    return Gate(mode="always")
