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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from tqdm import tqdm

from sna_eval.errors import InputError
from sna_eval.plan import Plan

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
    gate: Mapping[str, Any]
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

    def __call__(self, lm: Any, name: str, task: Any, options: PlanMakerOptions) -> Plan:
        """
        **Arguments:**

        - `lm`: the `SNALM` that evaluates.
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


def load_gate_check(name: str) -> Callable[[Mapping[str, Any], Any], Any]:
    """Imports what looks at a gate's arguments and a task before a maker sets to work."""
    return cast("Callable[[Mapping[str, Any], Any], Any]", pkgutil.resolve_name(GATE_CHECKS[name]))
