"""Units and the rankings they are found by, as plans ask for them, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sna_eval.gating import Gate
from sna_eval.plan import PlannedIntervention, Selection, TaskPlan
from tests.intervention.plain_units import log_probs

UNITS = ("mlp", "head", "feature")
RANKINGS = ("differential", "contrastive", "attribution", "gradient", "random")
CELLS = ("mlp-cna", *(f"{unit}-{ranking}" for unit in UNITS for ranking in RANKINGS))
"""`cna` goes by the ranking `absolute`, over all layers."""
LAYER, MULTIPLIER = 1, 3.0


def task_of(cell: str) -> str:
    """The task it is tried on: `contrastive` needs one of two labels."""
    return "own_labels" if cell.endswith("contrastive") else "own_open"


def plan_of(cell: str, pairs: Path, layer: int = LAYER) -> TaskPlan:
    """Ungated, its units still to be found."""
    unit, ranking = cell.split("-")
    return TaskPlan(Gate(mode="always"), (_entry(unit, ranking, pairs, layer),))


def _entry(unit: Any, ranking: str, pairs: Path, layer: int) -> PlannedIntervention:
    if ranking != "cna":
        count = 1 if unit == "head" else 2  # all four heads together Gemma 2 would norm away
        select = Selection(ranking, top_k=count)
        return PlannedIntervention(layer, MULTIPLIER, unit=unit, select=select)
    select = Selection(
        "absolute", pooling="last", across_layers=True, share=0.03, drop_universal=True,
        prompts=str(pairs),
    )  # fmt: skip
    return PlannedIntervention(0, MULTIPLIER, method="cna", select=select)


def asked(task: str, doc: dict[str, Any]) -> tuple[str, list[str], int]:
    """Context, choices and right answer of a document of the tests' tasks, as their YAMLs say."""
    if task == "own_open":
        return doc["text"], [f" {doc['answer']}"], 0
    return f"{doc['text']} sounds", [" dull and grey", " bright"], doc["label"]


def right_probs(lm: Any, task: str, docs: Sequence[dict[str, Any]]) -> list[float]:
    """Probabilities of the right answers."""
    questions = [asked(task, doc) for doc in docs]
    pairs = [(context, choices[right]) for context, choices, right in questions]
    return [float(np.exp(value)) for value in log_probs(lm, pairs)]
