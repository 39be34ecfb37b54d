"""A box to choose from that always has a choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")


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
