"""Units and the rankings they are found by, as plans ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sna_eval.gating import Gate
from sna_eval.plan import PlannedIntervention, Selection, TaskPlan

UNITS = ("mlp", "head", "feature")
RANKINGS = ("differential", "contrastive", "attribution", "gradient", "random")
CELLS = ("mlp-cna", *(f"{unit}-{ranking}" for unit in UNITS for ranking in RANKINGS))
"""`cna` goes by the ranking `absolute`, over all layers."""
LAYER, MULTIPLIER = 1, 3.0


def task_of(cell: str) -> str:
    """The task it is tried on: `contrastive` needs one of two labels."""
    return "own_labels" if cell.endswith("contrastive") else "own_open"


def plan_of(cell: str, pairs: Path) -> TaskPlan:
    """Ungated, its units still to be found."""
    unit, ranking = cell.split("-")
    return TaskPlan(Gate(mode="always"), (_entry(unit, ranking, pairs),))


def _entry(unit: Any, ranking: str, pairs: Path) -> PlannedIntervention:
    if ranking != "cna":
        count = 1 if unit == "head" else 2  # all four heads together Gemma 2 would norm away
        select = Selection(ranking, top_k=count)
        return PlannedIntervention(LAYER, MULTIPLIER, unit=unit, select=select)
    select = Selection(
        "absolute", pooling="last", across_layers=True, share=0.03, drop_universal=True,
        prompts=str(pairs),
    )  # fmt: skip
    return PlannedIntervention(0, MULTIPLIER, method="cna", select=select)
