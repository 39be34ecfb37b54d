"""Whether the plan suits all tasks of a run: asked before the first of them is scored.

What is found while scoring is found after hours, and what was scored until then is lost: lm_eval
writes nothing before a run's last answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sna_eval.errors import InputError
from sna_eval.gating import (
    SIGNALS,
    AnswerSignal,
    ChoicesSignal,
    ConfidenceSignal,
    Gate,
    NextTokenSignal,
)
from sna_eval.harness.scoring.decisions import predicted_of_one, without_choices
from sna_eval.harness.scoring.ledger import GENERATED, ROLLING
from sna_eval.harness.tasks.development import development_docs, no_development_items
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.plan import UNLABELLED, TaskPlan, plain_interventions
from sna_eval.plan.applying import PREDICTED
from sna_eval.registry import either

PlanOf = Callable[[str], TaskPlan | None]
_SIGNALS_OF: Mapping[str, type[ConfidenceSignal]] = {
    GENERATED: NextTokenSignal,
    ROLLING: AnswerSignal,
}
_WORDS = {
    GENERATED: ("for generated text", "a generated text has no target and no choices"),
    ROLLING: ("for a rolling text", "a text as a whole is as likely as it is"),
}


def check_suits(plan_of: PlanOf, requests: Sequence[Any]) -> None:
    """Raises `InputError` where what a plan says cannot be done to a task, as far as that is known.

    **Arguments:**

    - `plan_of`: a task's part of the plan, neurons may still be to search.
    - `requests`: of all tasks of the run.
    """
    live = LiveTasks()
    asked: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for instance in requests:
        asked[instance.task_name or "", instance.request_type].append(instance)
    for (name, kind), of_kind in asked.items():
        plan = plan_of(name)
        if plan is None or plan.gate.mode == "never":
            continue
        if plan.needs_development:
            _check_searchable(name, live.of(of_kind[0]))
        if kind in _SIGNALS_OF:
            check_signal(name, kind, plan.gate)
            _check_plain(name, plan)
        else:
            _check_documents(name, plan, of_kind, live)


def check_signal(name: str, kind: str, gate: Gate) -> None:
    """Raises `InputError` for a signal that a kind of text does not have.

    **Arguments:**

    - `name`: of the task.
    """
    fitting = _SIGNALS_OF[kind]
    if gate.mode != "confidence" or isinstance(gate.measured_by, fitting):
        return
    words, hint = _WORDS[kind]
    allowed = either([*SIGNALS.of(fitting), "always", "never"])
    raise InputError(
        f"tasks.{name}.gate.signal", expected=f"{allowed} {words}", got=gate.signal, hint=hint
    )


def _check_searchable(name: str, task: Any) -> None:
    if task is None:
        raise no_development_items(name)
    development_docs(task)


def _check_plain(name: str, plan: TaskPlan) -> None:
    """Nothing that follows from choices, where there are none; known once neurons are."""
    if not plan.resolved:
        return
    try:
        plain_interventions(plan)
    except InputError as error:
        raise InputError(
            f"tasks.{name}.{error.field}", expected=error.expected, got=error.got, hint=error.hint
        ) from error


def _check_documents(name: str, plan: TaskPlan, requests: Sequence[Any], live: LiveTasks) -> None:
    """What a gate or a direction asks of a document's choices, for each document."""
    gate = plan.gate
    signal = gate.measured_by if gate.mode == "confidence" else None
    compares = isinstance(signal, ChoicesSignal)
    predicts = any(
        intervention.direction == PREDICTED and list(intervention.neurons or {}) != [UNLABELLED]
        for intervention in plan.interventions
    )
    answers = isinstance(signal, AnswerSignal)
    if not compares and not predicts and not answers:
        return
    documents: dict[Any, list[Any]] = defaultdict(list)
    for instance in requests:
        documents[instance.doc_id].append(instance)
    for document in documents.values():
        given = len(document)
        if not document[-1].args[0]:
            given -= live.unconditional(document[0], len(document))
        if given > 1:
            if answers:
                live.right_of(document[0], [one.args[1] for one in document[:given]])
            continue
        if live.offers_choices(document[0]):
            continue
        if compares:
            raise InputError(
                f"tasks.{name}.gate.signal", expected="a signal for tasks with one continuation",
                got=gate.signal, hint=f"it needs two choices; use {either(without_choices())}",
            )  # fmt: skip
        if predicts:
            raise predicted_of_one(name)
