"""What a method is: a name, its options, a search, and the interventions its result stands for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sna_eval.errors import InputError
from sna_eval.intervention import Affine, Positions, Vector
from sna_eval.neurons import Examples, Question, Search, SearchConfig, Selected, Workbench
from sna_eval.typed import Json

__all__ = [
    "Examples",
    "Fitted",
    "Method",
    "MethodConfig",
    "Parameter",
    "Question",
    "Resolution",
    "Workbench",
    "searched",
]

Parameter = Vector | str
"""What a method learned: numbers, or a text."""


@dataclass(frozen=True)
class MethodConfig:
    """What a plan's entry asks of its method."""

    layer: int
    options: Json = field(default_factory=dict)
    """The method's own options, none missing."""
    config: SearchConfig = field(default_factory=SearchConfig)
    """How neurons are searched, for methods that choose some."""
    top_k: int = 10
    """Neurons per set."""
    search: Search | None = None
    """The search that the entries of a task have in common; `None`: one for this entry alone."""


def searched(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Search:
    """The search in the wanted layer, by the wanted ranking."""
    shared = wanted.search
    if shared is not None and wanted.layer in shared.layers:
        return shared
    return Search(bench, examples, wanted.config, [wanted.layer])


@dataclass(frozen=True)
class Resolution:
    """Neurons found, by label, or numbers, by name; and remarks for the plan file."""

    selected: Mapping[str, Selected] = field(default_factory=dict)
    """One set under `""`, or one set per label."""
    remarks: Json = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What a method other than a choice of neurons found."""
    layer: int | None = None
    """Layer the result belongs to, where it is not the one that was asked for."""


_LARGEST = sys.float_info.max

Find = Callable[[Workbench, Examples, MethodConfig], Resolution]
"""Searches on development items; never sees what is evaluated."""


@dataclass(frozen=True)
class Fitted:
    """What a method found, and how it is to be applied."""

    layer: int
    parameters: Mapping[str, Parameter]
    strength: float = 1.0
    """1 applies the parameters as found, 0 does nothing."""
    positions: Positions = "all"

    def vector(self, name: str) -> Vector:
        """A parameter that is a vector.

        **Raises:** `InputError` where a plan lacks it.
        """
        found = self.parameters.get(name)
        if not isinstance(found, Vector):
            raise _unfit(name, "a list of numbers", found)
        return found

    def number(self, name: str) -> float:
        """A parameter that is a vector of one number.

        **Raises:** `InputError` where a plan lacks it.
        """
        found = self.vector(name).tolist()
        if len(found) != 1:
            raise _unfit(name, "a list of one number", found)
        return found[0]

    def text(self, name: str) -> str:
        """A parameter that is a text.

        **Raises:** `InputError` where a plan lacks it.
        """
        found = self.parameters.get(name)
        if not isinstance(found, str):
            raise _unfit(name, "a text", found)
        return found

    def only(self, *names: str) -> None:
        """Raises `InputError` for a parameter of any other name: it would count for nothing."""
        for name in self.parameters:
            if name not in names:
                raise _unfit(name, f"no parameter but {', '.join(names)}", name)


def _unfit(name: str, expected: str, got: Any) -> InputError:
    return InputError(
        f"parameters.{name}", expected=expected, got=got,
        hint="resolve the plan again: sna-eval identify",
    )  # fmt: skip


Build = Callable[[Fitted], tuple[Affine, ...]]


@dataclass(frozen=True)
class Method:
    """One way to turn development items into interventions."""

    name: str
    find: Find
    build: Build | None = None
    """From parameters to interventions; `None` for methods that choose neurons."""
    options: Json = field(default_factory=dict)
    """The options it knows, with their defaults; a default of `None` lets the method decide."""
    positions: Positions = "all"
    """Tokens it touches where a plan does not say."""
    fixed_positions: bool = False
    """Whether a plan cannot say otherwise: where it acts is part of what it is."""
    needs_layer: bool = True
    """Whether a plan must name a layer."""
    needs_ranking: bool = False
    """Whether it stands beside the choice of a ranking, which random neurons have not."""
    of_one_layer: bool = False
    """Whether it makes no sense of the neurons of all layers together."""
    select: Json = field(default_factory=dict)
    """What its `select` says where a plan leaves it open, for methods that choose neurons."""

    needs_answers: bool = False
    """Whether it learns from right answers, or shows them: generated texts have none."""
    reads_files: bool = False
    """Whether it is read from files that its options name: it then looks at no development items,
    and nothing of it is kept in the cache."""

    @property
    def chooses_neurons(self) -> bool:
        """Whether it multiplies neurons it chose; others bring parameters of their own."""
        return self.build is None

    def settle(self, given: Json) -> dict[str, Any]:
        """All options, those not given at their defaults.

        **Raises:** `InputError` for an option the method does not know, or one of another type.
        """
        for key, value in given.items():
            if key not in self.options:
                known = ", ".join(self.options) or "none"
                raise InputError(
                    f"options.{key}", expected=f"an option of {self.name}: {known}", got=key
                )
            _check_type(f"options.{key}", value, self.options[key])
        return {**self.options, **given}


def _check_type(field_name: str, value: Any, default: Any) -> None:
    if default is None:
        return
    right = isinstance(value, type(default)) or (isinstance(default, float) and type(value) is int)
    if not right or isinstance(value, bool):
        raise InputError(field_name, expected=f"a value like {default!r}", got=value)
    if isinstance(value, (int, float)) and not 0 <= value <= _LARGEST:
        raise InputError(field_name, expected="a number from 0 that a float can hold", got=value)
