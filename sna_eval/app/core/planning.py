"""From a setting to the plan that does it, its neurons found: what is shown, scored and saved."""

from __future__ import annotations

from dataclasses import replace

from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import Searched, Workspace
from sna_eval.measuring.configuration import Configuration
from sna_eval.measuring.grid import check_directions
from sna_eval.plan import ModelSpec, Plan, PlannedIntervention, TaskPlan

ITEM_TASK = "own_prompts"
"""The name that items typed or uploaded in the app go by, in plans and in saved tasks."""


def resolved_entry(workspace: Workspace, setting: Setting) -> PlannedIntervention:
    """The intervention, its neurons found."""
    workspace.sites.of(setting.unit).check_layer(setting.layer)
    ranked = workspace.ranked(setting.source, setting.method, setting.pooling, setting.unit)
    ranking = ranked.layers[setting.layer]
    check_directions([setting.direction], ranking.labels, allow_oracle=False)
    wanted = Configuration(setting.layer, setting.count, setting.multiplier, setting.direction)
    entry = wanted.planned(ranking.first(setting.count), found_by(ranked, setting))
    return replace(entry, positions=setting.positions)


def found_by(ranked: Searched, setting: Setting) -> dict[str, object]:
    """How the neurons were found, as a plan file records it."""
    ranking = ranked.layers[setting.layer]
    found = ranked.search.record(setting.count, ranking)
    if setting.source.task is None:
        return {**found, "prompts": "own"}
    return {**found, "task": setting.source.task}


def plan_of(workspace: Workspace, setting: Setting, *, task: str = ITEM_TASK) -> Plan:
    """The whole plan, for items of the given name.

    **Arguments:**

    - `task`: a task's name or a glob.
    """
    entry = resolved_entry(workspace, setting)
    spec = ModelSpec(workspace.name, workspace.sites.n_layers, workspace.sites.d_mlp)
    return Plan({task: TaskPlan(setting.gate, (entry,))}, spec)
