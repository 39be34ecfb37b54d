"""Strict reading of plain YAML values: every complaint names the field."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sna_eval.errors import InputError

T = TypeVar("T")
_DEEPEST = 20


class Fields:
    """One mapping of a plan file; takes each key once and complains about those left over."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            raise InputError(path, expected="a mapping", got=value)
        self._values = {str(key): entry for key, entry in value.items()}
        self._known: list[str] = []
        self.path = path

    def at(self, key: str) -> str:
        """Path of a key, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str) -> Any:
        """The raw value, or `None`."""
        self._known.append(key)
        return self._values.pop(key, None)

    def integer(self, key: str, default: int | None = None) -> int | None:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():  # 2e3
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise InputError(self.at(key), expected="a whole number", got=value)
        return value

    def number(self, key: str, default: float | None = None) -> float | None:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(self.at(key), expected="a number", got=value)
        return finite(value, self.at(key))

    def text(self, key: str, default: T) -> str | T:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise InputError(self.at(key), expected="a text", got=value, hint=quoted(value))
        return value

    def name(self, key: str, default: str) -> str:
        """A text that may be any word, `null` included: such a one has to stand in quotes."""
        given = key in self._values
        value = self.text(key, None)
        if value is None and given:
            raise InputError(
                self.at(key), expected="a text", got=None,
                hint='write "null" in quotes, or leave the key out',
            )  # fmt: skip
        return default if value is None else value

    def flag(self, key: str) -> bool:
        value = self.take(key)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise InputError(self.at(key), expected="true or false", got=value)
        return value

    def of_type(self, key: str, kind: Any) -> Any:
        """A plain value as a field's type has it; `None` where it is left out."""
        if get_origin(kind) in (Union, types.UnionType):
            (kind,) = (option for option in get_args(kind) if option is not type(None))
        if kind is int:
            return self.integer(key)
        if kind is float:
            return self.number(key)
        if kind is bool:
            return self.flag(key)
        return self.text(key, None)

    def required(self, key: str, value: T | None) -> T:
        if value is None:
            raise InputError(self.at(key), expected="a value", got=None, hint="add this key")
        return value

    def done(self) -> None:
        """Complains about the first key that nothing took."""
        for key in self._values:
            raise InputError(
                self.at(key),
                expected=f"one of the keys {', '.join(self._known)}",
                got=key,
                hint="remove or rename it",
            )


def filled(cls: type[T], raw: Any, path: str) -> T | None:
    """A flat dataclass of plain values from a mapping; what is left out is at its default.

    `None` where nothing stands there. Which words a text may be is the class's own to say.
    """
    if raw is None:
        return None
    given, hints = Fields(raw, path), get_type_hints(cls)
    values = {
        entry.name: given.of_type(entry.name, hints[entry.name])
        for entry in fields(cls)  # type: ignore[arg-type]
    }
    given.done()
    return cls(**{name: value for name, value in values.items() if value is not None})


def quoted(value: Any) -> str:
    """What to write where YAML made something else of a word."""
    if isinstance(value, bool):
        words, one = ("yes, on or true", "yes") if value else ("no, off or false", "no")
        return f'YAML reads {words} so: put the word in quotes, such as "{one}"'
    if isinstance(value, (int, float, date)):
        return f'put it in quotes: "{value}"'
    return ""


def label(value: Any, path: str) -> str:
    """A key that names something: a text, or a number that reads as it was written.

    **Raises:** `InputError` for truth values, null, dates and the like, which YAML makes of words.
    """
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise InputError(path, expected="names as texts", got=value, hint=quoted(value))


def finite(value: float, path: str) -> float:
    """A number that a float can hold, neither NaN nor infinite."""
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise InputError(path, expected="a finite number", got=value)
    return number


def items(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The entries of a list, each with its path."""
    if not isinstance(value, list):
        raise InputError(path, expected="a list", got=value)
    for number, entry in enumerate(value):
        yield entry, f"{path}[{number}]"


def integers(value: Any, path: str) -> tuple[int, ...]:
    """A list of whole numbers."""
    entries = list(items(value, path))
    for entry, where in entries:
        if isinstance(entry, bool) or not isinstance(entry, int):
            raise InputError(where, expected="a whole number", got=entry)
    return tuple(entry for entry, _ in entries)


def numbers(value: Any, path: str) -> tuple[float, ...]:
    """A list of numbers."""
    entries = list(items(value, path))
    for entry, where in entries:
        if isinstance(entry, bool) or not isinstance(entry, (int, float)):
            raise InputError(where, expected="a number", got=entry)
    return tuple(finite(entry, where) for entry, where in entries)


def plain(value: Any, path: str, depth: int = 0) -> Any:
    """A value that JSON can hold too: what a plan carries along, and what its hash covers.

    YAML knows dates, sets and bytes besides.
    """
    if depth > _DEEPEST:
        raise InputError(path, expected=f"values nested {_DEEPEST} deep at most", got="more")
    if isinstance(value, Mapping):
        return {str(key): plain(entry, f"{path}.{key}", depth + 1) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry, f"{path}[{n}]", depth + 1) for n, entry in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        path, expected="texts, numbers, lists and mappings", got=value, hint="put it in quotes"
    )


def plain_mapping(value: Any, path: str) -> dict[str, Any] | None:
    """A mapping of such values, or `None`."""
    if value is not None and not isinstance(value, Mapping):
        raise InputError(path, expected="a mapping", got=value)
    return None if value is None else dict(plain(value, path))
