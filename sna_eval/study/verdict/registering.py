"""Makes a registration: hashes of model and data, zones, and simulated power. Scores no test item.

Zones are thirds of the choosing half of the development items by a confidence that does not look
at right answers, the likeliest next token's probability or the margin between choices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sna_eval.cache import digest
from sna_eval.errors import InputError
from sna_eval.gating import SIGNALS, AnswerSignal, Gate
from sna_eval.harness.loading import load_tasks
from sna_eval.harness.tasks.contexts import TaskArguments
from sna_eval.measuring.items import TaskItems
from sna_eval.study.nulls.searching import run_search
from sna_eval.study.nulls.task_search import TaskSearch
from sna_eval.study.same_settings import versions
from sna_eval.study.statistics import draws_needed
from sna_eval.study.verdict.power import simulated_power
from sna_eval.study.verdict.registration import (
    Correction,
    Limits,
    RegisteredGate,
    RegisteredItems,
    RegisteredModel,
    RegisteredSearch,
    RegisteredTask,
    Registration,
)

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

POWER_DRAWS = 19
"""Random rankings that power is simulated from."""
FEWEST_DRAWS = 99


@dataclass(frozen=True)
class RegisterOptions:
    """What is asked for; the registration says it in full."""

    tasks: tuple[str, ...]
    model_args: str
    include_path: str | None = None
    arguments: TaskArguments = field(default_factory=TaskArguments)
    search: RegisteredSearch = field(default_factory=RegisteredSearch)
    """Its draws count where `draws` is given."""
    draws: int | None = None
    """Random rankings; `None`: as many as the tasks need after Holm, 99 at least."""
    limits: Limits = field(default_factory=Limits)
    gate: str = "always"
    """`always`, or a signal whose zone 1 is amplified."""

    def __post_init__(self) -> None:
        if self.draws is not None and self.draws < 1:
            raise InputError("draws", expected="at least 1", got=self.draws)


def register(lm: SNALM, asked: RegisterOptions, *, quiet: bool = False) -> Registration:
    """A registration of a search that has not been made."""
    tasks = asked_tasks(asked)
    needed = draws_needed(len(tasks), alpha=asked.limits.alpha)
    draws = draws_of(asked, len(tasks))
    correction: Correction = "holm" if draws >= needed else "none"
    search = replace(asked.search, draws=draws)
    level = asked.limits.alpha / (len(tasks) if correction == "holm" else 1)
    several = len(tasks) > 1
    bar = tqdm(tasks.items(), desc="Registering", unit="task", disable=quiet, leave=several)
    asked = replace(asked, search=search)
    registered = {name: _task(lm, name, task, asked, level, quiet=quiet) for name, task in bar}
    return Registration(
        RegisteredModel(asked.model_args, lm.model_hash),
        registered,
        search,
        asked.limits,
        correction,
        task_arguments=asked.arguments.given(),
        include_path=asked.include_path,
        made_with={name: str(value) for name, value in versions().items()},
    )


def asked_tasks(asked: RegisterOptions) -> dict[str, Any]:
    """The lm_eval tasks that are asked for."""
    return load_tasks(
        list(asked.tasks), include_path=asked.include_path,
        model_args=asked.model_args, arguments=asked.arguments,
    )  # fmt: skip


def draws_of(asked: RegisterOptions, n_tasks: int) -> int:
    """Random rankings that a registration of so many tasks has."""
    if asked.draws is not None:
        return asked.draws
    return max(FEWEST_DRAWS, draws_needed(n_tasks, alpha=asked.limits.alpha))


def _task(
    lm: SNALM, name: str, task: Any, asked: RegisterOptions, level: float, *, quiet: bool
) -> RegisteredTask:
    gate = registered_gate(lm, name, task, asked)
    options = asked.search.options(gate.gate())
    trial = replace(options, split="development", draws=POWER_DRAWS, limit=None)
    null = run_search(TaskSearch(lm, name, task, trial), quiet=quiet)
    power = simulated_power(
        null.null_gains, draws=asked.search.draws, level=level, smallest=asked.limits.smallest
    )
    search = TaskSearch(lm, name, task, options)
    return RegisteredTask(
        version=str((task.config.metadata or {}).get("version", "")),
        development=registered_items(search.development_items),
        test=registered_items(search.test_items),
        gate=gate,
        power=power,
    )


def registered_items(items: TaskItems) -> RegisteredItems:
    """Hash and counts of a split's items."""
    return RegisteredItems(len(items.items), len(set(items.clusters)), digest(items.described()))


def registered_gate(lm: SNALM, name: str, task: Any, asked: RegisterOptions) -> RegisteredGate:
    """Zones by a confidence that does not look at right answers, and whose items count."""
    named = None if asked.gate == "always" else SIGNALS.find(asked.gate)
    if isinstance(named, AnswerSignal):
        return RegisteredGate(named.name, named.low, named.high, "confidence")
    search = TaskSearch(lm, name, task, asked.search.options(Gate(mode="always")))
    several = any(len(item.choices) > 1 for item in search.development_items.items)
    signal = named or SIGNALS.find("margin" if several else "max_prob")
    gate = Gate.by(signal, mode="always")
    trial = TaskSearch(lm, name, task, asked.search.options(gate))
    low, high = _thirds([decision.confidence for decision in trial.choosing.decisions])
    return RegisteredGate(signal.name, low, high, "always" if named is None else "confidence")


def _thirds(confidence: Sequence[float]) -> tuple[float, float]:
    known = [value for value in confidence if math.isfinite(value)]
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    return float(f"{low:.4g}"), float(f"{high:.4g}")


def registered_tasks(registration: Registration) -> dict[str, Any]:
    """The lm_eval tasks of a registration."""
    return load_tasks(
        list(registration.tasks), include_path=registration.include_path,
        model_args=registration.model.arguments, arguments=registration.arguments(),
    )  # fmt: skip


def registered_search(registration: Registration, lm: SNALM, name: str, task: Any) -> TaskSearch:
    """The search that was registered for a task."""
    gate = registration.tasks[name].gate.gate()
    return TaskSearch(lm, name, task, registration.search.options(gate))


def check_registered(
    registration: Registration, searches: Mapping[str, TaskSearch], lm: SNALM
) -> None:
    """Raises `InputError` where model or data are not what was registered."""
    from sna_eval.study.verdict.registration import check_hash

    check_hash("model", registered=registration.model.hash, now=lm.model_hash, what="the model")
    for name, task in registration.tasks.items():
        search = searches[name]
        for split, registered, items in (
            ("development", task.development, search.development_items),
            ("test", task.test, search.test_items),
        ):
            check_hash(
                f"tasks.{name}.{split}", registered=registered.hash,
                now=registered_items(items).hash, what="items",
            )  # fmt: skip
