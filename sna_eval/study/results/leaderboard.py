"""Scores as the Open LLM Leaderboard shows them: 0 for guessing, 100 for all right.

lm_eval reports plain shares, the leaderboard (version 2) a rescaled one; setting one beside the
other is a mistake made often (lm_eval issues 2338 and 2583). A score becomes
`100 (score - low) / (1 - low)` with `low = 1 / choices`, and 0 below `low`; a task with subtasks is
the mean over them. Source: huggingface.co/docs/leaderboards, pages "Scores Normalization" and
"About", which list the choices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sna_eval.study.results.records import MetricName, Reported, TaskRecord

NORMALIZED = MetricName("normalized")
"""The metric's name; it exists in no lm_eval task."""

_BBH = {
    "boolean_expressions": 2, "causal_judgement": 2, "date_understanding": 6,
    "disambiguation_qa": 3, "formal_fallacies": 2, "geometric_shapes": 11, "hyperbaton": 2,
    "logical_deduction_five_objects": 5, "logical_deduction_seven_objects": 7,
    "logical_deduction_three_objects": 3, "movie_recommendation": 6, "navigate": 2,
    "object_counting": 19, "penguins_in_a_table": 5, "reasoning_about_colored_objects": 18,
    "ruin_names": 6, "salient_translation_error_detection": 6, "snarks": 2,
    "sports_understanding": 2, "temporal_sequences": 4,
    "tracking_shuffled_objects_five_objects": 5, "tracking_shuffled_objects_seven_objects": 7,
    "tracking_shuffled_objects_three_objects": 3, "web_of_lies": 2,
}  # fmt: skip
_MUSR = {"murder_mysteries": 2, "object_placements": 5, "team_allocation": 3}


@dataclass(frozen=True)
class ScorePart:
    """One value that enters a leaderboard score."""

    task: str
    metric: str
    choices: int
    """How many answers there are to guess from; 0 where guessing is hopeless."""


@dataclass(frozen=True)
class Column:
    """One score column of the leaderboard."""

    title: str
    task: str
    shots: int
    parts: tuple[ScorePart, ...]


COLUMNS = (
    Column("IFEval", "leaderboard_ifeval", 0, (
        ScorePart("leaderboard_ifeval", "inst_level_strict_acc", 0),
        ScorePart("leaderboard_ifeval", "prompt_level_strict_acc", 0),
    )),
    Column("BBH", "leaderboard_bbh", 3, tuple(
        ScorePart(f"leaderboard_bbh_{name}", "acc_norm", count) for name, count in _BBH.items()
    )),
    Column("MATH Lvl 5", "leaderboard_math_hard", 4, (
        ScorePart("leaderboard_math_hard", "exact_match", 0),
    )),
    Column("GPQA", "leaderboard_gpqa", 0, (ScorePart("leaderboard_gpqa", "acc_norm", 4),)),
    Column("MUSR", "leaderboard_musr", 0, tuple(
        ScorePart(f"leaderboard_musr_{name}", "acc_norm", count) for name, count in _MUSR.items()
    )),
    Column("MMLU-PRO", "leaderboard_mmlu_pro", 5, (ScorePart("leaderboard_mmlu_pro", "acc", 10),)),
)  # fmt: skip
AVERAGE = "leaderboard"
"""Task that carries the mean of all six."""


def normalized(value: float, choices: int) -> float:
    """A share on the leaderboard's scale."""
    low = _guessing(choices)
    return max(0.0, (value - low) / (1 - low) * 100)


def with_normalized(tasks: Mapping[str, TaskRecord]) -> dict[str, TaskRecord]:
    """The same tasks, with the leaderboard's score where all its parts are there."""
    extended = dict(tasks)
    columns = {column.task: _score(column, tasks) for column in COLUMNS}
    known = {task: score for task, score in columns.items() if score is not None}
    if len(known) == len(COLUMNS):
        known[AVERAGE] = _mean(list(known.values()))
    for task, score in known.items():
        record = extended.get(task) or TaskRecord(task, {})
        extended[task] = replace(record, scores={**record.scores, NORMALIZED: score})
    return extended


def _score(column: Column, tasks: Mapping[str, TaskRecord]) -> Reported | None:
    found = []
    for part in column.parts:
        record = tasks.get(part.task)
        score = record.scores.get(MetricName(part.metric)) if record else None
        if score is None:
            return None
        scale = 100 / (1 - _guessing(part.choices))
        stderr = None if score.stderr is None else score.stderr * scale
        found.append(Reported(normalized(score.value, part.choices), stderr))
    return _mean(found)


def _mean(scores: Sequence[Reported]) -> Reported:
    """The mean of independent scores; without a standard error where one of them has none."""
    value = sum(score.value for score in scores) / len(scores)
    stderrs = [score.stderr for score in scores if score.stderr is not None]
    known = len(stderrs) == len(scores)
    return Reported(value, math.hypot(*stderrs) / len(scores) if known else None)


def _guessing(choices: int) -> float:
    return 1 / choices if choices else 0.0
