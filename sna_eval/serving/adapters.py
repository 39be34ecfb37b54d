"""Which adapter does what a plan does to a task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.export.scaling import LayerScaling, layer_scalings
from sna_eval.intervention import Affine
from sna_eval.plan import TaskPlan
from sna_eval.plan.applying import plain_interventions

Scalings = tuple[LayerScaling, ...]


def task_scalings(plan: TaskPlan, *, field: str) -> Scalings:
    """What an adapter has to do for a task's plan; nothing where only its prompt is another.

    **Raises:** `InputError` where no file of weights can do it.
    """
    inside = tuple(entry for entry in plan.interventions if not entry.prompt)
    idle = all(entry.resolved and _idle(replace(plan, interventions=(entry,))) for entry in inside)
    if plan.gate.mode == "never" or idle:
        return ()
    return layer_scalings(replace(plan, interventions=inside), field=field)


def scalings_digest(scalings: Scalings) -> str:
    """Hash of what an adapter has to do."""
    return digest(
        [[scaling.layer, scaling.unit, sorted(scaling.factors.items())] for scaling in scalings]
    )


def _idle(plan: TaskPlan) -> bool:
    (entry,) = plan.interventions
    return entry.how.chooses_neurons and (entry.multiplier == 1 or not entry.n_neurons)


class Adapters:
    """The adapters of a run, by what they do."""

    def __init__(self, name_of: Callable[[str, Scalings], str]) -> None:
        """
        **Arguments:**

        - `name_of`: names the adapter for a task and what it has to do.
        """
        self._name_of = name_of
        self._scalings: dict[str, tuple[str, Scalings]] = {}
        self._names: dict[tuple[Affine, ...], str] = {}

    def add(self, task: str, plan: TaskPlan) -> None:
        """Takes up a task's plan, with neuron indices.

        **Raises:** `InputError` where one adapter would have to do two things.
        """
        scalings = task_scalings(plan, field=f"tasks.{task}")
        if not scalings:
            return
        name = self._name_of(task, scalings)
        first, known = self._scalings.setdefault(name, (task, scalings))
        if known != scalings:
            raise InputError(
                "adapter", expected=f"one for each of {first} and {task}, whose neurons differ",
                got=name, hint=f"adapter={first}=NAME;{task}=NAME",
            )  # fmt: skip
        inside = tuple(entry for entry in plan.interventions if not entry.prompt)
        self._names[_acting(plain_interventions(replace(plan, interventions=inside)))] = name

    def of(self, interventions: Sequence[Affine]) -> str | None:
        """The adapter that stands for interventions; `None` where nothing changes."""
        acting = _acting(interventions)
        return self._names[acting] if acting else None

    def digest_of(self, name: str) -> str:
        """Hash of what an adapter has to do."""
        return scalings_digest(self._scalings[name][1])

    @property
    def by_task(self) -> dict[str, str]:
        """Each adapter's name, by the first task that wants it."""
        return {task: name for name, (task, _) in self._scalings.items()}


def _acting(interventions: Sequence[Affine]) -> tuple[Affine, ...]:
    return tuple(each for each in interventions if not each.changes_nothing)
