"""Folders of earlier runs, by what is in them: a sweep, interference, or lm_eval's results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sna_eval.app.core.saving import PLAN_FILE, Saved, lm_eval_command
from sna_eval.errors import InputError
from sna_eval.harness.side_by_side import ZoneRow, newest_samples, read_samples, zone_rows
from sna_eval.plan import Plan, parse_plan
from sna_eval.plan.files import plan_text
from sna_eval.study.choosing import select
from sna_eval.study.compare.locating import result_file
from sna_eval.study.interference import Interference
from sna_eval.study.summary import Summary, summarise
from sna_eval.study.sweep import SweepStore

_TASKS_FOLDER = '"$(sna-eval tasks-path)"'


@dataclass(frozen=True, eq=False)
class SweepFolder:
    """A finished sweep."""

    store: SweepStore
    summary: Summary


@dataclass(frozen=True)
class InterferenceFolder:
    """What amplifying one task did to the others."""

    measured: Interference


@dataclass(frozen=True)
class ItemPoint:
    """One item of a run, before and after."""

    task: str
    item: int
    zone: int
    amplified: bool
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class ResultFolder:
    """A run of `lm_eval --model sna --log_samples`."""

    rows: tuple[ZoneRow, ...]
    """Means by task and zone."""
    items: tuple[ItemPoint, ...]
    """Items of the tasks whose answers have probabilities."""
    config: Mapping[str, Any]
    """What lm_eval wrote down about the run."""


Opened = SweepFolder | InterferenceFolder | ResultFolder


def open_folder(typed: str, *, draws: int = 10_000) -> Opened:
    """Opens a folder.

    **Arguments:**

    - `draws`: bootstrap samples and random deals, as many as the report takes.

    **Raises:** `InputError` where there is nothing of these kinds in it.
    """
    path = Path(typed.strip()).expanduser()
    if not typed.strip() or not path.is_dir():
        raise InputError(
            "folder",
            expected="the folder of a sweep, of interference or of lm_eval's results",
            got=typed,
            hint="check the path",
        )
    if (path / "manifest.json").is_file():
        store = SweepStore.load(path)
        return SweepFolder(store, summarise(store, draws=draws))
    if (path / "interference.json").is_file():
        return InterferenceFolder(Interference.load(path))
    return _results(path)


def saved_choice(opened: SweepFolder) -> Saved:
    """The plan of each task's best configuration, and the command that tests it.

    **Raises:** `InputError` for a sweep of test items, which nothing may be chosen on.
    """
    plan = select(opened.store).plan
    return _saved(plan, str(opened.store.manifest["model"]))


def saved_run(opened: ResultFolder) -> Saved:
    """The plan that a run was made with, and the command that runs it again.

    **Raises:** `InputError` for a run without a plan.
    """
    tasks = opened.config.get("sna", {}).get("tasks", {})
    if not tasks:
        raise InputError("plan", expected="a run of `--model sna` with a plan", got="none")
    raw = {
        name: {"gate": own["gate"], "interventions": own["interventions"]}
        for name, own in tasks.items()
    }
    return _saved(parse_plan({"version": 1, "tasks": raw}), _model_name(opened.config))


def _saved(plan: Plan, model: str) -> Saved:
    command = lm_eval_command(model, list(plan.tasks), include_path=_TASKS_FOLDER)
    return Saved({PLAN_FILE: plan_text(plan)}, command)


def _results(path: Path) -> ResultFolder:
    rows = tuple(zone_rows(path))
    items = tuple(
        ItemPoint(
            task, int(sample["doc_id"]), int(sample["zone"]), bool(sample["decision"]),
            float(sample["baseline_prob"]), float(sample["prob"]),
        )
        for task, file in newest_samples(path).items()
        for sample in read_samples(file)
        if {"prob", "baseline_prob", "zone", "decision"} <= sample.keys()
    )  # fmt: skip
    raw = json.loads(result_file(path).read_text(encoding="utf-8"))
    return ResultFolder(rows, items, raw.get("config", {}))


def _model_name(config: Mapping[str, Any]) -> str:
    """The model as it was typed."""
    from lm_eval.utils import simple_parse_args_string

    arguments = config.get("model_args") or {}
    if isinstance(arguments, str):
        arguments = simple_parse_args_string(arguments)
    return str(arguments.get("pretrained", "sna-reference"))
