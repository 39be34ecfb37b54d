"""Choices that are open: each is a file in one folder, and a new file is a new choice.

A registry is a package whose modules each hold one object under the same name (`SIGNAL`, `FORMAT`).
Nothing lists the modules, so adding one changes no other file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sna_eval.errors import InputError

T = TypeVar("T")
_ROOT = Path(__file__).resolve().parent


def module_names(package: str) -> tuple[str, ...]:
    """The modules of one of this package's parts, by name; nothing is imported."""
    folder = _ROOT.joinpath(*package.split(".")[1:])
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(folder)])))


def registered(package: str, attribute: str) -> tuple[Any, ...]:
    """What every module of a package holds under a name, in the order of the modules' names."""
    return tuple(
        getattr(importlib.import_module(f"{package}.{name}"), attribute)
        for name in module_names(package)
    )


def lookup(known: Mapping[str, T], name: str, *, field: str) -> T:
    """A choice by its name.

    **Raises:** `InputError` that lists what there is.
    """
    if not isinstance(name, str) or name not in known:
        raise InputError(field, expected=f"one of {', '.join(known)}", got=name)
    return known[name]


def either(names: Iterable[str]) -> str:
    """Names as a sentence offers them: `a`, `b` or `c`."""
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} or {last}" if others else last
