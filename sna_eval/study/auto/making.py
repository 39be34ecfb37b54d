"""Makes the plan of a task: sweep, choice, gate.

1. The whole grid is predicted on development items from one backward pass, and as much of it is
   measured, every item amplified, as the budget pays for; see `sna_eval.study.sweep.screening`.
   A model without gradients gets a smaller grid, measured whole.
   Neurons are ranked on one half of these items and configurations measured on the other, where
   there are enough of both.
2. The best configuration by lower confidence bound is chosen without a gate, and the gate's
   boundaries are calibrated on what it did to each item. They are kept if they win more than they
   lose on items left out, by a lower bound; else the gate keeps its own.
3. The best configuration behind that gate is chosen anew. Its lower bound holds for the best of all
   configurations, and of all boundaries where those were calibrated.

No item that is evaluated is looked at. Unless a gate is asked for, its signal does not look at
right answers either: the margin between choices, or the probability of the likeliest next token. A
sweep is kept in the cache folder under the hash of everything it depends on, so that the same
command goes on where it was stopped, and costs nothing the next time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sna_eval.cache import cache_dir, digest
from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, ChoicesSignal, Gate, NextTokenSignal
from sna_eval.harness.plugin.running import prompting
from sna_eval.harness.tasks.plan_makers import PlanMakerOptions, announce
from sna_eval.harness.tasks.questions import output_type
from sna_eval.neurons.first_order import NoGradients
from sna_eval.plan import Plan
from sna_eval.plan.files import parse_gate
from sna_eval.study.auto.affordable import affordable, small_grid
from sna_eval.study.calibration import calibrate, spoken
from sna_eval.study.choosing import (
    ChosenConfiguration,
    Measure,
    SelectedPlan,
    SelectOptions,
    select,
)
from sna_eval.study.sweep import ScreenOptions, Sweep, SweepOptions, SweepStore, run_sweep
from sna_eval.typed import Json

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

_ROLLING = "loglikelihood_rolling"


def make_plan(lm: SNALM, name: str, task: Any, asked: PlanMakerOptions) -> Plan:
    """The plan of one task; see `sna_eval.harness.tasks.plan_makers.PlanMaker`.

    **Raises:** `InputError` for a gate that cannot be.
    """
    gate = asked_gate(asked.gate, task)
    options = SweepOptions(tasks=(name,), gate=gate, spread=True, prompting=prompting())
    size = affordable(asked.budget, options, lm, name, task)
    options = replace(options, limit=size.items)
    store = _searched(options, size.configurations, lm, name, task)
    long = output_type(task) in ("generate_until", _ROLLING)
    measure: Measure | None = "log_prob" if long else None
    selection = _selected(
        store, name, gate, measure, fixed=bool({"low", "high"} & asked.gate.keys())
    )
    _announce(name, selection.choices[0])
    return selection.plan


def asked_gate(asked: Json, task: Any) -> Gate:
    """The gate that arguments describe, beside what is left open."""
    if asked.get("gate") == "never":
        raise InputError(
            "gate", expected="a gate that may open beside plan=auto", got="never",
            hint="leave plan=auto out",
        )  # fmt: skip
    if output_type(task) == _ROLLING:
        if asked and dict(asked) != {"gate": "always"}:
            raise InputError(
                "gate", expected="`always`, or none, for a rolling text beside plan=auto",
                got=", ".join(f"{name}={value}" for name, value in asked.items()),
            )  # fmt: skip
        return Gate(mode="always")
    choices = output_type(task) == "multiple_choice"
    gate = Gate.by(SIGNALS.first(ChoicesSignal if choices else NextTokenSignal))
    key = "mode" if asked.get("gate") == "always" else "signal"
    renamed = {key if argument == "gate" else argument: value for argument, value in asked.items()}
    return parse_gate(renamed or None, "gate", gate)


def _searched(
    options: SweepOptions, configurations: int, lm: SNALM, name: str, task: Any
) -> SweepStore:
    """A sweep of the whole grid in which no more than so many configurations are measured."""
    quiet = not lm.ranks.first
    full = Sweep(options, lm=lm, tasks={name: task})
    grid = full.subjects[name].grid
    if configurations >= len(grid):
        return _swept(full, quiet=quiet)
    try:
        screened = replace(options, screen=ScreenOptions.within(configurations))
        return _swept(Sweep(screened, lm=lm, tasks={name: task}), quiet=quiet)
    except NoGradients as error:
        announce(f"{name}: no gradients ({error.got}): a smaller grid is measured whole")
    grid = small_grid(grid, configurations)
    smaller = replace(
        options, layers=grid.layers, n_neurons=grid.n_neurons, multipliers=grid.multipliers
    )
    return _swept(Sweep(smaller, lm=lm, tasks={name: task}), quiet=quiet)


def _swept(sweep: Sweep, *, quiet: bool) -> SweepStore:
    # named by its whole manifest: another version, another folder
    folder = cache_dir() / "auto" / digest(sweep.manifest())
    return run_sweep(sweep, folder, quiet=quiet)


def _selected(
    store: SweepStore, name: str, gate: Gate, measure: Measure | None, *, fixed: bool
) -> SelectedPlan:
    """The best configuration behind the gate, its boundaries calibrated unless they are `fixed`."""
    ungated = select(store, SelectOptions(gate="always", measure=measure))
    if gate.mode == "always":
        return ungated
    calibrated = gate if fixed else _calibrated(store, ungated.plan, name, gate)
    return select(
        store,
        SelectOptions(measure=measure),
        gates={name: calibrated},
        fitted_gates=calibrated != gate,
    )


def _calibrated(store: SweepStore, plan: Plan, name: str, gate: Gate) -> Gate:
    _, (found,) = calibrate(store, plan)
    if not found.kept:
        announce(f"{name}: the gate keeps its own boundaries: {spoken(found)}")
        return gate
    announce(f"{name}: gate calibrated: {spoken(found)}")
    return replace(gate, low=found.low, high=found.high)


def _announce(name: str, choice: ChosenConfiguration) -> None:
    bound = choice.lower_bound
    sure = bound is not None and bound > 0
    shown = "unknown" if bound is None else f"{bound:+.4f}"
    announce(
        f"{name}: {choice.configuration.label}, best of {choice.among}: "
        f"{choice.measure} {choice.gain:+.4f} on {choice.n_items} development items, "
        f"lower bound {shown}{'' if sure else ': no sign that anything helps'}"
    )
