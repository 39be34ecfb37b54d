"""Plain JSON values: what an object of them is, and dataclasses from them, each field of the type
that the class declares.

For files that a program wrote and anybody may have changed since. Numbers may be NaN, where a
statistic has nothing to say, and never infinite.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Json = Mapping[str, Any]
"""An object as JSON has it, and YAML: plain values by name. What is known of its keys stands where
it is read."""


def build(cls: type[T], values: Any, where: str = "") -> T:
    """An object of `cls`.

    **Arguments:**

    - `where`: path of the values in their file.

    **Raises:** `ValueError` for a value of another type, a missing key and an unknown one.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where or 'content'} is no mapping")
    hints = get_type_hints(cls)
    known = {entry.name: entry for entry in fields(cls)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(f"{_at(where, unknown[0])} is unknown")
    for name, entry in known.items():
        if name not in values and entry.default is MISSING and entry.default_factory is MISSING:
            raise ValueError(f"{_at(where, name)} is missing")
    return cls(
        **{name: fitted(hints[name], entry, _at(where, name)) for name, entry in values.items()}
    )


def fitted(kind: Any, value: Any, where: str) -> Any:
    """A value as a type declares it: lists become tuples, mappings dataclasses."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not type(None))
        return fitted(kind, value, where)
    if origin is Literal:
        if not any(type(value) is type(argument) and value == argument for argument in arguments):
            raise ValueError(f"{where} is none of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return tuple(
            fitted(arguments[0], entry, f"{where}[{n}]")
            for n, entry in enumerate(_list(value, where))
        )
    if origin is Mapping:
        return _mapping(arguments[1], value, where)
    if is_dataclass(kind):
        return build(kind, value, where)  # type: ignore[arg-type]
    if issubclass(kind, tuple):
        return _named_tuple(kind, value, where)
    if kind is float:
        return _number(value, where)
    if type(value) is not kind:
        raise ValueError(f"{where} is no {kind.__name__}")
    if kind is str:
        value.encode()  # raises for half a character, which JSON can write and no file can hold
    return value


def _mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no mapping")
    return {key: fitted(kind, entry, _at(where, key)) for key, entry in value.items()}


def _named_tuple(kind: Any, value: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    entries = _list(value, where)
    if len(entries) != len(hints):
        raise ValueError(f"{where} has {len(entries)} entries, not {len(hints)}")
    pairs = zip(hints.items(), entries, strict=True)
    return kind(*(fitted(hint, entry, _at(where, name)) for (name, hint), entry in pairs))


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is no list")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{where} is no number")
    number = float(value)  # raises for a whole number of hundreds of digits
    if math.isinf(number):
        raise ValueError(f"{where} is infinite")
    return number


def _at(where: str, key: str) -> str:
    return f"{where}.{key[:60]}" if where else key[:60]
