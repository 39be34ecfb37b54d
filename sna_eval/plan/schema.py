"""What a plan says: which intervention on which task, behind which gate.

These are values. Reading and writing them as YAML is `plan.files`; turning `select:` into neuron
indices is `plan.resolving`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from sna_eval.errors import InputError
from sna_eval.gating import Gate, ungated
from sna_eval.intervention import Affine, Positions, Unit
from sna_eval.intervention.spec import check_positions, check_unit
from sna_eval.methods import METHODS, Fitted, Method, Parameter
from sna_eval.plan.applying import BOTH, follows_answer, match_task, plain_interventions
from sna_eval.plan.selection import ChoiceRecord, Provenance, Selection
from sna_eval.typed import Json

NeuronSets = Mapping[str, tuple[int, ...]]
"""Neurons by label; the one label `""` holds those that belong to no class."""
ScoreSets = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class PlannedIntervention:
    """One layer's intervention, resolved (`neurons` or `parameters`) or not yet."""

    layer: int
    """Block index, from 0; none where `select` says `across_layers`, until neurons are found."""
    multiplier: float = 1.0
    """Factor on the chosen neurons, for methods that choose some."""
    unit: Unit = "mlp"
    """What is chosen: neurons of the MLP (`mlp`), attention heads (`head`) or features of a sparse
    dictionary (`feature`); `neurons` and `top_k` then count these."""
    method: str = "sna"
    """Name of the method in `sna_eval.methods`."""
    positions: Positions = "all"
    """Tokens it touches."""
    direction: str = BOTH
    """Which label's neurons to amplify: `both`, `predicted`, `gold`, or a label's name."""
    allow_oracle: bool = False
    """Must be true for `direction: gold`, which knows the right answer."""
    select: Selection | None = None
    """How to find the neurons; `None` once they are found."""
    neurons: NeuronSets | None = None
    """The neurons, by label."""
    scores: ScoreSets | None = None
    """The score each neuron was chosen by, in the order of `neurons`."""
    found: Provenance | None = None
    """How the neurons or parameters were found: method, model hash, prompt hash."""
    strength: float = 1.0
    """For methods with parameters: 1 applies them as found, 0 does nothing."""
    options: Json = field(default_factory=dict)
    """The method's own options; those not given are at its defaults."""
    parameters: Mapping[str, Parameter] | None = None
    """What a method other than a choice of neurons found; `None` until then."""

    def __post_init__(self) -> None:
        self.how.settle(self.options)
        check_positions(self.positions)
        check_unit(self.unit)
        if self.how.fixed_positions and self.positions != self.how.positions:
            raise InputError(
                "positions", expected=f"no such key with method {self.method}", got=self.positions,
                hint="where it acts is part of the method; remove it",
            )  # fmt: skip
        if self.how.chooses_neurons:
            self._check_neurons()
        elif self.select is not None or self.neurons is not None or self.unit != "mlp":
            raise InputError(
                "select" if self.select else "neurons" if self.neurons else "unit",
                expected=f"no such key with method {self.method}, which chooses no neurons",
                got="given",
                hint="remove it",
            )
        elif not math.isfinite(self.strength):
            raise InputError("strength", expected="a finite number", got=self.strength)

    def _check_neurons(self) -> None:
        if (self.select is None) == (self.neurons is None):
            raise InputError(
                "interventions",
                expected="either `select` or `neurons`",
                got="both" if self.select else "neither",
                hint="`select` says how to find neurons, `neurons` lists them",
            )
        self._check_distinct()
        drawn = self.select is not None and not self.select.config.orders
        if self.select is not None and drawn and self.how.needs_ranking:
            raise InputError(
                "select.method",
                expected=f"a ranking of neurons, for method {self.method}",
                got=self.select.method,
                hint="use `differential`; method sna amplifies random neurons themselves",
            )
        if self.across_layers and self.how.of_one_layer:
            raise InputError(
                "select.across_layers",
                expected=f"no such key with method {self.method}, which is about one layer",
                got=True, hint="name a `layer` and `top_k`",
            )  # fmt: skip
        if self.parameters is not None:
            raise InputError(
                "parameters", expected=f"no such key with method {self.method}", got="given"
            )
        if self.oracle and not self.allow_oracle:
            raise InputError(
                "direction",
                expected="`both`, `predicted` or a label",
                got=self.direction,
                hint="`gold` amplifies the right answer's neurons; set `allow_oracle: true` to see "
                "what an oracle would gain",
            )

    def _check_distinct(self) -> None:
        """Labels may share neurons; a list that names one twice was meant otherwise."""
        for neurons in (self.neurons or {}).values():
            repeated = [index for index, count in Counter(neurons).items() if count > 1]
            if repeated:
                raise InputError(
                    "neurons", expected="each neuron once", got=f"{repeated[0]} twice",
                    hint="a larger multiplier amplifies more",
                )  # fmt: skip

    @property
    def across_layers(self) -> bool:
        """Whether it stands for an intervention in every layer that has some of the neurons, which
        are still to be found."""
        return self.select is not None and self.select.across_layers

    @property
    def how(self) -> Method:
        """The method."""
        return METHODS.find(self.method)

    @property
    def oracle(self) -> bool:
        """Whether the direction follows the right answer."""
        return follows_answer(self.direction)

    @property
    def chosen(self) -> ChoiceRecord | None:
        """How it was chosen from a sweep, if it was."""
        return None if self.found is None else self.found.chosen

    @property
    def n_neurons(self) -> int:
        """Neurons, heads or features, per label where they belong to labels; 0 while there are
        none."""
        return max(map(len, (self.neurons or {}).values()), default=0)

    @property
    def resolved(self) -> bool:
        """Whether neurons or parameters are there; a method has one of the two."""
        return self.neurons is not None or self.parameters is not None

    def built(self) -> tuple[Affine, ...]:
        """The interventions that parameters stand for; none for a method that chooses neurons."""
        if self.how.build is None:
            return ()
        return self.how.build(
            Fitted(self.layer, self.parameters or {}, self.strength, self.positions)
        )

    @property
    def prompt(self) -> str:
        """Text that goes before an item; empty for all methods but `few_shot`."""
        text = (self.parameters or {}).get("prompt", "")
        return text if isinstance(text, str) and self.strength else ""


@dataclass(frozen=True)
class TaskPlan:
    """What is done to one task."""

    gate: Gate
    interventions: tuple[PlannedIntervention, ...]
    cluster: str | None = None
    """Field of its documents that says which items go together in tests and splits; `None`: those
    that share their answer."""

    def __post_init__(self) -> None:
        several = self.interventions if len(self.interventions) > 1 else ()
        if len({_frozen(vars(intervention)) for intervention in several}) < len(several):
            raise InputError(
                "interventions", expected="each entry once", got="the same entry twice",
                hint="multiply its multiplier instead",
            )  # fmt: skip
        open_always = [entry.method == "ungated" for entry in self.interventions]
        if any(open_always) and not all(open_always):
            raise InputError(
                "method",
                expected="`ungated` for all interventions of a task or for none",
                got=", ".join(entry.method for entry in self.interventions),
                hint="an item is amplified as a whole or not at all",
            )
        if any(open_always) and self.gate.mode == "confidence":
            object.__setattr__(self, "gate", ungated(self.gate))

    @property
    def resolved(self) -> bool:
        return all(intervention.resolved for intervention in self.interventions)

    @property
    def needs_development(self) -> bool:
        """Whether something is still to be found on the task's development items."""
        return any(
            not entry.resolved
            and not entry.how.reads_files
            and (entry.select is None or entry.select.pairs is None)
            for entry in self.interventions
        )

    @property
    def oracle(self) -> bool:
        """Whether a direction follows the right answer."""
        return any(entry.oracle for entry in self.interventions)

    @property
    def sees_answer(self) -> bool:
        """Whether gate or direction depends on the right answer."""
        return self.gate.sees_answer or self.oracle

    @property
    def prompt(self) -> str:
        """Text that goes before an item whose gate opens."""
        return "".join(entry.prompt for entry in self.interventions)


def _frozen(value: Any) -> Hashable:
    """Something with a hash, equal where the values are: thousands of entries are not compared one
    by one."""
    if isinstance(value, Provenance):
        return _frozen(value.to_dict())
    if isinstance(value, Mapping):
        return frozenset((str(key), _frozen(entry)) for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return value if isinstance(value, Hashable) else repr(value)


@dataclass(frozen=True)
class ModelSpec:
    """The model a plan was made for: `name` for messages, the others checked unless `None`."""

    name: str | None = None
    """Name of the model."""
    n_layers: int | None = None
    """Blocks."""
    d_mlp: int | None = None
    """Neurons per block."""


@dataclass(frozen=True)
class Plan:
    """All tasks' plans, by task name or glob."""

    tasks: Mapping[str, TaskPlan]
    model: ModelSpec = field(default_factory=ModelSpec)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", MappingProxyType(dict(self.tasks)))

    def for_task(self, task: str) -> tuple[Affine, ...]:
        """The interventions on a task, for `amplify`; the gate is left to the caller.

        **Raises:** `InputError` where the plan has nothing for the task, is not resolved, or has a
        direction that follows from an item's choices.
        """
        found = match_task(self, task)
        if found is None:
            raise InputError("task", expected=f"one of {', '.join(self.tasks)}", got=task)
        if not found.resolved:
            raise InputError(
                f"tasks.{task}",
                expected="neurons",
                got="`select`, which is not resolved yet",
                hint="sna-eval identify writes the plan with its neurons",
            )
        return plain_interventions(found)

    def with_gate(self, change: Callable[[Gate], Gate]) -> Plan:
        """A plan whose every gate has gone through `change`."""
        tasks = {name: replace(task, gate=change(task.gate)) for name, task in self.tasks.items()}
        return replace(self, tasks=tasks)
