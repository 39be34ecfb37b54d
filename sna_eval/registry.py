"""Choices that are open: each is a file in one folder, and a new file is a new choice.

A registry is a package whose modules each hold one object under the same name (`SIGNAL`, `FORMAT`).
Nothing lists the modules, so adding one changes no other file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sna_eval.errors import InputError

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


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)
K = TypeVar("K")


class Registry(dict[str, T]):
    """The choices there are, by name.

    **Arguments:**

    - `field`: what complaints call the choice where nothing else is said.
    """

    def __init__(self, choices: Iterable[T], *, field: str) -> None:
        super().__init__((choice.name, choice) for choice in choices)
        self._field = field

    def find(self, name: str, *, field: str | None = None) -> T:
        """A choice by its name.

        **Raises:** `InputError` that lists what there is.
        """
        if not isinstance(name, str) or name not in self:
            raise InputError(field or self._field, expected=f"one of {', '.join(self)}", got=name)
        return self[name]

    def of(self, kind: type[K]) -> dict[str, K]:
        """The choices of a class, in order."""
        return {name: choice for name, choice in self.items() if isinstance(choice, kind)}

    def first(self, kind: type[K]) -> K:
        """The first of them: in a registry whose usual choices come first, the one that stands in
        where nobody names any."""
        return next(iter(self.of(kind).values()))


def either(names: Iterable[str]) -> str:
    """Names as a sentence offers them: `a`, `b` or `c`."""
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} or {last}" if others else last
