"""One task under one plan, through lm_eval's own evaluator, down to values per item."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sna_eval.harness.bars import only_ours
from sna_eval.harness.tasks.contexts import prompting_of
from sna_eval.harness.tasks.questions import (
    output_type,
    right_of,
    seed_examples,
    unconditional_requests,
)
from sna_eval.harness.values import Evidence, evidence_of
from sna_eval.plan import Plan, TaskPlan
from sna_eval.typed import Json

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM


@dataclass(frozen=True)
class Outcome:
    """What a run said of every item, in the order of the documents."""

    measure: str
    """`prob`: probability of the answer. `acc`: whether the likeliest choice is right."""
    before: tuple[float, ...]
    after: tuple[float, ...]
    zones: tuple[int, ...]
    amplified: tuple[bool, ...]


def evaluate(
    lm: SNALM, name: str, task: Any, plan: TaskPlan, *, limit: int | None, quiet: bool = True
) -> Outcome:
    """What `--model sna` answers on one task's test items.

    **Arguments:**

    - `plan`: resolved.
    - `limit`: test items at most.
    """
    samples = samples_under(lm, name, task, plan, limit=limit, quiet=quiet)
    items = [_item(task, sample) for sample in samples]
    measures, before, after, evidence = zip(*items, strict=True)
    zones = tuple(one.zone for one in evidence)
    return Outcome(measures[0], before, after, zones, tuple(one.amplified for one in evidence))


def samples_under(
    lm: SNALM,
    name: str,
    task: Any,
    plan: TaskPlan,
    *,
    limit: int | None = None,
    quiet: bool = True,
) -> list[Json]:
    """What lm_eval's evaluator logs of a task under a plan, one sample a document, in order."""
    from lm_eval.evaluator import evaluate as run

    seed_examples(task)
    shown = prompting_of(task)
    with lm.under(Plan({name: plan})), only_ours(quiet=quiet):
        results = run(
            lm=lm, task_dict={"tasks": {name: task}, "groups": {}}, limit=limit,
            bootstrap_iters=0, log_samples=True, system_instruction=shown.system_instruction,
            apply_chat_template=shown.chat, fewshot_as_multiturn=shown.multiturn,
        )  # fmt: skip
    return _one_a_document(results["samples"][name])


def _one_a_document(samples: Iterable[Json]) -> list[Json]:
    """In the order of the documents. Each filter has a sample of its own of every document, but
    what is measured here are the answers before any filter, which are the same in all of them.
    """
    first = {sample["doc_id"]: sample for sample in reversed(list(samples))}
    return [first[number] for number in sorted(first)]


def _item(task: Any, sample: Json) -> tuple[str, float, float, Evidence]:
    """Measure, baseline, amplified and evidence of one item, from the answers themselves."""
    values = [answers[0][0] for answers in sample["resps"]]
    evidence = [one for one in map(evidence_of, values) if one is not None]
    assert len(evidence) == len(values), "every answer of a planned task has its baseline"
    before = [one.baseline for one in evidence]
    if output_type(task) != "multiple_choice":
        return "prob", math.exp(before[0]), math.exp(values[0]), evidence[0]
    count = len(values) - unconditional_requests(task, sample["doc"], len(values))
    gold = right_of(task, sample["doc"], [argument[1] for argument in sample["arguments"][:count]])
    chosen = (max(range(count), key=scores.__getitem__) for scores in (before, values))
    first, second = (float(number == gold) for number in chosen)
    return "acc", first, second, evidence[0]
