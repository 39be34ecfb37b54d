"""Many questions at once, through the evaluation's own scorer."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields

from sna_eval.app.core.batch_file import BadRow, FileRow, PromptFile
from sna_eval.app.core.question import question_items
from sna_eval.app.core.setting import Setting
from sna_eval.app.core.workspace import ITEM_TASK, Workspace, plan_of
from sna_eval.errors import InputError
from sna_eval.gating import ChoicesSignal
from sna_eval.harness.model.row_passes import RowPasses
from sna_eval.harness.scoring.decisions import without_choices
from sna_eval.harness.scoring.ledger import Ledger
from sna_eval.harness.scoring.scorer import Scorer
from sna_eval.harness.tasks.items import check_length
from sna_eval.harness.tasks.task_plans import SearchedPlans
from sna_eval.harness.values import Answer, evidence_of
from sna_eval.registry import either

ROWS_PER_STEP = 32
"""Questions between two reports of progress; the model is free for others in between."""
_ROWS_PER_PASS = 8


@dataclass(frozen=True)
class BatchRow:
    """One question's outcome."""

    line: int
    prompt: str
    target: str
    tokens: int
    """Of the target."""
    zone: int
    confidence: float
    amplified: bool
    baseline_prob: float
    prob: float
    """After the gate: of the amplified model where it opened."""
    delta_prob: float
    oracle: bool
    """Whether the direction followed the right answer."""


def scorable(workspace: Workspace, file: PromptFile) -> PromptFile:
    """The file without the rows that the model cannot score: these are among the bad ones then.

    **Raises:** `InputError` where none is left.
    """
    rows: list[FileRow] = []
    bad: list[BadRow] = []
    for row in file.rows:
        try:
            (item,) = question_items(workspace.lm, [row.question], task=ITEM_TASK).items
            check_length(item, workspace.lm.max_length)
            rows.append(row)
        except InputError as error:
            bad.append(BadRow(row.line, f"expected {error.expected}, got {error.got!r}"))
    if not rows:
        raise InputError(
            "file", expected="a row that the model can score", got=f"line {bad[0].line}",
            hint=bad[0].why,
        )  # fmt: skip
    return PromptFile(tuple(rows), (*file.bad, *bad))


def run_batch(
    workspace: Workspace, setting: Setting, rows: Sequence[FileRow]
) -> Iterator[tuple[BatchRow, ...]]:
    """Scores the rows, in order, portion by portion.

    **Raises:** `InputError` where the gate wants a margin and a row has no choices.
    """
    lacking = [row.line for row in rows if not row.question.others]
    signal = setting.gate.measured_by
    if setting.gate.mode == "confidence" and isinstance(signal, ChoicesSignal) and lacking:
        raise InputError(
            "gate.signal",
            expected=f"rows with `others`, for a {signal.words}",
            got=f"none in line {lacking[0]}",
            hint=f"use {either(without_choices())}",
        )
    with workspace.passes():
        plans = SearchedPlans(plan_of(workspace, setting), workspace.lm.bench)
        ledger = Ledger()
        passes = RowPasses(
            workspace.lm.scoring_engine,
            lambda rows: _ROWS_PER_PASS,
            workspace.lm.max_length,
            ledger,
        )
        scorer = Scorer(passes, plans, ledger)
    for start in range(0, len(rows), ROWS_PER_STEP):
        portion = rows[start : start + ROWS_PER_STEP]
        with workspace.passes():
            questions = [row.question for row in portion]
            items = question_items(workspace.lm, questions, task=ITEM_TASK)
            answers = scorer.score(items.items, items.right_answer, quiet=True)
        yield tuple(
            _outcome(row, answer[0], len(item.requests[0].continuation))
            for row, answer, item in zip(portion, answers, items.items, strict=True)
        )


def as_csv(rows: Sequence[BatchRow]) -> str:
    """The table as CSV, every digit kept."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(BatchRow)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return stream.getvalue()


def as_jsonl(rows: Sequence[BatchRow]) -> str:
    """The table as JSON lines."""
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def _outcome(row: FileRow, answer: Answer, tokens: int) -> BatchRow:
    evidence = evidence_of(answer[0])
    assert evidence is not None, "the plan has an entry for these items"
    before, after = math.exp(evidence.baseline), math.exp(answer[0])
    return BatchRow(
        line=row.line,
        prompt=row.question.prompt,
        target=row.question.target,
        tokens=tokens,
        zone=evidence.zone,
        confidence=evidence.confidence,
        amplified=evidence.amplified,
        baseline_prob=before,
        prob=after,
        delta_prob=after - before,
        oracle=evidence.oracle,
    )
