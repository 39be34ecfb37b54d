"""Plans that are made while an evaluation waits: `plan=auto`.

Making one takes a sweep, and sweeps are `study`, which is built on `harness` and so must not be
imported here. Hence makers go by the path of a function, which is imported when a user asks for
it: dependencies keep pointing one way, an evaluation without `plan=auto` loads no sweep, and
another package adds a maker of its own by an entry in `PLAN_MAKERS`. Installed metadata (an entry
point) would do as much, but not in a checkout that was never installed.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from tqdm import tqdm

from sna_eval.cache import cache_dir
from sna_eval.errors import InputError, writing
from sna_eval.gating import SIGNALS, Gate
from sna_eval.harness.plugin.running import output_folder
from sna_eval.harness.tasks.development import development_docs, no_development_items
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.harness.tasks.task_plans import SearchedPlans
from sna_eval.methods import Workbench
from sna_eval.plan import ModelSpec, Plan, TaskPlan, save_plan
from sna_eval.typed import Json

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

PLAN_MAKERS = {"auto": "sna_eval.study.auto:make_plan"}
"""Makers by the name that stands behind `plan=`."""
GATE_CHECKS = {"auto": "sna_eval.study.auto:asked_gate"}
"""What complains about a gate that was asked for and does not suit a task, by the same names."""
DEFAULT_CONFIGURATIONS = 200
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
_GATE_ARGUMENTS = ("gate", "low", "high", "transition")


@dataclass(frozen=True)
class Budget:
    """What making one task's plan may cost: so many configurations, or about so many seconds."""

    configurations: int = DEFAULT_CONFIGURATIONS
    seconds: float | None = None
    """Counts instead of `configurations` where it is given."""

    @classmethod
    def parse(cls, value: Any) -> Budget:
        """Reads `auto_budget=`: a number of configurations, or seconds such as `120s`."""
        timed = _SECONDS.fullmatch(str(value).strip())
        if timed and float(timed[1]) > 0:
            return cls(seconds=float(timed[1]))
        counted = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
        if counted and float(value).is_integer():  # 2e2 is a number of configurations too
            return cls(int(value))
        raise InputError(
            "auto_budget",
            expected="a number of configurations such as 200, or seconds such as 120s",
            got=value,
        )


@dataclass(frozen=True)
class PlanMakerOptions:
    """What a user asks of a maker."""

    maker: str
    budget: Budget
    gate: Json
    """The arguments `gate`, `low`, `high`, `transition`, as far as they were given."""

    @classmethod
    def take(cls, arguments: dict[str, Any], budget: Any = None) -> PlanMakerOptions | None:
        """What model arguments ask; `None` where they ask for no maker.

        **Arguments:**

        - `arguments`: those that make up a plan.
        - `budget`: the argument `auto_budget`.
        """
        name = arguments.get("plan")
        if not isinstance(name, str) or name not in PLAN_MAKERS:
            if budget is not None:
                raise InputError("auto_budget", expected="plan=auto beside it", got=budget)
            return None
        for argument, value in arguments.items():
            if argument not in ("plan", *_GATE_ARGUMENTS):
                raise InputError(
                    argument, expected=f"no such argument beside plan={name}", got=value,
                    hint="it is what is looked for",
                )  # fmt: skip
        gate = {
            argument: value for argument, value in arguments.items() if argument in _GATE_ARGUMENTS
        }
        return cls(name, Budget() if budget is None else Budget.parse(budget), gate)


class PlanMaker(Protocol):
    """Makes the plan of one task, resolved, from development items alone."""

    def __call__(self, lm: SNALM, name: str, task: Any, options: PlanMakerOptions) -> Plan:
        """
        **Arguments:**

        - `lm`: the model that evaluates.
        - `name`, `task`: the lm_eval task that is about to be evaluated.
        """


def announce(text: str) -> None:
    """Says on standard error what was found; progress bars stay whole.

    lm_eval shows the log of its own packages alone, and a plan should not come about in silence.
    """
    tqdm.write(f"sna-eval: {text}", file=sys.stderr)


def load_maker(name: str) -> PlanMaker:
    """Imports a maker."""
    return cast(PlanMaker, pkgutil.resolve_name(PLAN_MAKERS[name]))


def load_gate_check(name: str) -> Callable[[Json, Any], Any]:
    """Imports what looks at a gate's arguments and a task before a maker sets to work."""
    return cast("Callable[[Json, Any], Any]", pkgutil.resolve_name(GATE_CHECKS[name]))


class MadePlans(SearchedPlans):
    """Asks a maker for each task's plan; `plan` holds those made so far."""

    def __init__(self, lm: SNALM, options: PlanMakerOptions, bench: Workbench) -> None:
        super().__init__(Plan({}), bench, lm.ranks)
        if self._ranks.sharded:
            raise InputError(
                "plan", expected=f"a model that one process holds, for plan={options.maker}",
                got=f"one held by {self._ranks.size}",
                hint="make the plan with parallelize=True in one process, and give its file",
            )  # fmt: skip
        self._lm, self._maker_options = lm, options

    def unsearched(self, name: str) -> TaskPlan | None:
        """The gate that is asked for where the plan is still to be made; `None` for none."""
        made = self._resolved.get(name)
        signal = self._maker_options.gate.get("gate")
        if made is not None or not isinstance(signal, str) or signal not in SIGNALS:
            return made
        return TaskPlan(Gate.by(SIGNALS[signal]), ())

    def prepare(self, instances: Sequence[Any]) -> None:
        """Makes the plans of all requests' tasks, once it is known that all of them can be made."""
        self.check(instances)
        new = self._new(instances)
        for instance in new.values():
            self.for_instance(instance)
        if new and self._ranks.first:
            announce(f"plan={self._maker_options.maker} saved as {self.file}")

    def check(self, instances: Sequence[Any]) -> None:
        live = LiveTasks()
        for name, instance in self._new(instances).items():
            self._check(name, live.of(instance))

    def _new(self, instances: Sequence[Any]) -> dict[str, Any]:
        """One instance of each task whose plan is still to be made."""
        first = {instance.task_name or "": instance for instance in instances}
        return {name: instance for name, instance in first.items() if name not in self._resolved}

    def _resolve(self, name: str, instance: Any, task: Any = None) -> TaskPlan:
        owner = task or LiveTasks().of(instance)
        self._check(name, owner)
        made, model = self._ranks.agreed(lambda: self._make(name, owner))
        self.plan = Plan({**self.plan.tasks, name: made}, model)
        self._save()
        return made

    def _make(self, name: str, task: Any) -> tuple[TaskPlan, ModelSpec]:
        with torch.random.fork_rng():  # what is sampled later must not depend on the sweep
            made = load_maker(self._maker_options.maker)(self._lm, name, task, self._maker_options)
        return made.tasks[name], made.model

    def _check(self, name: str, task: Any) -> None:
        try:
            if task is None:
                raise no_development_items(name)
            development_docs(task)
        except InputError as error:
            raise InputError(
                "plan",
                expected=f"tasks with development items for plan={self._maker_options.maker} (a "
                "validation or training split beside the evaluated one)",
                got=f"{name}, which has none",
                hint="add a split to the task, or give plan=FILE or neurons=",
            ) from error
        load_gate_check(self._maker_options.maker)(self._maker_options.gate, task)

    def _save(self) -> None:
        """Writes all plans made so far."""
        if self.file is None:
            folder = output_folder() or cache_dir() / "made-plans"
            moment = datetime.now().isoformat().replace(":", "-")
            self.file = folder / f"plan_{moment}.yaml"
        if self._ranks.first:
            with writing(self.file):
                self.file.parent.mkdir(parents=True, exist_ok=True)
            save_plan(self.plan, self.file)
