"""Items in the gate's middle zone, chosen for one model, as a task that lm_eval can run.

Which items a model is half sure of differs from model to model: the paper built 120 for GPT-2
Medium (Akhtar 2026, section 4). Here every item of some tasks is scored by the unmodified model,
and chance draws from those whose confidence lies in zone 2; nothing amplified is looked at.
Development and test items share no answer and no source, and answers are asked equally often as far
as the zone allows it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sna_eval.clusters import fold_numbers
from sna_eval.errors import InputError, writing
from sna_eval.files import tasks_path, write_whole
from sna_eval.gating import Gate
from sna_eval.harness.tasks.development import development_docs
from sna_eval.measuring.items import Split
from sna_eval.measuring.subjects import Subject, gate_decisions, task_subject

if TYPE_CHECKING:
    from lm_eval.api.task import Task

    from sna_eval.harness.lm import SNALM

_TEMPLATE = "_generation.yaml"
_FEWEST = 8
"""Items of a split that say anything at all."""


@dataclass(frozen=True)
class TransitionItem:
    """A prompt, its right continuation, and what the unmodified model makes of it."""

    prompt: str
    target: str
    cluster: str
    """What items have in common that share an answer."""
    source: str
    """The fact behind the item; splits share none, and an item is drawn once from each."""
    confidence: float


@dataclass(frozen=True)
class TransitionSplits:
    """The items of a task, and among how many they were found."""

    development: tuple[TransitionItem, ...]
    test: tuple[TransitionItem, ...]
    inside: int
    """Items in zone 2."""
    scored: int
    """Items that were looked at."""


def zone_two_items(
    lm: SNALM, tasks: Mapping[str, Task], gate: Gate, *, quiet: bool = True
) -> tuple[list[TransitionItem], int]:
    """All items of some tasks that lie in zone 2, and how many were scored.

    **Arguments:**

    - `tasks`: lm_eval's tasks by name; development items count too, where they have some.

    **Raises:** `InputError` for a task that has anything but one continuation an item.
    """
    found: list[TransitionItem] = []
    scored = 0
    for name, task in tasks.items():
        for split in _splits(task):
            subject = task_subject(name, task, lm, split=split)
            decisions = gate_decisions(lm.engine, subject, gate, quiet=quiet)
            scored += len(decisions)
            found += [
                _transition_item(subject, number, decision.confidence)
                for number, decision in enumerate(decisions)
                if decision.zone == 2
            ]
    return found, scored


def _splits(task: Any) -> tuple[Split, ...]:
    try:
        development_docs(task, 1)
    except InputError:
        return ("test",)
    return ("development", "test")


def _transition_item(subject: Subject, number: int, confidence: float) -> TransitionItem:
    items = subject.items
    assert items is not None  # a task's subject
    item = items.items[number]
    if items.kind != "loglikelihood" or len(item.requests) != 1:
        raise InputError(
            "--tasks", expected="tasks with one continuation an item", got=subject.name,
            hint="name tasks of output_type loglikelihood",
        )  # fmt: skip
    (request,) = item.requests
    doc = item.instance.doc
    named = doc.get("source") if isinstance(doc, Mapping) else None
    return TransitionItem(
        request.context_text,
        request.continuation_text,
        items.clusters[number],
        request.context_text if named is None else str(named),
        round(confidence, 6),
    )


def split_items(
    items: Sequence[TransitionItem], *, scored: int, development: int, test: int, seed: int = 0
) -> TransitionSplits:
    """Draws the two splits, at most so many items each.

    **Raises:** `InputError` where too few items lie in the zone for either.
    """
    distinct = _one_of_each_source(items, seed)
    parts = max(2, round((development + test) / development))
    numbers = fold_numbers([item.cluster for item in distinct], parts, seed=seed)
    for_development = [item for item, part in zip(distinct, numbers, strict=True) if part == 0]
    for_test = [item for item, part in zip(distinct, numbers, strict=True) if part != 0]
    chosen = (_in_turn(for_development, development), _in_turn(for_test, test))
    if min(map(len, chosen)) < _FEWEST:
        raise InputError(
            "zone 2", expected=f"{_FEWEST} items or more for either split, of distinct sources",
            got=f"{len(chosen[0])} and {len(chosen[1])}; of {scored} items {len(items)} lie in it",
            hint="name tasks with more items, or set a wider zone by --low and --high",
        )  # fmt: skip
    return TransitionSplits(*chosen, len(items), scored)


def _one_of_each_source(items: Sequence[TransitionItem], seed: int) -> list[TransitionItem]:
    """The items in random order, one of each source: of the answer that came least often so far."""
    mixed = random.Random(seed).sample(list(items), len(items))
    by_source: dict[str, list[TransitionItem]] = {}
    for item in mixed:
        by_source.setdefault(item.source, []).append(item)
    used: Counter[str] = Counter()
    chosen = []
    for several in by_source.values():
        item = min(several, key=lambda one: used[one.cluster])
        used[item.cluster] += 1
        chosen.append(item)
    return chosen


def _in_turn(items: Sequence[TransitionItem], count: int) -> tuple[TransitionItem, ...]:
    """The first `count` items, one of each cluster, then a second of each, and so on."""
    seen: Counter[str] = Counter()
    rounds = []
    for place, item in enumerate(items):
        rounds.append((seen[item.cluster], place))
        seen[item.cluster] += 1
    return tuple(items[place] for place in sorted(place for _, place in sorted(rounds)[:count]))


def write_task(folder: Path, name: str, splits: TransitionSplits, *, made: str) -> Path:
    """Writes a task's items and its YAML, each whole or not at all; returns the YAML's path.

    **Arguments:**

    - `made`: what made it, one line for the header.
    """
    data, path = folder.resolve() / "data" / name, folder.resolve() / f"{name}.yaml"
    with writing(folder):
        for split, items in (("development", splits.development), ("test", splits.test)):
            lines = (json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
            write_whole(data / f"{split}.jsonl", "".join(lines).encode())
        write_whole(path, _yaml(name, data, splits, made).encode())
    return path


def _yaml(name: str, data: Path, splits: TransitionSplits, made: str) -> str:
    """The generation tasks' YAML, with these items."""
    template = (tasks_path() / _TEMPLATE).read_text(encoding="utf-8")
    _, shared = template.split("\n", 1)  # its header says that it is no task
    return (
        f"# {made}\n# {splits.inside} of {splits.scored} items that were scored lie in zone 2.\n"
        f"task: {name}\ndataset_kwargs: {{items: {json.dumps(str(data))}}}\n{shared}"
    )
