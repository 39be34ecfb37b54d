"""Plans given as model arguments: `layer=8,top_k=15,multiplier=2.5,gate=max_prob,low=0.3`.

The same arguments change the gate of a plan that comes from a file: `plan=FILE,gate=never`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sna_eval.errors import InputError
from sna_eval.methods import METHODS
from sna_eval.plan.files import load_plan, parse_gate, parse_plan
from sna_eval.plan.schema import Plan
from sna_eval.typed import Json


@dataclass(frozen=True)
class PlanArguments:
    """The model arguments that make up a plan, as lm_eval parsed them; `None` where not given."""

    plan: Any = None
    """Name or path of a plan."""
    layer: Any = None
    multiplier: Any = None
    unit: Any = None
    """What is chosen: `mlp`, `head` or `feature`."""
    neurons: Any = None
    """Indices, `12;845;3071`; as JSON a list of them."""
    top_k: Any = None
    select: Any = None
    """Selection method."""
    pooling: Any = None
    seed: Any = None
    """Which draw, for `select=random`."""
    max_prompts: Any = None
    """Prompts that neurons are searched on at most."""
    sinks: Any = None
    """Whether position 0 counts in the search: `drop` or `keep`."""
    across_layers: Any = None
    """Whether the best of all layers together are taken."""
    share: Any = None
    """How many of these: a fraction of all neurons."""
    prompts: Any = None
    """A file of pairs, in place of development prompts."""
    drop_universal: Any = None
    """Whether neurons are left out that are active whatever a prompt says."""
    unrelated_prompts: Any = None
    """File of prompts that tell these."""
    positions: Any = None
    direction: Any = None
    allow_oracle: Any = None
    method: Any = None
    """Name of a method other than `sna`."""
    strength: Any = None
    """For methods with parameters."""
    gate: Any = None
    """A signal's name, `always` or `never`."""
    low: Any = None
    high: Any = None
    transition: Any = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(entry.name for entry in fields(cls))

    def build(self) -> Plan:
        """The plan these arguments describe."""
        if self.plan is not None:
            return self._from_file()
        if self.layer is None and self.method is None and not self.across_layers:
            return self._gate_only()
        return parse_plan({"version": 1, "tasks": {"*": self._task()}})

    def _from_file(self) -> Plan:
        extra = [name for name in _INTERVENTION_ARGUMENTS if getattr(self, name) is not None]
        if extra:
            raise InputError(
                extra[0],
                expected=f"no such argument beside plan={self.plan}",
                got=getattr(self, extra[0]),
                hint="put it into the plan file, or leave `plan` out",
            )
        plan = load_plan(str(self.plan))
        changes = self._gate_changes()
        if not changes:
            return plan
        return plan.with_gate(lambda gate: parse_gate(changes, "gate", gate))

    def _gate_only(self) -> Plan:
        """Without a plan only `gate=never` makes sense: the plain model."""
        if self.gate == "never":
            return Plan({})
        raise InputError(
            "plan",
            expected="plan=NAME_OR_PATH, or an inline plan with layer=",
            got=None,
            hint="for example plan=sna-reference, or "
            "layer=8,top_k=15,multiplier=2.5,gate=max_prob,low=0.3,high=0.6",
        )

    def _task(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "layer": self.layer,
            "multiplier": self.multiplier,
            "unit": self.unit,
            "method": self.method,
            "strength": self.strength,
            "positions": self.positions,
            "direction": self.direction,
            "allow_oracle": self.allow_oracle,
        }
        if self.method is not None and not METHODS.find(str(self.method)).chooses_neurons:
            self._refuse("no such argument beside a method that chooses no neurons", "neurons")
        elif self.neurons is not None:
            self._refuse("no such argument beside neurons=")
            entry["neurons"] = _neuron_list(self.neurons)
        else:
            entry["select"] = _without_none(
                {name: getattr(self, attribute) for attribute, name in _SELECTION.items()}
            )
        return {"gate": self._gate_changes() or None, "interventions": [_without_none(entry)]}

    def _refuse(self, expected: str, *more: str) -> None:
        """Complains about arguments on how to find neurons where none are to be found."""
        for name in (*more, *_SELECTION):
            if getattr(self, name) is not None:
                raise InputError(name, expected=expected, got=getattr(self, name))

    def _gate_changes(self) -> dict[str, Any]:
        gate = "mode" if self.gate in ("always", "never") else "signal"
        return _without_none(
            {
                gate: self.gate,
                "low": self.low,
                "high": self.high,
                "transition": self.transition,
            }
        )


_SELECTION = {"select": "method"} | {
    name: name
    for name in (
        "top_k", "pooling", "seed", "max_prompts", "sinks", "across_layers", "share", "prompts",
        "drop_universal", "unrelated_prompts",
    )
}  # fmt: skip
"""The arguments that ask for neurons, and their keys under `select`."""
_INTERVENTION_ARGUMENTS = (
    "layer",
    "multiplier",
    "unit",
    "neurons",
    *_SELECTION,
    "positions",
    "direction",
    "allow_oracle",
    "method",
    "strength",
)


def plan_from_arguments(arguments: Json) -> Plan:
    """Builds the plan that model arguments describe."""
    return PlanArguments(**arguments).build()


def _neuron_list(value: Any) -> list[Any]:
    """Indices as text, one alone, or a list whose entries the plan checks."""
    if isinstance(value, list):
        return value
    parts = str(value).split(";")
    try:
        return [int(part) for part in parts if part.strip()]
    except ValueError as error:
        raise InputError(
            "neurons", expected="indices such as 12;845;3071, in JSON [12, 845, 3071]", got=value
        ) from error


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
