"""Lists as they are typed on a command line."""

from __future__ import annotations

from typing import overload

from sna_eval.errors import InputError


def parse_layers(text: str | None) -> tuple[int, ...] | None:
    """Layers such as `0-7` or `2,5,8-10`; `None` and `all` mean every layer."""
    if text is None or text.strip() == "all":
        return None
    layers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            numbers = range(int(first), int(last if dash else first) + 1)
            if not numbers:
                raise ValueError("the first layer is above the last")
        except ValueError as error:
            raise InputError(
                "layers", expected="layers such as 0-7 or 2,5,8-10", got=text
            ) from error
        layers += numbers
    return tuple(layers)


def parse_numbers(field: str, text: str | None) -> tuple[float, ...] | None:
    """Numbers such as `1.5,2,4`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(field, expected="numbers such as 1.5,2,4", got=text) from error


def parse_counts(text: str | None) -> tuple[int, ...] | None:
    """Counts such as `3,5,8`."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError("top_k", expected="counts such as 3,5,8", got=text) from error


@overload
def parse_names(text: str) -> tuple[str, ...]: ...
@overload
def parse_names(text: None) -> None: ...
def parse_names(text: str | None) -> tuple[str, ...] | None:
    """Names such as `both,predicted`; spaces and empty places do not count."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())
